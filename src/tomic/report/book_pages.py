"""The pages of what is held and of what was: portfolio and journal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tomic.report.layout import (
    Figure,
    FigureColumn,
    FigureGrid,
    FigureTable,
    Gallery,
    Part,
    ReportPage,
    ReportSection,
    Sentences,
)
from tomic.report.pages import ALERTS, HEAD, SIGNALS, TOTALS, Document, dated

_ACCOUNTS = (
    FigureColumn("account", "/account"),
    FigureColumn("currency", "/currency"),
    FigureColumn("net liquidation", "/net_liquidation", "money"),
    FigureColumn("cash", "/cash", "money"),
    FigureColumn("initial margin", "/initial_margin", "money"),
    FigureColumn("maintenance", "/maintenance_margin", "money"),
    FigureColumn("excess liquidity", "/excess_liquidity", "money"),
    FigureColumn("cushion", "/cushion", "share", "Excess liquidity over net liquidation."),
)

_STRUCTURES = (
    FigureColumn("id", "/id"),
    FigureColumn("strategy", "/strategy", "words"),
    FigureColumn("×", "/quantity", "price"),
    FigureColumn("legs", "/held", "list"),
    FigureColumn("days", "/dte", "whole", "Calendar days to the first expiry."),
    FigureColumn("held", "/days_in_trade", "whole", "Days in the trade."),
    FigureColumn("credit", "/credit", "cents", "Premium received when it was entered."),
    FigureColumn("P&L", "/pnl", "pnl"),
    FigureColumn("of max", "/profit_share", "share0", "P&L over the largest possible profit."),
    FigureColumn("max loss", "/max_loss", "money"),
    FigureColumn("margin", "/margin", "money"),
    FigureColumn("delta $", "/greeks/delta_value", "money"),
    FigureColumn("vega", "/greeks/vega", "cents"),
    FigureColumn("theta", "/greeks/theta", "cents"),
    FigureColumn("IV", "/iv", "share"),
)

_CONCENTRATION = (
    FigureColumn("by", "/kind", "words"),
    FigureColumn("name", "/name", "words"),
    FigureColumn("structures", "/structures", "whole"),
    FigureColumn("margin", "/margin", "money"),
    FigureColumn("share", "/share", "share0"),
    FigureColumn("delta $", "/delta_value", "money"),
)

_DRIVERS = (FigureColumn("worst cell", "/name"), FigureColumn("P&L", "/pnl", "pnl"))

_TAIL = (
    FigureColumn("value at risk", "/value_at_risk", "money", "One day, over the stored returns."),
    FigureColumn("CVaR", "/cvar", "money"),
    FigureColumn("worst", "/worst", "money"),
    FigureColumn("on", "/worst_day", "day"),
    FigureColumn("confidence", "/confidence", "share0"),
    FigureColumn("days", "/days", "whole"),
    FigureColumn("diversification", "/diversification", "ratio"),
)

_JUMPS = (
    FigureColumn("symbol", "/symbol"),
    FigureColumn("event", "/kind", "words"),
    FigureColumn("day", "/day", "day"),
    FigureColumn("move", "/move", "share"),
    FigureColumn("P&L up", "/up", "pnl"),
    FigureColumn("P&L down", "/down", "pnl"),
    FigureColumn("note", "/note"),
)

_ASSIGNMENTS = (
    FigureColumn("structure", "/structure"),
    FigureColumn("contract", "/contract"),
    FigureColumn("why", "/reason", "words"),
    FigureColumn("time value", "/time_value", "cents"),
    FigureColumn("what", "/message"),
)

_GAPS = (
    FigureColumn("position", "/name"),
    FigureColumn("quantity", "/quantity", "price"),
    FigureColumn("lacks", "/missing", "words"),
    FigureColumn("why", "/reason"),
)

_ENTRIES = (
    FigureColumn("entry", "/id", "price"),
    FigureColumn("symbol", "/symbol"),
    FigureColumn("strategy", "/strategy", "words"),
    FigureColumn("opened", "/opened_at", "time"),
    FigureColumn("PoS then", "/context/pos", "share"),
    FigureColumn("EV then", "/context/ev", "pnl"),
    FigureColumn("IV rank then", "/context/iv_rank", "share0"),
    FigureColumn("plan", "/plan"),
)

_STATISTICS = (
    FigureColumn("", "/label", "words"),
    FigureColumn("closed", "/n", "whole"),
    FigureColumn("won", "/wins", "whole"),
    FigureColumn("win rate", "/win_rate/value", "share"),
    FigureColumn("from", "/win_rate/low", "share", "95 % interval."),
    FigureColumn("to", "/win_rate/high", "share"),
    FigureColumn("mean win", "/average_win", "pnl"),
    FigureColumn("mean loss", "/average_loss", "pnl"),
    FigureColumn("expectancy", "/expectancy/value", "pnl"),
    FigureColumn("from", "/expectancy/low", "pnl", "95 % interval."),
    FigureColumn("to", "/expectancy/high", "pnl"),
    FigureColumn("total", "/total", "pnl"),
    FigureColumn("profit factor", "/profit_factor", "ratio"),
    FigureColumn("drawdown", "/max_drawdown", "money"),
    FigureColumn("days", "/average_days", "number"),
    FigureColumn("ROM", "/rom", "share"),
)

_CALIBRATION = (
    FigureColumn("forecasts", "/n", "whole"),
    FigureColumn("independent", "/clusters", "whole", "Distinct symbols and expiries."),
    FigureColumn("Brier", "/brier/value", "ratio", "Mean squared miss of the probabilities."),
    FigureColumn("skill", "/skill", "ratio", "Over always saying the base rate."),
    FigureColumn("base rate", "/base_rate", "share"),
    FigureColumn("bias", "/bias/value", "share", "Positive is too rosy."),
)

_BINS = (
    FigureColumn("from", "/low", "share0"),
    FigureColumn("to", "/high", "share0"),
    FigureColumn("n", "/n", "whole"),
    FigureColumn("forecast", "/forecast", "share"),
    FigureColumn("came true", "/hit/value", "share"),
)

_BANDS = (
    FigureColumn("grade", "/grade"),
    FigureColumn("n", "/n", "whole"),
    FigureColumn("forecast", "/forecast", "share"),
    FigureColumn("came true", "/hit/value", "share"),
    FigureColumn("EV", "/ev", "pnl"),
    FigureColumn("result", "/result/value", "pnl"),
    FigureColumn("ROM", "/rom", "share"),
)


def portfolio(document: Document, *, stress: Sequence[Figure] = ()) -> ReportPage:
    """What is held: alerts, totals, structures, stress, and what is missing in them."""
    sections = [
        ReportSection(
            "Alerts",
            (FigureTable("/alerts", ALERTS, empty="Nothing asks for attention."),),
        ),
        ReportSection(
            "The book",
            (FigureGrid("/review", TOTALS), FigureTable("/review/accounts", _ACCOUNTS)),
        ),
        ReportSection(
            "Structures",
            (
                FigureTable("/review/structures", _STRUCTURES, empty="Nothing is held."),
                FigureTable("/review/assignments", _ASSIGNMENTS, caption="May well be exercised."),
                FigureTable("/review/gaps", _GAPS, caption="Held, and not wholly in the figures."),
                Sentences("/review/notes"),
            ),
        ),
    ]
    risk: list[Part] = [
        Gallery(tuple(stress)),
        *(
            [FigureTable("/review/stress/drivers", _DRIVERS)]
            if document["review"]["stress"]
            else []
        ),
        *([FigureGrid("/review/tail", _TAIL)] if document["review"]["tail"] else []),
        FigureTable("/review/jumps", _JUMPS, caption="Known events."),
        FigureTable("/review/concentration", _CONCENTRATION),
    ]
    sections.append(ReportSection("Risk", tuple(risk), break_before=True))
    if document["remarks"]:
        sections.append(ReportSection("Remarks", (FigureTable("/remarks", ALERTS[1:]),)))
    return ReportPage(dated("Portfolio", document), document, HEAD, tuple(sections))


def journal(document: Document, *, calibration: Sequence[Figure] = ()) -> ReportPage:
    """What was traded: open entries, results, and how honest the forecasts were."""
    sections = (
        ReportSection(
            "Open trades",
            (
                FigureTable("/signals", SIGNALS, empty="No trade is open."),
                FigureTable("/open", _ENTRIES),
            ),
        ),
        ReportSection(
            "Results",
            (
                FigureGrid("/journal/overall", _STATISTICS[1:]),
                FigureTable("/journal/groups", _STATISTICS),
                Sentences("/journal/notes"),
            ),
        ),
        ReportSection(
            "Forecasts",
            (
                Gallery(tuple(calibration)),
                FigureGrid("/journal/trades", _CALIBRATION),
                FigureTable("/journal/trades/bins", _BINS, caption="Trades, as they were closed."),
                FigureGrid("/journal/proposals", _CALIBRATION),
                FigureTable("/journal/proposals/bins", _BINS, caption="Proposals, held to expiry."),
                FigureTable("/journal/score/bands", _BANDS, caption="What each grade came to."),
            ),
        ),
    )
    return ReportPage(dated("Journal", document), document, HEAD, sections)
