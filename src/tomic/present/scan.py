"""Scans as text: the ranking a seller decides by, why trades were refused, and the catalogue."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tomic.figures import Figure, columns
from tomic.models.documents import to_document, to_text, with_flags
from tomic.models.trade import Proposal, ScanResult
from tomic.present import forms, palette
from tomic.present.forms import Format
from tomic.present.proposal import legs_text, limit_per_share, score_text
from tomic.present.text import PlainTable, amount, figure_text, fitted_to, money, number, per_cent

# -- the ranking ---------------------------------------------------------------------------

UNKNOWN = "-"
"""In place of a figure that a proposal does not have."""
_MOST_SIMILAR = 99
_FLAGS = {"earnings": "E", "earnings_unknown": "E?", "ex_dividend": "D", "priced": "~"}
"""How a kind of event is flagged in its column."""
EVENT_KEY = "E earnings, E? their date unknown, D ex-dividend, ~ priced by the options"
"""What the flags of events mean."""
_INDENT = 2
"""Of a trade that stands on a line of its own."""


@dataclass(frozen=True, slots=True)
class RankingColumn:
    """A column of the ranking: its heading, its cells, what it means, and where it is not shown."""

    title: str
    cell: Callable[[Proposal], str]
    key: str = ""
    """What the heading means, below the table."""
    is_left: bool = False
    wanted: Callable[[Proposal], bool] = lambda _: True
    """The column stands where this holds for some proposal."""


def _column(
    field: str, cell: Callable[[Proposal], str], key: str = "", **how: Any
) -> RankingColumn:
    """A column of a figure, headed as everywhere."""
    (figure,) = columns(field)
    return RankingColumn(figure.narrow, cell, key or figure.title, **how)


def _figure(name: str, value: Callable[[Proposal], float | None]) -> RankingColumn:
    """A column that is written as the table of figures says."""
    (figure,) = columns(name)
    return _column(name, lambda proposal: _suffixed(figure, value(proposal)))


def _suffixed(figure: Figure, value: float | None) -> str:
    text = figure_text(figure, value)
    return f"{text}{figure.suffix}" if text else UNKNOWN


def per_share_text(proposal: Proposal) -> str:
    """The limit at mid per share as one types it, a debit in brackets."""
    limit = limit_per_share(proposal)
    return number(limit) if limit >= 0.0 else f"({number(-limit)})"


def _ev_text(proposal: Proposal) -> str:
    error = "" if proposal.ev_error is None else f" ±{proposal.ev_error:,.0f}"
    return f"{money(proposal.ev, 0)}{error}"


def events_text(proposal: Proposal) -> str:
    """A letter per kind of event in the life of the trade."""
    return " ".join(dict.fromkeys(_FLAGS[event.kind] for event in proposal.events))


def similar_count(proposal: Proposal) -> str:
    """How many like it passed, nothing for none, and no large number."""
    count = proposal.alternatives
    return f"{_MOST_SIMILAR}+" if count > _MOST_SIMILAR else str(count or "")


RANKING = (
    RankingColumn("#", lambda proposal: str(proposal.rank)),
    RankingColumn("id", lambda proposal: proposal.id, is_left=True, wanted=lambda p: bool(p.id)),
    _column(
        "score", lambda proposal: f"{number(proposal.score, 1)} {proposal.grade.value}",
        "0 to 100, and its grade",
    ),
    RankingColumn("symbol", lambda proposal: proposal.symbol, is_left=True),
    RankingColumn("strategy", lambda proposal: proposal.strategy.replace("_", " "), is_left=True),
    RankingColumn("trade", legs_text, is_left=True),
    _column("dte", lambda proposal: str(proposal.dte), "days to the first expiry"),
    RankingColumn("in", lambda proposal: proposal.currency, wanted=lambda p: p.currency != "USD"),
    _column("credit", per_share_text, "per share at mid as one types it, debits in brackets"),
    _figure("short_delta", lambda proposal: proposal.short_delta),
    _figure("distance", lambda proposal: proposal.distance),
    _column("pos", lambda proposal: per_cent(proposal.pos), "profit at expiry (others say POP)"),
    _figure("p_target", lambda proposal: proposal.managed.p_target if proposal.managed else None),
    _column("ev", _ev_text, "expected value ± its error, per structure after entry costs"),
    RankingColumn(
        columns("ev_view")[0].narrow,
        lambda proposal: money(proposal.view.ev, 0) if proposal.view else UNKNOWN,
        "the same under your view",
        wanted=lambda proposal: proposal.view is not None,
    ),
    _figure("cost_share", lambda proposal: proposal.cost_share),
    _column("buying_power", lambda proposal: amount(proposal.margin)),
    _column("max_loss", lambda proposal: amount(proposal.max_loss)),
    RankingColumn(
        "event", events_text, EVENT_KEY, is_left=True, wanted=lambda proposal: bool(proposal.events)
    ),
    RankingColumn(
        "similar", similar_count, "others like it that passed",
        wanted=lambda proposal: proposal.alternatives > 0,
    ),
)  # fmt: skip
"""Every column, in its order."""

_DROPPED_FIRST = (
    "max loss", "strategy", "similar", "EV view", "costs", "id", "P(target)", "#", "to BE", "BP",
    "DTE", "short Δ", "event",
)  # fmt: skip
"""What goes first where the terminal is too narrow; the rest always stands."""


def ranking(proposals: Sequence[Proposal], *, width: int | None = None) -> str:
    """
    The chosen proposals, best first, with a key of what the headings mean.

    Args:
        width: Letters a line. Columns are dropped until they fit; where even those that are always
            wanted do not, each trade has a line of its own below its figures. None shows all.
    """
    wanted = [column for column in RANKING if any(map(column.wanted, proposals))]
    numbered = [
        proposal if proposal.rank else proposal.model_copy(update={"rank": place})
        for place, proposal in enumerate(proposals, 1)
    ]
    shown = _fitted(wanted, numbered, width)
    if shown is not None:
        lines = _lines(_table(shown, numbered))
    else:
        below = [column for column in wanted if column.title not in ("trade", "strategy")]
        shown = _fitted(below, numbered, width) or below
        head, *rows = _lines(_table(shown, numbered))
        lines = [head]
        for row, proposal in zip(rows, numbered, strict=True):
            lines += [row, *_trade_lines(proposal, width)]
    lines += _key(shown, numbered, width or max(len(palette.plain(line)) for line in lines))
    return "\n".join(lines)


def _lines(table: PlainTable) -> list[str]:
    """A line a row: what does not fit was left out before."""
    with fitted_to(None):
        return table.text().splitlines()


def _table(shown: Sequence[RankingColumn], proposals: Sequence[Proposal]) -> PlainTable:
    left = [at for at, column in enumerate(shown) if column.is_left]
    table = PlainTable(*(column.title for column in shown), left=left)
    for proposal in proposals:
        table.add_row(*(column.cell(proposal) for column in shown))
    return table


def _fitted(
    wanted: Sequence[RankingColumn], proposals: Sequence[Proposal], width: int | None
) -> list[RankingColumn] | None:
    """The columns that fit into *width*; None where those that cannot be dropped do not."""
    titles = {column.title for column in wanted}
    table = _table(wanted, proposals)
    keep, _ = table.fitting(width, [title for title in _DROPPED_FIRST if title in titles])
    shown = [wanted[at] for at in keep]
    if width is None:
        return shown
    with palette.on(False), fitted_to(None):
        longest = max(map(len, _table(shown, proposals).text().splitlines()))
    return shown if longest <= width else None


def _trade_lines(proposal: Proposal, width: int | None) -> list[str]:
    text = f"{proposal.strategy.replace('_', ' ')} {legs_text(proposal)}"
    return [f"{'':{_INDENT}}{line}" for line in _wrapped(text, width, less=_INDENT)]


def _key(shown: Sequence[RankingColumn], proposals: Sequence[Proposal], width: int) -> list[str]:
    """What the headings mean; and the ids, where no column has them."""
    keys = [f"{column.title}: {column.key}" for column in shown if column.key]
    ids = [proposal.id for proposal in proposals if proposal.id]
    if ids and not any(column.title == "id" for column in shown):
        keys.append(f"ids, in this order: {' '.join(ids)}")
    return ["", *_wrapped(" · ".join(keys), width)]


def _wrapped(text: str, width: int | None, *, less: int = 0) -> list[str]:
    room = len(text) if width is None else max(width - less, _LEAST_WIDTH)
    return textwrap.wrap(text, room, break_on_hyphens=False)


_LEAST_WIDTH = 20


# -- what became of the rest ---------------------------------------------------------------

_RULE_WORDS = {
    "upside_loss": "loses when the underlying rises",
    "cannot_win": "cannot win after costs",
    "expiry_without_quotes": "no quotes at this expiry",
    "no_margin": "margin unknown",
}
"""Rules whose names do not say what they refuse."""


def rule_text(rule: str) -> str:
    """What a rule refuses, in words."""
    return _RULE_WORDS.get(rule, rule.replace("_", " "))


def scan_summary(result: ScanResult) -> str:
    """What was considered and what refused most of it."""
    top = sorted(result.rejected, key=lambda refusal: -refusal.count)[:5]
    failed = ", ".join(f"{rule_text(refusal.rule)} {refusal.count:,}" for refusal in top) or "none"
    text = f"considered {result.considered:,} · passed {result.passed:,} · failed: {failed}"
    return text if result.proposals else f"{text}\n{nothing_today(result)}"


def nothing_today(result: ScanResult, *, most: int = 3) -> str:
    """That nothing passed, what came nearest, and what no chain could hold; a line each."""
    misses = [f"{miss.symbol} {miss.trade}: {miss.message}" for miss in result.closest]
    refused = dict.fromkeys(f"{refusal.symbol} {refusal.message}" for refusal in result.gated)
    # Of a symbol without any trade the reason why is all there is to say.
    bare = [outcome for outcome in result.outcomes if outcome.ok and not outcome.considered]
    lines = [f"  nearest: {miss}" for miss in misses[:most]]
    lines += [f"  {note}" for note in [note for one in bare for note in one.notes][:most]]
    lines += [f"  {reason}" for reason in list(refused)[:most]]
    return "\n".join(["nothing today", *lines])


def explanation(result: ScanResult, *, symbol: str = "") -> str:
    """
    Every rule with what it refused and its nearest miss, and every strategy that was gated.

    With *symbol* nearest misses, gates and notes of that symbol only.
    """
    lines = [f"considered {result.considered:,}, passed {result.passed:,}"]
    misses = {
        miss.rule: miss for miss in reversed(result.nearest_misses) if symbol in ("", miss.symbol)
    }
    for count in result.rejected:
        kind = "" if count.kind == "rule" else " (no data)"
        kind += f"  {_RULE_WORDS[count.rule]}" if count.rule in _RULE_WORDS else ""
        lines.append(f"  {count.rule:<24}{count.count:>12,}{kind}")
        if count.rule in misses:
            miss = misses[count.rule]
            lines.append(f"  {'':24}nearest: {miss.symbol} {miss.trade}: {miss.message}")
    gated: dict[tuple[str, str], list[str]] = {}
    for gate in result.gated:
        if symbol in ("", gate.symbol):
            gated.setdefault((gate.symbol, gate.message), []).append(gate.strategy)
    lines += [
        f"  gated: {name}: {message} ({', '.join(strategies)})"
        for (name, message), strategies in gated.items()
    ]
    lines += [
        f"  {outcome.symbol}: {note}"
        for outcome in result.outcomes
        if symbol in ("", outcome.symbol)
        for note in (*outcome.notes, outcome.cut, outcome.error)
        if note
    ]
    return "\n".join(lines)


# -- the catalogue -------------------------------------------------------------------------


def strategies(described: Sequence[dict[str, Any]], format: Format) -> str:
    """The catalogue; a row for each strategy."""
    return forms.emit(
        format,
        table=lambda: catalogue(described) + "\n",
        json=lambda: forms.to_json(described),
        ndjson=lambda: forms.to_ndjson(described),
        csv=lambda: forms.to_csv(list(map(forms.flat, described))),
    )


def catalogue(strategies: Sequence[Mapping[str, Any]]) -> str:
    """Every strategy in a line: when one would want it, its days, its gates."""
    table = PlainTable("strategy", "outlook", "side", "days", "gates", left=range(5))
    for row in strategies:
        low, high = row["dte"]
        table.add_row(
            row["name"], row["outlook"], row["side"], f"{low}-{high}", ", ".join(row["gates"])
        )
    return table.text(width=150).rstrip("\n")


def strategy(fields: Mapping[str, Any]) -> str:
    """One strategy with every field under the name that settings use."""
    lines = [f"{fields['name']}: {fields['outlook']}"]
    for key, value in fields.items():
        if key not in ("name", "outlook", "legs"):
            lines.append(f"  {key} = {json.dumps(value)}")
    for name, leg in fields["legs"].items():
        quantity, right = leg["quantity"], leg["right"]
        lines.append(f"  legs.{name}: {quantity:+d} {right} {leg['expiry']}, {leg['strike']}")
    lines.append(f"change it in tomic.toml under [strategies.{fields['name']}]")
    return "\n".join(lines)


# -- what machines read


_CSV_FIELDS = (
    "rank", "id", "symbol", "strategy", "side", "expiry", "last_expiry", "dte", "spot", "trade",
    "credit", "credit_mid", "credit_natural", "commission", "max_profit", "max_loss", "margin",
    "margin_requirement", "rom", "rom_30d", "pos", "ev", "ev_error", "ev_quotes", "mean_win",
    "cvar95", "risk_reward", "touch", "short_delta", "distance", "expected_move", "cost_share",
    "edge", "edge_error", "delta", "gamma", "vega", "theta", "market_volatility", "iv30", "iv_rank",
    "liquidity", "fit", "score", "grade", "percentile", "alternatives", "as_of",
)  # fmt: skip
"""Fields of a proposal."""

_CSV_MORE: Mapping[str, Callable[[Proposal], Any]] = {
    "legs": legs_text,
    "limit": limit_per_share,
    "p_target": lambda proposal: proposal.managed.p_target if proposal.managed else None,
    "days_held": lambda proposal: proposal.managed.days if proposal.managed else None,
    "ev_managed": lambda proposal: proposal.managed.ev if proposal.managed else None,
    "pos_view": lambda proposal: proposal.view.pos if proposal.view else None,
    "ev_view": lambda proposal: proposal.view.ev if proposal.view else None,
    "contracts": lambda proposal: proposal.size.contracts if proposal.size else None,
    "events": lambda proposal: "; ".join(event.text for event in proposal.events),
}
"""Columns behind those: what lies deeper in a proposal, and what is made for typing."""


def to_json(result: ScanResult) -> str:
    """
    The whole result; an unbounded amount is null, and the flag beside it says so.

    ``complete`` is false when ``partial`` names symbols; ``partial_text`` says what they miss.
    """
    head = {
        "schema": "tomic.scan/1",
        "complete": not result.partial,
        "partial": result.partial,
        "partial_text": result.partial_text,
    }
    return forms.to_json({**head, **to_document(result)})


def shown(result: ScanResult, format: Format, *, explain: bool, width: int | None = None) -> str:
    """The proposals in *format*; a table has the refusals as well where *explain* is set."""
    return forms.emit(
        format,
        table=lambda: _text(result, explain=explain, width=width),
        json=lambda: to_json(result),
        ndjson=lambda: "".join(f"{to_text(proposal)}\n" for proposal in result.proposals),
        csv=lambda: to_csv(result),
    )


def _text(result: ScanResult, *, explain: bool, width: int | None) -> str:
    parts = []
    if result.proposals:
        parts.append(ranking(result.proposals, width=width))
    if explain:
        parts += [f"#1: {score_text(first)}" for first in result.proposals[:1]]
        parts.append(explanation(result))
    return "".join(f"{part}\n" for part in parts)


def to_csv(result: ScanResult) -> str:
    """A row per proposal; an unbounded amount is empty, and the flag beside it says so."""
    rows = [
        with_flags(
            {
                **{name: getattr(proposal, name) for name in _CSV_FIELDS},
                **{name: value(proposal) for name, value in _CSV_MORE.items()},
            },
            proposal.unbounded,
        )
        for proposal in result.proposals
    ]
    names = with_flags(dict.fromkeys((*_CSV_FIELDS, *_CSV_MORE)), Proposal.unbounded)
    return forms.to_csv(rows, list(names))
