"""Which page each report is: its sections, and the columns of its tables. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

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

Document: TypeAlias = Mapping[str, Any]

HEAD = (
    Column("data time", "/meta/as_of", "time"),
    Column("market data", "/meta/data_type", "words"),
    Column("source", "/meta/source"),
    Column("quality", "/meta/quality", "share0", "Share of the data below that is whole."),
    Column("written", "/meta/made_at", "time"),
    Column("TOMIC", "/meta/version"),
)

_RANKING = (
    Column("#", "/rank", "whole"),
    Column("symbol", "/symbol"),
    Column("trade", "/trade", "words"),
    Column("days", "/dte", "whole", "Calendar days to the first expiry."),
    Column("credit", "/credit", "cents", "Executable, after slippage and commission."),
    Column("max loss", "/max_loss", "money"),
    Column("margin", "/margin", "money"),
    Column("PoS", "/pos", "share", "P(P&L > 0) at the first expiry, forecast density."),
    Column("EV", "/ev", "pnl", "Mean P&L, forecast density, today's money."),
    Column("EV market", "/ev_market", "pnl", "The same under the market's own density."),
    Column("ROM 30 d", "/rom_30d", "share", "Profit over margin per 30 days."),
    Column("theta", "/theta", "cents", "Per calendar day."),
    Column("breakevens", "/breakevens", "list"),
    Column("score", "/score", "number"),
    Column("grade", "/grade"),
)

_TRADE = (
    Column("credit", "/credit", "cents", "Executable, after slippage and commission."),
    Column("at mid", "/credit_mid", "cents"),
    Column("natural", "/credit_natural", "cents", "Sold at the bid, bought at the ask."),
    Column("max profit", "/max_profit", "money"),
    Column("max loss", "/max_loss", "money"),
    Column("margin", "/margin", "money", "Requirement less credit, plus debit."),
    Column("breakevens", "/breakevens", "list"),
    Column("PoS", "/pos", "share", "Forecast density."),
    Column("PoS market", "/pos_market", "share"),
    Column("EV", "/ev", "pnl", "Forecast density, today's money."),
    Column("EV market", "/ev_market", "pnl"),
    Column("CVaR 95", "/cvar95", "money", "Mean loss of the worst 5 % of outcomes."),
    Column("ROM", "/rom", "share"),
    Column("ROM 30 d", "/rom_30d", "share"),
    Column("risk-reward", "/risk_reward", "ratio"),
    Column("touch", "/touch", "share", "The short strike most in danger, before expiry."),
    Column("Kelly", "/kelly", "share", "Capped fraction of capital to commit as margin."),
    Column("edge", "/edge", "cents", "Mid prices against the fitted smile."),
    Column("± edge", "/edge_error", "cents", "Standard error of the edge."),
    Column("score", "/score", "number"),
    Column("grade", "/grade"),
)

_GREEKS = (
    Column("delta, shares", "/delta", "ratio"),
    Column("gamma", "/gamma", "ratio", "Shares per point."),
    Column("vega", "/vega", "cents", "Per 0.01 of volatility."),
    Column("theta", "/theta", "cents", "Per calendar day."),
    Column("theta / margin", "/theta_margin", "share", "Per calendar day."),
    Column("liquidity", "/liquidity", "ratio"),
    Column("fit", "/fit", "ratio"),
    Column("IV30", "/iv30", "share"),
    Column("HV", "/hv", "share"),
    Column("IV rank", "/iv_rank", "share0"),
    Column("forecast vol", "/forecast_volatility", "share"),
    Column("market vol", "/market_volatility", "share"),
)

_LEGS = (
    Column("leg", "/name", "words"),
    Column("quantity", "/quantity", "whole"),
    Column("right", "/right"),
    Column("strike", "/strike", "price"),
    Column("expiry", "/expiry", "day"),
    Column("price", "/price", "cents"),
    Column("from", "/price_source", "words"),
    Column("bid", "/bid", "cents"),
    Column("ask", "/ask", "cents"),
    Column("IV", "/iv", "share"),
    Column("delta", "/delta", "ratio"),
    Column("volume", "/volume", "whole"),
    Column("open interest", "/open_interest", "whole"),
)

_VOLATILITY = (
    Column("symbol", "/symbol"),
    Column("spot", "/spot", "cents"),
    Column("IV30", "/iv30", "share"),
    Column("rank", "/iv_rank", "share0", "Between lowest and highest of the window."),
    Column("percentile", "/iv_percentile", "share0", "Share of days that were lower."),
    Column("days", "/iv_days", "whole", "Days of IV history behind rank and percentile."),
    Column("HV20", "/hv20", "share"),
    Column("HV30", "/hv30", "share"),
    Column("HV90", "/hv90", "share"),
    Column("HV252", "/hv252", "share"),
    Column("skew", "/skew", "share", "IV of the 25-delta call less that of the put."),
    Column("M1−M2", "/term_m1_m2", "share", "First less second expiry; > 0 is backwardation."),
    Column("ATR14", "/atr14", "cents"),
    Column("earnings", "/next_earnings", "day"),
    Column("ex-dividend", "/next_dividend", "day"),
    Column("as of", "/as_of", "time"),
)

_REFUSED = (
    Column("rule", "/rule", "words"),
    Column("kind", "/kind", "words", "Failed a rule, or something needed was missing."),
    Column("trades", "/count", "whole"),
)

_MISSES = (
    Column("rule", "/rule", "words"),
    Column("symbol", "/symbol"),
    Column("trade", "/trade", "words"),
    Column("why", "/message"),
)

_OUTCOMES = (
    Column("symbol", "/symbol"),
    Column("considered", "/considered", "whole"),
    Column("passed", "/passed", "whole"),
    Column("went wrong", "/error"),
    Column("as of", "/as_of", "time"),
)

SIGNALS = (
    Column("entry", "/entry_id", "text"),
    Column("symbol", "/symbol"),
    Column("strategy", "/strategy", "words"),
    Column("days", "/dte", "whole"),
    Column("P&L", "/pnl", "pnl"),
    Column("of premium", "/share_of_premium", "share0"),
    Column("verdict", "/verdict", "words"),
    Column("because", "/fired", "list"),
    Column("as of", "/as_of", "time"),
)


TOTALS = (
    Column("net liquidation", "/net_liquidation", "money"),
    Column("P&L", "/totals/pnl", "pnl", "Unrealised; a dash where one is unknown."),
    Column("known", "/totals/pnl_known", "pnl", "Of the structures whose P&L is known."),
    Column("delta, dollars", "/totals/greeks/delta_value", "money", "Worth of the net shares."),
    Column("beta-weighted", "/totals/beta/delta", "number", "Shares of the benchmark."),
    Column("± one error", "/totals/beta/error", "number"),
    Column("gamma 1 %", "/totals/greeks/gamma_value", "money", "Change of delta dollars."),
    Column("vega", "/totals/greeks/vega", "cents", "Per 0.01 of volatility."),
    Column("theta", "/totals/greeks/theta", "cents", "Per calendar day."),
    Column(
        "margin",
        "/totals/margin",
        "money",
        "By our rules; a dash where one is unknown.",
    ),
    Column("at least", "/totals/margin_known", "money", "Of the structures whose margin is known."),
    Column("of net liq.", "/totals/margin_share", "share"),
    Column("worst cell", "/totals/worst/pnl", "pnl", "Of the stress grid."),
    Column("of net liq.", "/totals/worst_share", "share"),
)

ALERTS = (
    Column("severity", "/severity", "words"),
    Column("of", "/scope"),
    Column("what", "/message"),
    Column("advice", "/advice"),
)


def day(
    document: Document,
    *,
    payoffs: Sequence[Figure] = (),
    markets: Sequence[Figure] = (),
) -> Page:
    """The day: best trades, volatility, open trades, and what was refused or failed."""
    sections = [
        Section(
            "Best trades",
            (
                Lines("/missing"),
                Table("/scan/proposals", _RANKING, empty="No trade passed every rule."),
                Gallery(tuple(payoffs)),
                Lines("/scan/notes"),
            )
            if document["scan"] is not None
            else (Lines("/missing"),),
        )
    ]
    if document["signals"]:
        sections.append(Section("Open trades", (Table("/signals", SIGNALS),)))
    if document["book"] is not None:
        sections.append(
            Section(
                "The book",
                (
                    Facts("/book", (Column("as of", "/as_of", "time"), *TOTALS)),
                    Table("/book/alerts", ALERTS, empty="Nothing asks for attention."),
                ),
            )
        )
    sections.append(
        Section(
            "Volatility",
            (
                Table("/volatility", _VOLATILITY, empty="Nothing is stored yet."),
                Gallery(tuple(markets)),
            ),
            break_before=True,
        )
    )
    if document["scan"] is not None:
        sections.append(_refused())
    return Page(dated("Day", document), document, HEAD, tuple(sections))


def _refused() -> Section:
    return Section(
        "Looked at, and refused",
        (
            Table("/scan/outcomes", _OUTCOMES),
            Table("/scan/rejected", _REFUSED, caption="Each trade at the first rule it failed."),
            Table("/scan/nearest_misses", _MISSES, caption="The nearest miss of each rule."),
        ),
    )


def proposal(document: Document, *, payoff: Sequence[Figure] = ()) -> Page:
    """One trade whole."""
    parts: tuple[Part, ...] = (
        Facts("/proposal", _TRADE),
        *payoff,
        Table("/proposal/legs", _LEGS),
        Facts("/proposal", _GREEKS),
        Table(
            "/proposal/parts",
            (Column("part of the score", "/name", "words"), Column("points", "/points", "number")),
        ),
        Lines("/proposal/notes"),
    )
    title = f"{document['proposal']['symbol']} {document['proposal']['trade']}".replace("_", " ")
    return Page(f"TOMIC · {title}", document, HEAD, (Section("The trade", parts),))


def dated(kind: str, document: Document) -> str:
    """The kind of report and the day of its data."""
    return f"TOMIC · {kind} of {str(document['meta']['as_of'])[:10]}"
