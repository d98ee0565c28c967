"""The pages of what is held and of what was: portfolio and journal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tomic.report.layout import (
    Column,
    Facts,
    Figure,
    Gallery,
    Lines,
    Page,
    Part,
    Section,
    Table,
)
from tomic.report.pages import ALERTS, HEAD, SIGNALS, TOTALS, Document, dated

_ACCOUNTS = (
    Column("account", "/account"),
    Column("currency", "/currency"),
    Column("net liquidation", "/net_liquidation", "money"),
    Column("cash", "/cash", "money"),
    Column("initial margin", "/initial_margin", "money"),
    Column("maintenance", "/maintenance_margin", "money"),
    Column("excess liquidity", "/excess_liquidity", "money"),
    Column("cushion", "/cushion", "share", "Excess liquidity over net liquidation."),
)

_STRUCTURES = (
    Column("id", "/id"),
    Column("strategy", "/strategy", "words"),
    Column("×", "/quantity", "price"),
    Column("legs", "/held", "list"),
    Column("days", "/dte", "whole", "Calendar days to the first expiry."),
    Column("held", "/days_in_trade", "whole", "Days in the trade."),
    Column("credit", "/credit", "cents", "Premium received when it was entered."),
    Column("P&L", "/pnl", "pnl"),
    Column("of max", "/profit_share", "share0", "P&L over the largest possible profit."),
    Column("max loss", "/max_loss", "money"),
    Column("margin", "/margin", "money"),
    Column("delta $", "/greeks/delta_value", "money"),
    Column("vega", "/greeks/vega", "cents"),
    Column("theta", "/greeks/theta", "cents"),
    Column("IV", "/iv", "share"),
)

_CONCENTRATION = (
    Column("by", "/kind", "words"),
    Column("name", "/name", "words"),
    Column("structures", "/structures", "whole"),
    Column("margin", "/margin", "money"),
    Column("share", "/share", "share0"),
    Column("delta $", "/delta_value", "money"),
)

_DRIVERS = (Column("worst cell", "/name"), Column("P&L", "/pnl", "pnl"))

_TAIL = (
    Column("value at risk", "/value_at_risk", "money", "One day, over the stored returns."),
    Column("CVaR", "/cvar", "money"),
    Column("worst", "/worst", "money"),
    Column("on", "/worst_day", "day"),
    Column("confidence", "/confidence", "share0"),
    Column("days", "/days", "whole"),
    Column("diversification", "/diversification", "ratio"),
)

_JUMPS = (
    Column("symbol", "/symbol"),
    Column("event", "/kind", "words"),
    Column("day", "/day", "day"),
    Column("move", "/move", "share"),
    Column("P&L up", "/up", "pnl"),
    Column("P&L down", "/down", "pnl"),
    Column("note", "/note"),
)

_ASSIGNMENTS = (
    Column("structure", "/structure"),
    Column("contract", "/contract"),
    Column("why", "/reason", "words"),
    Column("time value", "/time_value", "cents"),
    Column("what", "/message"),
)

_GAPS = (
    Column("position", "/name"),
    Column("quantity", "/quantity", "price"),
    Column("lacks", "/missing", "words"),
    Column("why", "/reason"),
)

_ENTRIES = (
    Column("entry", "/id", "price"),
    Column("symbol", "/symbol"),
    Column("strategy", "/strategy", "words"),
    Column("opened", "/opened_at", "time"),
    Column("PoS then", "/context/pos", "share"),
    Column("EV then", "/context/ev", "pnl"),
    Column("IV rank then", "/context/iv_rank", "share0"),
    Column("plan", "/plan"),
)

_STATISTICS = (
    Column("", "/label", "words"),
    Column("closed", "/n", "whole"),
    Column("won", "/wins", "whole"),
    Column("win rate", "/win_rate/value", "share"),
    Column("from", "/win_rate/low", "share", "95 % interval."),
    Column("to", "/win_rate/high", "share"),
    Column("mean win", "/average_win", "pnl"),
    Column("mean loss", "/average_loss", "pnl"),
    Column("expectancy", "/expectancy/value", "pnl"),
    Column("from", "/expectancy/low", "pnl", "95 % interval."),
    Column("to", "/expectancy/high", "pnl"),
    Column("total", "/total", "pnl"),
    Column("profit factor", "/profit_factor", "ratio"),
    Column("drawdown", "/max_drawdown", "money"),
    Column("days", "/average_days", "number"),
    Column("ROM", "/rom", "share"),
)

_CALIBRATION = (
    Column("forecasts", "/n", "whole"),
    Column("independent", "/clusters", "whole", "Distinct symbols and expiries."),
    Column("Brier", "/brier/value", "ratio", "Mean squared miss of the probabilities."),
    Column("skill", "/skill", "ratio", "Over always saying the base rate."),
    Column("base rate", "/base_rate", "share"),
    Column("bias", "/bias/value", "share", "Positive is too rosy."),
)

_BINS = (
    Column("from", "/low", "share0"),
    Column("to", "/high", "share0"),
    Column("n", "/n", "whole"),
    Column("forecast", "/forecast", "share"),
    Column("came true", "/hit/value", "share"),
)

_BANDS = (
    Column("grade", "/grade"),
    Column("n", "/n", "whole"),
    Column("forecast", "/forecast", "share"),
    Column("came true", "/hit/value", "share"),
    Column("EV", "/ev", "pnl"),
    Column("result", "/result/value", "pnl"),
    Column("ROM", "/rom", "share"),
)


def portfolio(document: Document, *, stress: Sequence[Figure] = ()) -> Page:
    """What is held: alerts, totals, structures, stress, and what is missing in them."""
    sections = [
        Section(
            "Alerts",
            (Table("/alerts", ALERTS, empty="Nothing asks for attention."),),
        ),
        Section(
            "The book",
            (Facts("/review", TOTALS), Table("/review/accounts", _ACCOUNTS)),
        ),
        Section(
            "Structures",
            (
                Table("/review/structures", _STRUCTURES, empty="Nothing is held."),
                Table("/review/assignments", _ASSIGNMENTS, caption="May well be exercised."),
                Table("/review/gaps", _GAPS, caption="Held, and not wholly in the figures."),
                Lines("/review/notes"),
            ),
        ),
    ]
    risk: list[Part] = [
        Gallery(tuple(stress)),
        *([Table("/review/stress/drivers", _DRIVERS)] if document["review"]["stress"] else []),
        *([Facts("/review/tail", _TAIL)] if document["review"]["tail"] else []),
        Table("/review/jumps", _JUMPS, caption="Known events."),
        Table("/review/concentration", _CONCENTRATION),
    ]
    sections.append(Section("Risk", tuple(risk), break_before=True))
    if document["remarks"]:
        sections.append(Section("Remarks", (Table("/remarks", ALERTS[1:]),)))
    return Page(dated("Portfolio", document), document, HEAD, tuple(sections))


def journal(document: Document, *, calibration: Sequence[Figure] = ()) -> Page:
    """What was traded: open entries, results, and how honest the forecasts were."""
    sections = (
        Section(
            "Open trades",
            (
                Table("/signals", SIGNALS, empty="No trade is open."),
                Table("/open", _ENTRIES),
            ),
        ),
        Section(
            "Results",
            (
                Facts("/journal/overall", _STATISTICS[1:]),
                Table("/journal/groups", _STATISTICS),
                Lines("/journal/notes"),
            ),
        ),
        Section(
            "Forecasts",
            (
                Gallery(tuple(calibration)),
                Facts("/journal/trades", _CALIBRATION),
                Table("/journal/trades/bins", _BINS, caption="Trades, as they were closed."),
                Facts("/journal/proposals", _CALIBRATION),
                Table("/journal/proposals/bins", _BINS, caption="Proposals, held to expiry."),
                Table("/journal/score/bands", _BANDS, caption="What each grade came to."),
            ),
        ),
    )
    return Page(dated("Journal", document), document, HEAD, sections)
