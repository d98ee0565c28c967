"""
Backtests as text, as documents and as rows of trades.

Intervals are the middle 90 % over blocks of two months; *per margin* and *per CVaR* are per cent of
the net margin, and of CVaR95, of each trade.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tomic.models import backtest as nouns
from tomic.models.documents import to_document
from tomic.present.forms import NOT_ADVICE, Format, emit, to_csv, to_json, to_ndjson
from tomic.present.text import PlainTable, money, number, points

MOST_ROWS = 25
"""Rows of a table of symbols or reasons that are printed; JSON has all."""
WAYS = {"hold": "held to expiry", "managed": "closed by the exits of [journal]"}
SOURCES: Mapping[nouns.TradeSource, str] = {
    "quotes": "recorded chains with bid and ask",
    "surface": "a smile modelled from daily volatility, skew and term",
    "history": "closes and 30-day IV, the skew a parameter",
}


def report(result: nouns.BacktestResult, shape: Format) -> str:
    """A backtest; rows, where they are asked for, are its trades."""
    return emit(
        shape,
        table=lambda: text(result),
        json=lambda: to_json({"schema": "tomic.backtest/1", **_document(result)}),
        ndjson=lambda: to_ndjson(trade_rows(result)),
        csv=lambda: to_csv(trade_rows(result), list(nouns.BacktestTrade.model_fields)),
    )


def comparison(compared: nouns.Comparison, shape: Format) -> str:
    """Two configurations over the same days; rows are the differences."""
    rows = [flat(_document(each)) for each in compared.differences]
    return emit(
        shape,
        table=lambda: comparison_text(compared),
        json=lambda: to_json({"schema": "tomic.backtest.comparison/1", **_document(compared)}),
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv(rows),
    )


def sweep(swept: nouns.Sweep, shape: Format) -> str:
    """One key at several values; rows are the values."""
    rows = [flat(_document(each)) for each in swept.rows]
    return emit(
        shape,
        table=lambda: sweep_text(swept),
        json=lambda: to_json({"schema": "tomic.backtest.sweep/1", **_document(swept)}),
        ndjson=lambda: to_ndjson(rows),
        csv=lambda: to_csv(rows),
    )


def trade_rows(result: nouns.BacktestResult) -> list[dict[str, Any]]:
    """A row a trade."""
    return [_document(trade) for trade in result.trades]


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without estimates inside: ``difference``, ``difference_low`` and so on."""
    cells: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            cells |= {key if name == "value" else f"{key}_{name}": v for name, v in value.items()}
        else:
            cells[key] = value
    return cells


# -- numbers in documents ------------------------------------------------------------------

_MONEY = [
    "credit",
    "cvar",
    "ev",
    "ev_market",
    "gross",
    "entry_costs",
    "exit_costs",
    "pnl",
    "held",
    "total",
    "drawdown",
    "mean_costs",
]
_SHARES = [
    "underlying",
    "iv30",
    "iv_percentile",
    "win_rate",
    "pos",
    "promised",
    "promised_cvar",
    "per_margin",
    "per_cvar",
    "median_per_margin",
    "median_per_cvar",
    "came",
    "difference",
    "base",
    "other",
    "p_value",
    "p_adjusted",
]
_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(_MONEY, 2), **dict.fromkeys(_SHARES, 3), "margin": 2, "score": 1,
}  # fmt: skip
"""Of each field, as its column has them: cents, tenths of a per cent."""
_AS_GIVEN = ("settings", "changed")


def _document(model: Any, **left_out: Any) -> dict[str, Any]:
    """*model* as JSON values, its figures rounded as tables print them."""
    told: dict[str, Any] = _rounded(to_document(model, **left_out), None)
    return told


def _rounded(value: Any, decimals: int | None) -> Any:
    if isinstance(value, float):
        # What rounds to nothing has no sign.
        return value if decimals is None else round(value, decimals) + 0.0
    if isinstance(value, list):
        return [_rounded(item, decimals) for item in value]
    if not isinstance(value, dict):
        return value
    is_money = str(value.get("name", "")).startswith(_P_AND_L)
    return {
        key: item
        if key in _AS_GIVEN
        else _rounded(item, 2 if is_money else _DECIMALS.get(key, decimals))
        for key, item in value.items()
    }


_P_AND_L = "P&L"
"""What the name of a difference of money begins with."""

# -- sentences -----------------------------------------------------------------------------


def estimate_text(estimate: nouns.Estimate, factor: float = 100.0) -> str:
    """
    Per cent, unless *factor* says otherwise, with the interval: ``+2.1 (+0.5 to +3.5)``.

    Empty when there is no figure.
    """
    if estimate.value is None:
        return ""
    value = number(estimate.value, 1, factor, signed=True)
    if estimate.low is None or estimate.high is None:
        return f"{value} (too few)"
    low, high = (number(end, 1, factor, signed=True) for end in (estimate.low, estimate.high))
    return f"{value} ({low} to {high})"


def share_text(estimate: nouns.Estimate) -> str:
    """A share in per cent with its interval: ``83 (79 to 87)``."""
    if estimate.value is None:
        return ""
    ends = (estimate.low, estimate.high)
    span = " to ".join(points(end, 0) for end in ends if end is not None)
    return points(estimate.value, 0) + (f" ({span})" if None not in ends else " (too few)")


def scope_text(result: nouns.BacktestResult) -> str:
    """What was run, in a line."""
    span = "no days" if result.start is None else f"{result.start} to {result.end}"
    return (
        f"every {result.every}, {span}, {WAYS[result.run]}: {_count(result.symbols, 'symbol')}, "
        f"{_count(result.strategies, 'strategy', 'strategies')}, {result.symbol_days:,} symbol-days"
    )


def _count(things: Sequence[Any], word: str, plural: str = "") -> str:
    return f"{len(things):,} {word if len(things) == 1 else plural or word + 's'}"


def size_text(result: nouns.BacktestResult) -> str:
    """How much there is to go by, in a line."""
    trades, blocks = result.overall.trades, result.blocks
    return (
        f"{trades:,} trade{'' if trades == 1 else 's'} from {result.candidates:,} candidates in "
        f"{blocks} independent block{'' if blocks == 1 else 's'} of two months"
    )


def variants_text(count: int) -> str:
    """How many looks were taken, and what that means."""
    if count <= 1:
        return "the first variant tried on these data"
    return (
        f"{count} variants tried on these data so far: the best of so many looks good by "
        "chance alone"
    )


def worst_text(result: nouns.BacktestResult) -> str:
    """Worst week and drawdown, in a line; empty without trades."""
    worst = result.worst_week
    if worst is None:
        return ""
    line = f"worst week from {worst.monday}: {money(worst.pnl, 0)}"
    if not result.drawdown < 0.0:
        return f"{line}; no drawdown"
    first = result.drawdown_from
    since = "the start" if first is None else f"the week of {first}"
    last = f"the week of {result.drawdown_to}" if first is None else f"that of {result.drawdown_to}"
    return f"{line}; drawdown {money(result.drawdown, 0)} from {since} to {last}"


def source_lines(result: nouns.BacktestResult) -> list[str]:
    """What the trades were found and valued on."""
    return [
        f"{count:,} trade{'' if count == 1 else 's'} on {SOURCES[source]} ({source})"
        for source, count in result.sources.items()
    ]


# -- a backtest ----------------------------------------------------------------------------


def text(result: nouns.BacktestResult) -> str:
    """The whole report for a terminal."""
    head = [
        f"backtest {scope_text(result)}",
        size_text(result),
        result.verdict,
        variants_text(result.variants),
        *filter(None, [worst_text(result)]),
        *source_lines(result),
        *(f"{key} = {value}" for key, value in result.changed.items()),
    ]
    parts = ["\n".join(head) + "\n", *_tables(result)]
    notes = [*result.notes, *([f"partial: {result.partial}"] if result.partial else [])]
    return (
        "\n".join([*filter(None, parts), *(f"note: {note}" for note in notes), NOT_ADVICE]) + "\n"
    )


def _tables(result: nouns.BacktestResult) -> list[str]:
    return [
        _groups("all and the first of each day", [result.overall, *result.top]),
        _baselines(result),
        _costs(result),
        _buckets("promised EV per margin, %", result.ev_deciles, is_share=False),
        _buckets("promised PoS, %", result.pos_deciles, is_share=True),
        _groups("strategy", result.by_strategy),
        _groups("symbol", result.by_symbol),
        _groups("year", result.by_year),
        _groups("IV percentile", result.by_iv_percentile),
        _groups("event in the life of the trade", result.by_event),
        _groups("source", result.by_source),
        _groups("closed by", result.by_exit),
        _groups("every candidate, by structure", result.structures),
        _groups("with what is modelled changed", result.sensitivity),
        _reasons("not built", result.not_built),
        _reasons("refused by gates and rules", result.refused),
        _reasons("taken out of the data", result.excluded),
    ]


def _groups(title: str, groups: Sequence[nouns.BacktestGroup]) -> str:
    if not groups:
        return ""
    table = PlainTable(
        title, "n", "won %", "PoS %", "promised %", "/margin % (90 %)", "median %", "/CVaR % (90 %)"
    )
    for group in groups[:MOST_ROWS]:
        table.add_row(
            group.label.replace("_", " "),
            f"{group.trades:,}",
            points(group.win_rate, 0),
            points(group.pos, 0),
            number(group.promised, 1, 100.0, signed=True),
            estimate_text(group.per_margin),
            number(group.median_per_margin, 1, 100.0, signed=True),
            estimate_text(group.per_cvar),
        )
    return table.text() + _rest(groups)


def _rest(rows: Sequence[Any]) -> str:
    hidden = len(rows) - MOST_ROWS
    return f"and {hidden} more, in JSON\n" if hidden > 0 else ""


def _baselines(result: nouns.BacktestResult) -> str:
    if not result.baselines:
        return ""
    table = PlainTable("beside it", "/margin % (90 %)", "/CVaR % (90 %)", "backtest less it")
    for baseline in result.baselines:
        table.add_row(
            baseline.name,
            estimate_text(baseline.per_margin),
            estimate_text(baseline.per_cvar),
            estimate_text(baseline.difference),
        )
    return table.text() + "".join(f"  {each.name}: {each.text}\n" for each in result.baselines)


def _costs(result: nouns.BacktestResult) -> str:
    if not result.costs:
        return ""
    table = PlainTable("costs", "a trade", "/margin % (90 %)", "/CVaR % (90 %)")
    for level in result.costs:
        table.add_row(
            level.name,
            number(level.mean_costs),
            estimate_text(level.per_margin),
            estimate_text(level.per_cvar),
        )
    return table.text()


def _buckets(title: str, buckets: Sequence[nouns.BacktestBucket], *, is_share: bool) -> str:
    if not buckets:
        return ""
    table = PlainTable(title, "came (90 %)", "n")
    for bucket in buckets:
        table.add_row(
            points(bucket.promised) if is_share else number(bucket.promised, 1, 100.0, signed=True),
            (share_text if is_share else estimate_text)(bucket.came),
            f"{bucket.trades:,}",
        )
    return table.text()


def _reasons(title: str, reasons: Sequence[nouns.ReasonCount]) -> str:
    if not reasons:
        return ""
    table = PlainTable(title, "n")
    for reason in reasons[:MOST_ROWS]:
        table.add_row(reason.reason, f"{reason.count:,}")
    return table.text() + _rest(reasons)


# -- several backtests ---------------------------------------------------------------------


def comparison_text(compared: nouns.Comparison) -> str:
    """What differs between two configurations, and how sure that is."""
    head = [
        f"{compared.other_name} less the settings, {compared.days:,} days of entry in both",
        f"settings: {scope_text(compared.base)}; {size_text(compared.base)}",
        f"{compared.other_name}: {scope_text(compared.other)}; {size_text(compared.other)}",
        *(f"{key}: {base} > {other}" for key, (base, other) in compared.changed.items()),
        compared.verdict,
        variants_text(compared.other.variants),
    ]
    table = PlainTable("", "settings", "other", "difference (90 %)")
    for row in compared.differences:
        factor = _factor(row)
        table.add_row(
            row.name if factor == 1.0 else f"{row.name}, %",
            number(row.base, 1, factor, signed=True),
            number(row.other, 1, factor, signed=True),
            estimate_text(row.difference, factor),
        )
    return "\n".join([*head, "", table.text() + NOT_ADVICE]) + "\n"


def _factor(row: nouns.BacktestDifference) -> float:
    """Money is shown as it is, all else in per cent."""
    return 1.0 if row.name.startswith(_P_AND_L) else 100.0


def sweep_text(swept: nouns.Sweep) -> str:
    """Every value of the key, with what is left after the number of looks."""
    table = PlainTable(
        swept.key, "n", "won %", "/margin % (90 %)", "/CVaR % (90 %)", "less the base", "p",
        "p adjusted",
    )  # fmt: skip
    for row in swept.rows:
        table.add_row(
            _value_text(row),
            f"{row.trades:,}",
            points(row.win_rate, 0),
            estimate_text(row.per_margin),
            estimate_text(row.per_cvar),
            "" if row.is_base else estimate_text(row.difference),
            number(row.p_value, 3),
            number(row.p_adjusted, 3),
        )
    head = [scope_text(swept.base), swept.verdict, swept.correction, variants_text(swept.variants)]
    return "\n".join([*head, "", table.text() + NOT_ADVICE]) + "\n"


# -- what a page shows beside the document -------------------------------------------------


def page_document(result: nouns.BacktestResult) -> dict[str, Any]:
    """
    The result JSON-ready, with intervals in words beside their numbers and sentences in lists.

    Trades are left out: a page lists none.
    """
    document = _document(result, exclude={"trades"})
    for name in GROUPS:
        for row, group in zip(document[name], getattr(result, name), strict=True):
            row |= _texts(group)
    document["overall"] |= _texts(result.overall)
    for name in ("baselines", "costs"):
        for row, part in zip(document[name], getattr(result, name), strict=True):
            row |= _texts(part)
    for row, baseline in zip(document["baselines"], result.baselines, strict=True):
        row["difference_text"] = estimate_text(baseline.difference)
    for name, words in (("ev_deciles", estimate_text), ("pos_deciles", share_text)):
        for row, bucket in zip(document[name], getattr(result, name), strict=True):
            row["came_text"] = words(bucket.came)
    return document | {
        "sentences": [
            result.verdict, size_text(result), *filter(None, [worst_text(result)]),
            variants_text(result.variants),
        ],
        "source_lines": source_lines(result),
        "scope": [scope_text(result), *(f"{key} = {v}" for key, v in result.changed.items())],
        "baseline_texts": [f"{each.name}: {each.text}" for each in result.baselines],
    }  # fmt: skip


GROUPS = (
    "top", "structures", "by_strategy", "by_symbol", "by_year", "by_iv_percentile", "by_event",
    "by_source", "by_exit", "sensitivity",
)  # fmt: skip
"""Fields of a result that are lists of groups."""


def _texts(
    part: nouns.BacktestGroup | nouns.BacktestBaseline | nouns.BacktestCosts,
) -> dict[str, str]:
    return {
        "margin_text": estimate_text(part.per_margin),
        "cvar_text": estimate_text(part.per_cvar),
    }


def _differs(row: nouns.BacktestDifference) -> dict[str, str]:
    factor = _factor(row)
    return {
        "base_text": number(row.base, 1, factor, signed=True),
        "other_text": number(row.other, 1, factor, signed=True),
        "text": estimate_text(row.difference, factor),
        "label": row.name if factor == 1.0 else f"{row.name}, %",
    }


def comparison_document(compared: nouns.Comparison) -> dict[str, Any]:
    """Two configurations as a page shows them; neither result is repeated whole."""
    rows: Iterable[tuple[dict[str, Any], nouns.BacktestDifference]] = zip(
        [_document(row) for row in compared.differences], compared.differences, strict=True
    )
    return {
        "sentences": [compared.verdict, variants_text(compared.other.variants)],
        "scope": [
            f"settings: {scope_text(compared.base)}",
            f"{compared.other_name}: {scope_text(compared.other)}",
            *(f"{key}: {base} > {other}" for key, (base, other) in compared.changed.items()),
        ],
        "differences": [row | _differs(one) for row, one in rows],
        "base": {"overall": _document(compared.base.overall) | _texts(compared.base.overall)},
        "other": {"overall": _document(compared.other.overall) | _texts(compared.other.overall)},
    }


def sweep_document(swept: nouns.Sweep) -> dict[str, Any]:
    """One key at several values as a page shows them; of the base what it came to."""
    return {
        "key": swept.key,
        "sentences": [swept.verdict, swept.correction, variants_text(swept.variants)],
        "scope": [scope_text(swept.base), size_text(swept.base)],
        "rows": [
            _document(row)
            | {
                "value_text": _value_text(row),
                "cvar_text": estimate_text(row.per_cvar),
                "p_text": number(row.p_value, 3),
                "adjusted_text": number(row.p_adjusted, 3),
                "difference_text": "" if row.is_base else estimate_text(row.difference),
            }
            for row in swept.rows
        ],
        "base": {"overall": _document(swept.base.overall) | _texts(swept.base.overall)},
    }


def _value_text(row: nouns.SweepRow) -> str:
    return f"{row.value}{' (base)' if row.is_base else ''}"
