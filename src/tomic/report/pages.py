"""Which page each report is: its sections, and the columns of its tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tomic.figures import Definition, columns
from tomic.present.scan import EVENT_KEY
from tomic.report.layout import (
    MISSING,
    FigureColumn,
    FigureGrid,
    FigureTable,
    Gallery,
    Kind,
    Part,
    ReportPage,
    ReportSection,
    Sentences,
    Sliders,
    SvgPicture,
    cell,
)

Document: TypeAlias = Mapping[str, Any]

_KINDS: Mapping[tuple[int, float], Kind] = {
    (0, 1.0): "whole",
    (1, 1.0): "number",
    (2, 1.0): "cents",
    (0, 100.0): "share0",
    (1, 100.0): "share",
}
"""How figures are written, by their decimals and their factor."""

_RESULTS = ("ev", "ev_quotes")
"""Gains and losses, of which losses stand out."""


def figures(fields: str) -> tuple[FigureColumn, ...]:
    """Columns of the figures named in *fields*, headed, written and explained as everywhere."""
    return tuple(
        FigureColumn(
            figure.heading,
            f"/{figure.name}",
            "pnl" if figure.name in _RESULTS else _KINDS[figure.decimals, figure.factor],
            figure.meaning if isinstance(figure, Definition) else figure.title,
        )
        for figure in columns(fields)
    )


def known(columns: tuple[FigureColumn, ...], rows: Sequence[Document]) -> tuple[FigureColumn, ...]:
    """The *columns* that some of *rows* have something in."""
    return tuple(
        column
        for column in columns
        if any(cell(row, column.at, column.kind) != MISSING for row in rows)
    )


HEAD = (
    FigureColumn("data time", "/meta/as_of", "time"),
    FigureColumn("market data", "/meta/data_type", "words"),
    FigureColumn("source", "/meta/source"),
    FigureColumn("quality", "/meta/quality", "share0", "Share of the data below that is whole."),
    FigureColumn("written", "/meta/made_at", "time"),
    FigureColumn("TOMIC", "/meta/version"),
)

_VIEW = (
    FigureColumn("PoS, your view", "/view/pos", "share"),
    FigureColumn("EV, your view", "/view/ev", "pnl"),
)

# What decides stands left, where a phone shows it without scrolling.
_RANKING = (
    FigureColumn("#", "/rank", "whole"),
    FigureColumn("symbol", "/symbol"),
    *figures("score"),
    FigureColumn("grade", "/grade"),
    FigureColumn("PoS", "/pos", "share0", "A profit at expiry; others say POP."),
    *figures("ev"),
    FigureColumn("±", "/ev_error", "whole", "Standard error of EV."),
    FigureColumn("trade", "/trade_text", "words"),
    FigureColumn("strategy", "/strategy", "words"),
    *figures("dte"),
    FigureColumn("credit", "/limit", "cents", "Per share at mid, as one types it; - is a debit."),
    *figures("short_delta distance"),
    FigureColumn("P(target)", "/managed/p_target", "share0", "By the exits of [journal]."),
    FigureColumn("EV, your view", "/view/ev", "pnl"),
    *figures("cost_share"),
    FigureColumn("BP", "/margin", "whole", "Buying power: what it takes of excess liquidity."),
    *figures("max_loss"),
    FigureColumn("event", "/flags", "text", EVENT_KEY),
    FigureColumn("similar", "/alike", "text", "Others like it that passed every rule."),
)

_TRADE = (
    FigureColumn("credit", "/credit", "cents", "Per structure: executable, commission taken off."),
    FigureColumn("at mid", "/credit_mid", "cents"),
    FigureColumn("natural", "/credit_natural", "cents", "Sold at the bid, bought at the ask."),
    FigureColumn("commission", "/commission", "cents", "Taken off the credit, not off the others."),
    *figures("max_profit max_loss"),
    FigureColumn("mean win", "/mean_win", "whole", "Of the outcomes that win."),
    FigureColumn("buying power", "/margin", "whole", "Margin less credit, plus debit."),
    FigureColumn("breakevens", "/breakevens", "list"),
    *figures("distance short_delta"),
    FigureColumn("PoS", "/pos", "share", "A profit at expiry; others say POP."),
    *figures("ev"),
    FigureColumn("± EV", "/ev_error", "cents", "Standard error of EV."),
    *_VIEW,
    *figures("cost_share cvar95 rom rom_30d risk_reward touch kelly edge"),
    FigureColumn("± edge", "/edge_error", "cents", "Standard error of the edge."),
    *figures("score"),
    FigureColumn("grade", "/grade"),
    FigureColumn(
        "percentile", "/percentile", "share0", "Of the day's candidates of this strategy."
    ),
)

_MANAGED = (
    FigureColumn("managed: target", "/target", "whole", "P&L at which it is closed."),
    FigureColumn("P(target)", "/p_target", "share"),
    FigureColumn("P(stop)", "/p_stop", "share"),
    FigureColumn("P(last day)", "/p_time", "share"),
    FigureColumn("P(expiry)", "/p_expiry", "share"),
    FigureColumn("days held", "/days", "whole"),
    FigureColumn("EV managed", "/ev", "pnl", "After the costs of exit too."),
    FigureColumn("±", "/ev_error", "cents"),
    FigureColumn("worst 5 %", "/tail", "pnl"),
)

_SIZE = (
    FigureColumn("how many", "/contracts", "whole"),
    FigureColumn("by risk", "/by_risk", "whole"),
    FigureColumn("by margin", "/by_margin", "whole"),
    FigureColumn("by Kelly", "/kelly", "whole"),
    FigureColumn("limited by", "/limited_by", "words"),
    FigureColumn("buying power after", "/buying_power_after", "money"),
)

_SIMILAR = (
    *figures("score"),
    FigureColumn("also", "/trade", "words"),
    FigureColumn("credit", "/credit", "cents"),
    FigureColumn("PoS", "/pos", "share"),
    *figures("ev margin"),
)

_GREEKS = (
    FigureColumn("delta, shares", "/delta", "ratio"),
    FigureColumn("gamma", "/gamma", "ratio", "Shares per point."),
    FigureColumn("vega", "/vega", "cents", "Per 0.01 of volatility."),
    FigureColumn("theta", "/theta", "cents", "Per calendar day."),
    *figures("theta_margin liquidity fit iv30 iv_rank"),
    FigureColumn("volatility", "/market_volatility", "share", "Implied to expiry, all strikes."),
)

_LEGS = (
    FigureColumn("leg", "/name", "words"),
    FigureColumn("quantity", "/quantity", "whole"),
    FigureColumn("right", "/right"),
    FigureColumn("strike", "/strike", "price"),
    FigureColumn("expiry", "/expiry", "day"),
    FigureColumn("price", "/price", "cents"),
    FigureColumn("from", "/price_source", "source"),
    *figures("bid ask iv delta volume open_interest"),
    FigureColumn("contract id", "/con_id"),
)

_VOLATILITY = (
    FigureColumn("symbol", "/symbol"),
    *figures("spot iv30 iv_rank iv_percentile iv_days hv20 hv30 hv90 hv252 skew term_m1_m2 atr14"),
    FigureColumn("earnings", "/next_earnings", "day"),
    FigureColumn("ex-dividend", "/next_dividend", "day"),
    FigureColumn("as of", "/as_of", "time"),
)

_REFUSED = (
    FigureColumn("rule", "/rule", "words"),
    FigureColumn("kind", "/kind", "words", "Failed a rule, or something needed was missing."),
    FigureColumn("trades", "/count", "whole"),
)

_MISSES = (
    FigureColumn("rule", "/rule", "words"),
    FigureColumn("symbol", "/symbol"),
    FigureColumn("trade", "/trade", "words"),
    FigureColumn("why", "/message"),
)

_OUTCOMES = (
    FigureColumn("symbol", "/symbol"),
    FigureColumn("considered", "/considered", "whole"),
    FigureColumn("passed", "/passed", "whole"),
    FigureColumn("went wrong", "/error"),
    FigureColumn("as of", "/as_of", "time"),
)

_ALTERNATIVES = (
    FigureColumn("#", "/rank", "whole"),
    FigureColumn("alternative", "/text"),
    FigureColumn("order", "/order", hint="Limit at mid on its tick, per share of one structure."),
    FigureColumn("costs", "/costs", "cents", "Spread and commission."),
    FigureColumn("locked in", "/locked_in", "pnl", "Of the campaign on what is closed."),
    *figures("pos"),
    FigureColumn("EV", "/ev", "pnl", "From here on."),
    FigureColumn("vs hold", "/ev_change", "pnl", "Expected value beside holding."),
    FigureColumn("±", "/ev_error", "cents", "Standard error of that difference."),
    FigureColumn("margin", "/margin", "cents", "Afterwards."),
    FigureColumn("score", "/score", "number"),
    FigureColumn("why", "/reason"),
)


def _what_now(document: Document) -> list[ReportSection]:
    """The alternatives of each position of which an exit rule fired."""
    return [
        ReportSection(
            f"What now: {one['title']}",
            (
                FigureTable(f"/what_now/{number}/moves", _ALTERNATIVES, empty=one["problem"]),
                Sentences(f"/what_now/{number}/refused"),
            ),
        )
        for number, one in enumerate(document["what_now"])
    ]


SIGNALS = (
    FigureColumn("entry", "/entry_id", "text"),
    FigureColumn("symbol", "/symbol"),
    FigureColumn("strategy", "/strategy", "words"),
    *figures("dte"),
    FigureColumn("P&L", "/pnl", "pnl"),
    *figures("share_of_premium"),
    FigureColumn("verdict", "/verdict", "words"),
    FigureColumn("because", "/fired", "list"),
    FigureColumn("as of", "/as_of", "time"),
)


TOTALS = (
    FigureColumn("net liquidation", "/net_liquidation", "money"),
    FigureColumn("P&L", "/totals/pnl", "pnl", "Unrealised; a dash where one is unknown."),
    FigureColumn("known", "/totals/pnl_known", "pnl", "Of the structures whose P&L is known."),
    FigureColumn(
        "delta, dollars", "/totals/greeks/delta_value", "money", "Worth of the net shares."
    ),
    FigureColumn("beta-weighted", "/totals/beta/delta", "number", "Shares of the benchmark."),
    FigureColumn("± one error", "/totals/beta/error", "number"),
    FigureColumn("gamma 1 %", "/totals/greeks/gamma_value", "money", "Change of delta dollars."),
    FigureColumn("vega", "/totals/greeks/vega", "cents", "Per 0.01 of volatility."),
    FigureColumn("theta", "/totals/greeks/theta", "cents", "Per calendar day."),
    FigureColumn("margin", "/totals/margin", "money", "By our rules; a dash where one is unknown."),
    FigureColumn(
        "at least", "/totals/margin_known", "money", "Of the structures whose margin is known."
    ),
    FigureColumn("of net liq.", "/totals/margin_share", "share"),
    FigureColumn("worst cell", "/totals/worst/pnl", "pnl", "Of the stress grid."),
    FigureColumn("of net liq.", "/totals/worst_share", "share"),
)

ALERTS = (
    FigureColumn("severity", "/severity", "words"),
    FigureColumn("of", "/scope"),
    FigureColumn("what", "/message"),
    FigureColumn("advice", "/advice"),
)


GRADES = (
    FigureColumn("grade", "/grade"),
    FigureColumn("ended", "/ended", "whole", "Of all that were made: those that are over."),
    FigureColumn("won, %", "/won_text", "text", "Realised, with its 95 % interval."),
    FigureColumn("PoS", "/pos", "share0", "Promised, of holding to the expiry."),
    FigureColumn("per margin, %", "/margin_text", "text", "Realised, 95 % over whole months."),
    FigureColumn("managed EV", "/managed_ev", "share", "Promised of managing, per margin."),
)

TARGETS = (
    FigureColumn("grade", "/grade"),
    FigureColumn("made", "/n", "whole"),
    FigureColumn("target, %", "/target_text", "text", "Share that the target closed."),
    FigureColumn("P(target)", "/p_target", "share0", "Promised."),
    FigureColumn("by quotes", "/by_quotes", "share0", "Share of marks; the others are a model's."),
    FigureColumn("", "/few"),
)


def day(
    document: Document, *, payoffs: Sequence[SvgPicture] = (), markets: Sequence[SvgPicture] = ()
) -> ReportPage:
    """The day: best trades, volatility, open trades, and what was refused or failed."""
    found = (document["scan"] or {}).get("proposals") or ()
    ranked = known(_RANKING, found) if found else _RANKING
    sections = [
        ReportSection(
            "Best trades",
            (
                Sentences("/scanned"),
                Sentences("/missing"),
                FigureTable("/scan/proposals", ranked, empty="No trade passed every rule."),
                Gallery(tuple(payoffs)),
                Sentences("/scan/notes"),
            )
            if document["scan"] is not None
            else (Sentences("/missing"),),
        )
    ]
    if document["signals"]:
        sections.append(ReportSection("Open trades", (FigureTable("/signals", SIGNALS),)))
    sections += _what_now(document)
    sections += _track(document)
    if document["book"] is not None:
        sections.append(
            ReportSection(
                "The book",
                (
                    FigureGrid("/book", (FigureColumn("as of", "/as_of", "time"), *TOTALS)),
                    FigureTable("/book/alerts", ALERTS, empty="Nothing asks for attention."),
                ),
            )
        )
    sections.append(
        ReportSection(
            "Volatility",
            (
                FigureTable("/volatility", _VOLATILITY, empty="Nothing is stored yet."),
                Gallery(tuple(markets)),
            ),
        )
    )
    if document["scan"] is not None:
        sections.append(_refused())
    return ReportPage(dated("Day", document), document, HEAD, tuple(sections))


def _track(document: Document) -> list[ReportSection]:
    """What became of proposals, last month's grade by grade; nothing where none is over."""
    record = document.get("track")
    if record is None:
        return []
    month = record["month"]
    parts: tuple[Part, ...] = (
        FigureTable("/track/last_month", GRADES, empty=f"None was made in {month}."),
        FigureTable("/track/groups", GRADES, caption="Of all months."),
        Sentences("/track/notes"),
    )
    return [ReportSection(f"What the proposals of {month} came to", parts)]


def _refused() -> ReportSection:
    return ReportSection(
        "Looked at, and refused",
        (
            FigureTable("/scan/outcomes", _OUTCOMES),
            FigureTable(
                "/scan/rejected", _REFUSED, caption="Each trade at the first rule it failed."
            ),
            FigureTable("/scan/nearest_misses", _MISSES, caption="The nearest miss of each rule."),
        ),
    )


def proposal(document: Document, *, payoff: Sequence[SvgPicture] = ()) -> ReportPage:
    """One trade whole."""
    given = document["proposal"]
    parts: tuple[Part, ...] = (
        FigureGrid("/proposal", known(_TRADE, [given])),
        *([FigureGrid("/proposal/managed", _MANAGED)] if given["managed"] else []),
        Sentences("/proposal/no_edge"),
        *([FigureGrid("/proposal/size", _SIZE)] if given["size"] else []),
        Sentences("/proposal/event_texts"),
        *payoff,
        FigureTable("/proposal/legs", _LEGS),
        Sentences("/proposal/order", "order"),
        FigureGrid("/proposal", known(_GREEKS, [given])),
        FigureTable(
            "/proposal/parts",
            (
                FigureColumn("part of the score", "/name", "words"),
                FigureColumn("points", "/points", "number"),
            ),
        ),
        FigureTable("/proposal/similar", _SIMILAR, caption="Others of the same thesis."),
        Sentences("/proposal/notes"),
    )
    title = f"{given['id']} {given['symbol']} {given['trade']}".strip().replace("_", " ")
    return ReportPage(f"TOMIC · {title}", document, HEAD, (ReportSection("The trade", parts),))


def dated(kind: str, document: Document) -> str:
    """The kind of report and the day of its data."""
    return f"TOMIC · {kind} of {str(document['meta']['as_of'])[:10]}"


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
    *figures("dte"),
    FigureColumn("held", "/days_in_trade", "whole", "Days in the trade."),
    FigureColumn("credit", "/credit", "cents", "Premium received when it was entered."),
    FigureColumn("P&L", "/pnl", "pnl"),
    FigureColumn("of max", "/profit_share", "share0", "P&L over the largest possible profit."),
    *figures("max_loss margin"),
    FigureColumn("delta $", "/greeks/delta_value", "money"),
    FigureColumn("vega", "/greeks/vega", "cents"),
    FigureColumn("theta", "/greeks/theta", "cents"),
    *figures("iv"),
)

_CONCENTRATION = (
    FigureColumn("by", "/kind", "words"),
    FigureColumn("name", "/name", "words"),
    FigureColumn("structures", "/structures", "whole"),
    *figures("margin"),
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
    *figures("diversification"),
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
    *figures("profit_factor"),
    FigureColumn("drawdown", "/max_drawdown", "money"),
    FigureColumn("days", "/average_days", "number"),
    *figures("rom"),
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
    *figures("rom"),
)


def portfolio(document: Document, *, stress: Sequence[SvgPicture] = ()) -> ReportPage:
    """What is held: alerts, totals, structures, stress, and what is missing in them."""
    sections = [
        ReportSection(
            "Alerts", (FigureTable("/alerts", ALERTS, empty="Nothing asks for attention."),)
        ),
        ReportSection(
            "The book", (FigureGrid("/review", TOTALS), FigureTable("/review/accounts", _ACCOUNTS))
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
    sections.append(ReportSection("Risk", tuple(risk)))
    if document["what_if"]:
        sliders = [_what_if(n, item) for n, item in enumerate(document["what_if"])]
        sections.append(ReportSection("What if", (Sentences("/what_if_notes"), *sliders)))
    if document["remarks"]:
        sections.append(ReportSection("Remarks", (FigureTable("/remarks", ALERTS[1:]),)))
    return ReportPage(dated("Portfolio", document), document, HEAD, tuple(sections))


def _what_if(place: int, item: Document) -> Sliders:
    """The sliders of one structure over its table."""
    columns = (
        FigureColumn("price", "/move", "share"),
        FigureColumn("", "/price", "price"),
        *(
            FigureColumn(name, f"/pnl/{number}", "pnl")
            for number, name in enumerate(item["horizons"])
        ),
    )
    at = f"/what_if/{place}"
    return Sliders(at, FigureTable(f"{at}/rows", columns), is_open=place == 0)


def journal(document: Document, *, calibration: Sequence[SvgPicture] = ()) -> ReportPage:
    """What was traded: open entries, results, and how honest the forecasts were."""
    sections = (
        ReportSection(
            "Open trades",
            (
                FigureTable("/signals", SIGNALS, empty="No trade is open."),
                FigureTable("/open", _ENTRIES),
            ),
        ),
        *_what_now(document),
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
