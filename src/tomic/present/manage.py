"""What to do with positions as text, JSON, NDJSON and CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tomic.figures import columns
from tomic.journal.manage import orders
from tomic.models.documents import to_document, with_flags
from tomic.models.manage import Advice, Move, MoveRefusal
from tomic.models.moves import EndedMoves, MoveKind
from tomic.present.forms import NOT_ADVICE, Format, emit, emit_rows, to_csv, to_json, to_ndjson
from tomic.present.palette import by_sign
from tomic.present.text import PlainTable, amount, figure_text, folded, money, number, per_cent
from tomic.present.ticket import side_text, ticket_text

if TYPE_CHECKING:
    from tomic.workflows.journal.manage import ManageRun

_FIGURES = {figure.name: figure for figure in columns(
    "pos p_target ev cvar95 margin score dte ev_change locked_in"
)}  # fmt: skip
_DROPPED_FIRST = ("vega", "delta", "CVaR95", "BP after", "margin", "costs", "locked in", "natural")
"""Headings that go first where room is scarce."""


def shown(run: ManageRun, shape: Format, *, whole: bool, width: int | None = None) -> str:
    """
    Every position in a line with its best alternative; *whole* with all of its alternatives.

    Args:
        width: Of the screen, beyond which columns are left out; None keeps all.
    """
    return emit(
        shape,
        table=lambda: _text(run, whole=whole, width=width),
        json=lambda: to_json(
            {
                "schema": "tomic.manage/1",
                "as_of": run.as_of,
                "advice": [to_document(advice) for advice in run.advice],
                "errors": {name: str(error) for name, error in run.errors.items()},
                "notes": list(run.notes),
                "disclaimer": NOT_ADVICE,
            }
        ),
        ndjson=lambda: to_ndjson(to_document(advice) for advice in run.advice),
        csv=lambda: to_csv([row for advice in run.advice for row in _rows(advice)]),
    )


def _text(run: ManageRun, *, whole: bool, width: int | None) -> str:
    if not run.advice:
        return ""
    if whole:
        return "\n".join(_whole(advice, width) for advice in run.advice)
    return _listed(run.advice)


# -- all positions -----------------------------------------------------------------------------


def _listed(positions: Sequence[Advice]) -> str:
    table = PlainTable(
        "id", "symbol", "strategy", _narrow("dte"), "P&L", "best", "at", _narrow("ev_change"),
        "why", left=(1, 2, 5, 8), drops=("DTE", "at", "strategy", "P&L"),
    )  # fmt: skip
    for advice in positions:
        best = advice.best
        table.add_row(
            advice.id,
            advice.symbol,
            advice.strategy.replace("_", " "),
            "" if advice.dte is None else str(advice.dte),
            by_sign(money(advice.pnl) or "?"),
            "?" if best is None else best.text,
            "" if best is None else _price(best, best.limit),
            "" if best is None or best.kind is MoveKind.HOLD else _change(best),
            advice.problem or ("" if best is None else best.reason),
        )
    return table.text()


def _narrow(name: str) -> str:
    return _FIGURES[name].narrow


# -- one position ------------------------------------------------------------------------------


def _whole(advice: Advice, width: int | None) -> str:
    return "\n".join(
        [
            head(advice),
            *(
                folded(f"  {signal.rule}: {signal.text} · {signal.advice}")
                for signal in advice.signals
            ),
            *(f"  ? {text}" for text in advice.notes),
            *([f"  {advice.problem}"] if advice.problem else []),
            *(_moves(advice.moves, width) if advice.moves else []),
            *(folded(f"  {line}") for line in refused_lines(advice.refused)),
            "",
        ]
    )


def refused_lines(refused: Sequence[MoveRefusal]) -> list[str]:
    """What there is not, a line a reason."""
    kinds: dict[str, list[str]] = {}
    for refusal in refused:
        kinds.setdefault(refusal.reason, []).append(refusal.kind.value)
    return [f"not: {', '.join(dict.fromkeys(names))} · {why}" for why, names in kinds.items()]


def head(advice: Advice) -> str:
    """What is held, and how it stands."""
    spot = "" if advice.spot is None else f" · spot {number(advice.spot)}"
    days = "" if advice.dte is None else f" · {advice.dte} days"
    pnl = f" · P&L {money(advice.pnl)}" if advice.pnl is not None else ""
    name = advice.strategy.replace("_", " ") or "position"
    return f"{advice.id}  {advice.symbol} {name} · {', '.join(advice.held)}{spot}{days}{pnl}"


def _moves(moves: Sequence[Move], width: int | None) -> list[str]:
    table = PlainTable("#", "alternative", *(title for title, _ in _CELLS), left=(1,))
    for move in moves:
        table.add_row(str(move.rank), move.text, *(cell(move) for _, cell in _CELLS))
    keep, _ = table.fitting(width, _DROPPED_FIRST)
    return ["", *table.text(keep).splitlines(), "", *_why(moves)]


def _why(moves: Sequence[Move]) -> list[str]:
    return [folded(f"  {move.rank}.  {move.reason}") for move in moves if move.reason] + [""]


def _price(move: Move, value: float) -> str:
    return "" if move.tick is None else side_text(value)


def price_text(move: Move) -> str:
    """The order's limit in words; empty where nothing is traded."""
    return _price(move, move.limit)


def _change(move: Move) -> str:
    if move.kind is MoveKind.HOLD:
        return ""
    return f"{figure_text(_FIGURES['ev_change'], move.ev_change)} ±{amount(move.ev_error)}"


def _figure(name: str, value: Callable[[Move], float | None]) -> tuple[str, Callable[[Move], str]]:
    figure = _FIGURES[name]
    return figure.narrow, lambda move: figure_text(figure, value(move))


_CELLS: tuple[tuple[str, Callable[[Move], str]], ...] = (
    ("limit", lambda move: _price(move, move.limit)),
    ("natural", lambda move: _price(move, move.natural)),
    ("costs", lambda move: amount(move.spread_cost + move.commission, 2) if move.trades else ""),
    _figure("locked_in", lambda move: move.locked_in),
    ("breakevens", lambda move: " ".join(number(level) for level in move.breakevens)),
    (_FIGURES["pos"].narrow, lambda move: per_cent(move.pos)),
    (_FIGURES["p_target"].narrow, lambda move: per_cent(move.p_target)),
    _figure("ev", lambda move: move.ev),
    (_FIGURES["ev_change"].narrow, _change),
    _figure("cvar95", lambda move: move.cvar95),
    _figure("margin", lambda move: move.margin),
    ("BP after", lambda move: amount(move.buying_power_after)),
    ("delta", lambda move: number(move.delta, 0)),
    ("vega", lambda move: number(move.vega, 1)),
    ("days", lambda move: "" if move.dte is None else str(move.dte)),
    _figure("score", lambda move: move.score),
)


def summary(run: ManageRun) -> str:
    """How many positions a rule speaks of, and that nothing is done."""
    fired = sum(bool(advice.signals) for advice in run.advice)
    count = len(run.advice)
    noun = "position" if count == 1 else "positions"
    return f"{count} {noun}, an exit rule fired of {fired} · {NOT_ADVICE}"


def _rows(advice: Advice) -> list[dict[str, Any]]:
    """A row per alternative, the refused ones last."""
    base = {"id": advice.id, "symbol": advice.symbol, "strategy": advice.strategy}
    rows = []
    for move in advice.moves:
        document = to_document(move, exclude={"trades", "legs"})
        document["breakevens"] = " ".join(map(str, move.breakevens))
        document["trades"] = ", ".join(leg.text for leg in move.trades)
        rows.append({**base, **document, "refused": ""})
    if not rows:
        rows.append({**base, **dict.fromkeys(_columns()), "refused": advice.problem})
    for refusal in advice.refused:
        row = dict.fromkeys(_columns())
        rows.append({**base, **row, "kind": refusal.kind.value, "refused": refusal.reason})
    return rows


def _columns() -> list[str]:
    names = [name for name in Move.model_fields if name not in ("trades", "legs")]
    return [*with_flags(dict.fromkeys(names), Move.unbounded), "trades"]


# -- an alternative as an order ------------------------------------------------------------------


def order_text(advice: Advice, move: Move) -> str:
    """The order as one types it, and the lines for other programs."""
    return ticket_text(orders.ticket(advice, move))


# -- what became of it -------------------------------------------------------------------------


def history(known: EndedMoves, shape: Format) -> str:
    """What each kind of alternative brought beside holding."""
    rows = [to_document(record) for record in known.records]
    return emit_rows(
        shape, rows, lambda: _ended(known), schema="tomic.manage.history/1", name="kinds"
    )


def _ended(known: EndedMoves) -> str:
    if not known.records:
        return ""
    table = PlainTable(
        "alternative", "n", "first", "result", "beside holding", "expected", "better"
    )
    several = len({record.currency for record in known.records}) > 1
    for record in known.records:
        table.add_row(
            f"{record.kind.value} {record.currency}".rstrip() if several else record.kind.value,
            str(record.n),
            str(record.chosen),
            money(record.result),
            "" if record.kind is MoveKind.HOLD else money(record.change),
            "" if record.kind is MoveKind.HOLD else money(record.expected),
            "" if record.kind is MoveKind.HOLD else per_cent(record.better),
        )
    return table.text()


def history_notes(known: EndedMoves) -> list[str]:
    """What the table counts, and what it waits for."""
    notes = [
        f"means of {known.settled} looks at positions whose alternatives have all expired, the "
        "first look of a day; each as shown, held to its first expiry"
    ]
    if known.waiting:
        notes.append(f"{known.waiting} are not known yet")
    if known.unpriced:
        notes.append(f"prices are missing: tomic prices {' '.join(known.unpriced)}")
    return notes
