"""Pages of what rules and proposals came to: backtests, and the track record. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tomic.report.layout import (
    FigureColumn,
    FigureGrid,
    FigureTable,
    Gallery,
    Part,
    ReportPage,
    ReportSection,
    Sentences,
    SvgPicture,
)
from tomic.report.pages import GRADES, TARGETS, Document

_HEAD = (
    FigureColumn("data", "/meta/data", "list"),
    FigureColumn("written", "/meta/made_at", "time"),
    FigureColumn("TOMIC", "/meta/version"),
)

_OVERALL = (
    FigureColumn("trades", "/trades", "whole"),
    FigureColumn("won", "/win_rate", "share"),
    FigureColumn("promised PoS", "/pos", "share"),
    FigureColumn("per margin, %", "/margin_text", "text", "Mean, 90 % over two-month blocks."),
    FigureColumn("median", "/median_per_margin", "share"),
    FigureColumn("promised", "/promised", "share", "Mean EV per margin of the day of entry."),
    FigureColumn("per CVaR, %", "/cvar_text", "text", "Mean, 90 % over two-month blocks."),
    FigureColumn("median", "/median_per_cvar", "share"),
    FigureColumn("promised", "/promised_cvar", "share", "Mean EV per CVaR of the day of entry."),
    FigureColumn("P&L", "/pnl", "pnl", "One structure a trade, currency."),
)

# Few columns, which a phone shows without scrolling.
_GROUPS = (
    FigureColumn("", "/label", "words"),
    FigureColumn("n", "/trades", "whole"),
    FigureColumn("won", "/win_rate", "share0"),
    FigureColumn("per margin, %", "/margin_text", "text", "Mean, 90 % over two-month blocks."),
    FigureColumn("per CVaR, %", "/cvar_text", "text", "Mean, 90 % over two-month blocks."),
)
_PROMISED = (
    *_GROUPS[:3],
    FigureColumn("promised", "/promised", "share", "Mean EV per margin of the day of entry."),
    *_GROUPS[3:],
)

_BASELINES = (
    FigureColumn("beside it", "/name"),
    FigureColumn("per margin, %", "/margin_text"),
    FigureColumn("per CVaR, %", "/cvar_text"),
    FigureColumn("backtest less it, %", "/difference_text"),
)

_COSTS = (
    FigureColumn("costs", "/name"),
    FigureColumn("a trade", "/mean_costs", "cents", "Entry and exit, currency."),
    FigureColumn("per margin, %", "/margin_text"),
    FigureColumn("per CVaR, %", "/cvar_text"),
)

_BUCKETS = (
    FigureColumn("promised", "/promised", "share"),
    FigureColumn("came, % (90 %)", "/came_text"),
    FigureColumn("n", "/trades", "whole"),
)

_WORST = (
    FigureColumn("worst week", "/worst_week/monday", "day"),
    FigureColumn("P&L", "/worst_week/pnl", "pnl"),
    FigureColumn("drawdown", "/drawdown", "pnl", "Deepest fall of the weekly total."),
    FigureColumn("from", "/drawdown_from", "day"),
    FigureColumn("to", "/drawdown_to", "day"),
)

_REASONS = (FigureColumn("why", "/reason"), FigureColumn("n", "/count", "whole"))

_PARTS = (
    ("By strategy", "by_strategy"),
    ("By year", "by_year"),
    ("By IV percentile", "by_iv_percentile"),
    ("Events", "by_event"),
    ("By source", "by_source"),
    ("Closed by", "by_exit"),
    ("By symbol", "by_symbol"),
    ("With what is modelled changed", "sensitivity"),
)


def backtest(
    document: Document, *, pictures: Sequence[Sequence[SvgPicture]] = ((), (), ())
) -> ReportPage:
    """
    A backtest: the verdict, promised against realised, what stands beside it, and what is missing.

    Args:
        pictures: The total, and the calibration of PoS and of EV; each empty where not drawn.
    """
    total, success, value = (tuple(drawn) for drawn in pictures)
    result = document["backtest"]
    at = "/backtest"
    sections = [
        ReportSection(
            "What came of it",
            (
                Sentences(f"{at}/sentences"),
                FigureGrid(f"{at}/overall", _OVERALL),
                *([FigureGrid(at, _WORST)] if result["worst_week"] else []),
                Gallery(total),
                Sentences(f"{at}/scope"),
                Sentences(f"{at}/source_lines"),
            ),
        ),
        ReportSection(
            "Promised against realised",
            (
                Gallery(success + value),
                FigureTable(f"{at}/pos_deciles", _BUCKETS, caption="PoS, by decile."),
                FigureTable(f"{at}/ev_deciles", _BUCKETS, caption="EV per margin, by decile."),
                FigureTable(f"{at}/top", _PROMISED, caption="The first of every day."),
            ),
        ),
        ReportSection(
            "Beside it",
            (
                FigureTable(f"{at}/baselines", _BASELINES, empty="No baseline was run."),
                Sentences(f"{at}/baseline_texts"),
                FigureTable(f"{at}/costs", _COSTS),
            ),
        ),
        *(
            ReportSection(title, (FigureTable(f"{at}/{name}", _GROUPS),))
            for title, name in _PARTS
            if result[name]
        ),
        _left_out(),
    ]
    title = f"TOMIC · Backtest of {result['start']} to {result['end']}"
    return ReportPage(title, document, _HEAD, tuple(sections))


def _left_out() -> ReportSection:
    parts: tuple[Part, ...] = (
        FigureTable("/backtest/not_built", _REASONS, caption="Could not be built or followed."),
        FigureTable("/backtest/refused", _REASONS, caption="Refused by gates and rules."),
        FigureTable("/backtest/excluded", _REASONS, caption="Taken out of the data."),
        FigureTable("/backtest/structures", _PROMISED, caption="Every candidate, by structure."),
        Sentences("/backtest/notes"),
    )
    return ReportSection("Not built, and refused", parts)


_DIFFERENCES = (
    FigureColumn("", "/label"),
    FigureColumn("settings", "/base_text"),
    FigureColumn("other", "/other_text"),
    FigureColumn("difference (90 %)", "/text"),
)


def comparison(document: Document) -> ReportPage:
    """Two configurations: the verdict, the differences, and each on its own."""
    at = "/comparison"
    sections = (
        ReportSection(
            "The difference",
            (
                Sentences(f"{at}/sentences"),
                FigureTable(f"{at}/differences", _DIFFERENCES),
                Sentences(f"{at}/scope"),
            ),
        ),
        ReportSection("The settings", (FigureGrid(f"{at}/base/overall", _OVERALL),)),
        ReportSection("The other", (FigureGrid(f"{at}/other/overall", _OVERALL),)),
    )
    return ReportPage("TOMIC · Two backtests", document, _HEAD, sections)


_SWEPT = (
    FigureColumn("", "/value_text"),
    FigureColumn("n", "/trades", "whole"),
    FigureColumn("per CVaR, %", "/cvar_text", "text", "Mean, 90 % over two-month blocks."),
    FigureColumn("less the base, %", "/difference_text", "text", "By one look."),
    FigureColumn("p", "/p_text", "text", "Two-sided, by one look."),
    FigureColumn("p, corrected", "/adjusted_text", "text", "After all looks of this sweep."),
)


def sweep(document: Document) -> ReportPage:
    """One key at several values: what is left after as many looks, and the base on its own."""
    at = "/sweep"
    sections = (
        ReportSection(
            "What the values bring",
            (
                Sentences(f"{at}/sentences"),
                FigureTable(f"{at}/rows", _SWEPT),
                Sentences(f"{at}/scope"),
            ),
        ),
        ReportSection("The base", (FigureGrid(f"{at}/base/overall", _OVERALL),)),
    )
    title = f"TOMIC · Backtests over {document['sweep']['key']}"
    return ReportPage(title, document, _HEAD, sections)


_MONTHS = (FigureColumn("month", "/month"), *GRADES[:5])

_FOLLOWED = (
    FigureColumn("proposal", "/id"),
    FigureColumn("grade", "/grade"),
    FigureColumn("symbol", "/symbol"),
    FigureColumn("outcome", "/outcome"),
    FigureColumn("per share", "/per_share", "cents"),
    FigureColumn("per margin", "/per_margin", "share"),
    FigureColumn("PoS", "/pos", "share0"),
    FigureColumn("day", "/day", "day", "It ended, or of the last mark of an open one."),
    FigureColumn("trade", "/trade_text"),
    FigureColumn("by", "/source", "words"),
    FigureColumn("note", "/note"),
)


def track(document: Document) -> ReportPage:
    """What saved proposals came to: last month's by grade, all of them, and each."""
    at, month = "/track", document["meta"]["last_month"]
    sections = (
        ReportSection(
            f"What the proposals of {month} came to",
            (
                FigureTable(f"{at}/last_month", GRADES, empty=f"None was made in {month}."),
                FigureTable(f"{at}/last_month", TARGETS),
            ),
        ),
        ReportSection(
            "All proposals",
            (
                FigureTable(f"{at}/groups", GRADES, empty="No proposal is saved; run tomic scan."),
                FigureTable(f"{at}/groups", TARGETS),
                Sentences(f"{at}/explained"),
                Sentences(f"{at}/notes"),
            ),
        ),
        ReportSection("Month by month", (FigureTable(f"{at}/months", _MONTHS),)),
        ReportSection("Each of them", (FigureTable(f"{at}/proposals", _FOLLOWED),)),
    )
    title = f"TOMIC · Track record on {document['meta']['day']}"
    return ReportPage(title, document, _HEAD, sections)
