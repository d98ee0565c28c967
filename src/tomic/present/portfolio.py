"""The review of the portfolio as text for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tomic._version import __version__
from tomic.masking import masked
from tomic.models.book import AccountSummary
from tomic.models.documents import to_document, with_flags
from tomic.models.review import (
    Alert,
    BookReview,
    BookTotals,
    Concentration,
    HeldLeg,
    Severity,
    StressGrid,
    Structure,
    WhatIfMargin,
)
from tomic.portfolio.exposure import Total
from tomic.present import forms
from tomic.present.forms import Format, emit
from tomic.present.text import PlainTable, amount, money, number, per_cent
from tomic.workflows.portfolio.review import Considered, PortfolioReview

SCHEMA = "tomic.portfolio/1"
GROUPINGS = ("strategy", "symbol", "expiry")


def leg_text(leg: HeldLeg) -> str:
    """A leg in short; ~ where another volatility stands in for its own."""
    flag = "~" if leg.sigma_source not in ("own", "none") else ""
    if leg.strike is None or leg.expiry is None:
        return f"{leg.quantity:+g} {leg.contract.partition(' ')[2] or leg.contract}{flag}"
    return f"{leg.quantity:+g} {leg.strike:g}{leg.right} {leg.expiry:%d%b%y}{flag}"


# -- rows ----------------------------------------------------------------------------------------


def rows(review: BookReview, by: str) -> list[dict[str, Any]]:
    """
    One row per structure, or per symbol or expiry; money in the base currency.

    A sum of which a part is unknown is None, and a count beside it says of how many structures.
    """
    if by == "strategy":
        return [structure_row(one) for one in review.structures]
    name: Callable[[Structure], str] = (
        (lambda one: one.symbol) if by == "symbol" else (lambda one: str(one.expiry or "none"))
    )
    groups: dict[str, list[Structure]] = {}
    for one in review.structures:
        groups.setdefault(name(one), []).append(one)
    return [_group_row(by, key, groups[key], review) for key in sorted(groups)]


def structure_row(one: Structure) -> dict[str, Any]:
    """One structure in one row; an unbounded amount is None, and the flag beside it says so."""
    greeks = one.greeks
    row = {
        "id": one.id,
        "strategy": one.strategy,
        "symbol": one.symbol,
        "account": one.account,
        "source": one.source,
        "link": one.link or None,
        "quantity": one.quantity,
        "legs": ", ".join(leg_text(leg) for leg in one.legs),
        "expiry": one.expiry.isoformat() if one.expiry else None,
        "dte": one.dte,
        "days_in_trade": one.days_in_trade,
        "credit": one.credit,
        "pnl": one.pnl,
        "max_profit": one.max_profit,
        "max_loss": one.max_loss,
        "profit_share": one.profit_share,
        "delta": greeks.delta,
        "delta_value": greeks.delta_value,
        "gamma_value": greeks.gamma_value,
        "vega": greeks.vega,
        "theta": greeks.theta,
        "margin": one.margin,
        "margin_net": one.margin_net,
        "rom": one.rom,
        "currency": one.currency,
    }
    return with_flags(row, one.unbounded)


def _group_row(
    by: str, name: str, members: Sequence[Structure], review: BookReview
) -> dict[str, Any]:
    share = next((x.share for x in review.concentration if (x.kind, x.name) == (by, name)), None)
    pnl = Total.of((one.id, one.pnl) for one in members)
    margins = [one.margin for one in members]
    known = [value for value in margins if value is not None]
    row = {
        by: name,
        "structures": len(members),
        "pnl": pnl.value,
        "pnl_unknown": len(pnl.unknown),
        "delta": math.fsum(one.greeks.delta for one in members),
        "delta_value": math.fsum(one.greeks.delta_value for one in members),
        "gamma_value": math.fsum(one.greeks.gamma_value for one in members),
        "vega": math.fsum(one.greeks.vega for one in members),
        "theta": math.fsum(one.greeks.theta for one in members),
        # Infinite as soon as one of them is, whatever the others are.
        "margin": sum(known) if len(known) == len(margins) or math.inf in known else None,
        "margin_unknown": len(margins) - len(known),
        "margin_share": share,
    }
    return with_flags(row, ("margin",))


# -- machine forms ---------------------------------------------------------------------------------


def to_json(view: PortfolioReview, by: str, *, grids: bool) -> str:
    """The whole review as one document; the cells of stress grids only when asked for."""
    review = view.review
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "meta": {
            "as_of": review.as_of.isoformat(),
            "currency": review.currency,
            "data_type": review.data_type.value if review.data_type else None,
            "by": by,
            "book": str(view.saved) if view.saved else None,
            "version": __version__,
        },
        **_review_document(review, by, grids=grids),
    }
    if view.considered is not None:
        document["with"] = _considered_document(view.considered, by)
    return forms.to_json(document)


def _review_document(review: BookReview, by: str, *, grids: bool) -> dict[str, Any]:
    document = to_document(review)
    for name in ("as_of", "currency", "data_type"):
        document.pop(name)
    for grid in [document["stress"], *document["stress_by_symbol"]]:
        if grid is not None and not grids:
            grid.pop("pnl")
    return {"rows": rows(review, by), **document}


def _considered_document(one: Considered, by: str) -> dict[str, Any]:
    after = _review_document(one.after, by, grids=False)
    return {
        "trade": one.trade,
        "change": to_document(one.change),
        "structures": [to_document(x) for x in one.structures],
        "alerts": [to_document(x) for x in one.alerts],
        "ib_margin": to_document(one.what_if) if one.what_if else None,
        "ib_margin_problem": one.what_if_problem or None,
        "after": {name: after[name] for name in ("rows", "totals", "concentration", "alerts")},
    }


def shown(
    view: PortfolioReview,
    format: Format,
    by: str,
    *,
    spots: Sequence[float],
    every_alert: bool,
    width: int,
    color: bool,
) -> str:
    """
    The review in *format*; rows hold fractions and money as plain numbers, unknown ones empty.

    The other arguments are those of `text`.
    """
    return emit(
        format,
        table=lambda: text(
            view, by, spots=spots, every_alert=every_alert, width=width, color=color
        ),
        json=lambda: to_json(view, by, grids=bool(spots)),
        ndjson=lambda: forms.to_ndjson(rows(view.review, by)),
        csv=lambda: forms.to_csv(rows(view.review, by)),
    )


def text(
    view: PortfolioReview,
    by: str,
    *,
    spots: Sequence[float],
    every_alert: bool,
    width: int,
    color: bool,
) -> str:
    """
    The review and the considered trade.

    *spots* are the columns of the stress tables, none of which are shown when it is empty.
    """
    review = view.review
    parts = [header(review), _main_table(review, by, width=width, color=color), _totals(review)]
    if spots:
        parts += [_grid_text(one, review, spots, color) for one in _grids(review)]
        parts.append(_events(review))
    parts.append(_concentration(review))
    parts.append(_alerts(review.alerts, every=every_alert))
    parts.append(_gaps(review))
    if view.considered is not None:
        parts.append(considered_text(review, view.considered, color=color))
    return "\n\n".join(part for part in parts if part) + "\n"


def header(review: BookReview) -> str:
    """Accounts, what they are worth, and the rates used."""
    lines = [_account(one, several=len(review.accounts) > 1) for one in review.accounts]
    kind = f" · {review.data_type.value} quotes" if review.data_type else ""
    rates = ", ".join(
        f"1 {name} = {rate:,.4f} {review.currency}"
        for name, rate in sorted(review.rates.items())
        if name != review.currency
    )
    moment = f"{review.as_of:%Y-%m-%d %H:%M} UTC{kind}{f' · {rates}' if rates else ''}"
    return "\n".join([*lines, moment])


def _account(one: AccountSummary, *, several: bool) -> str:
    name = f"{masked(one.account)} " if several else ""
    figures = [
        ("NetLiq", one.net_liquidation),
        ("initial margin", one.initial_margin),
        ("maintenance", one.maintenance_margin),
        ("excess", one.excess_liquidity),
        ("cash", one.cash),
    ]
    known = " · ".join(
        f"{title} {value:,.0f} {one.currency}{_of_net(title, value, one)}"
        for title, value in figures
        if value is not None
    )
    return f"{name}{known or 'account values unknown'}"


def _of_net(title: str, value: float, one: AccountSummary) -> str:
    if title in ("NetLiq", "cash") or not one.net_liquidation:
        return ""
    return f" ({value / one.net_liquidation:.0%})"


_NUMBERS = (
    ("P&L", "pnl", 0),
    ("Δ shares", "delta", 0),
    ("Δ value", "delta_value", 0),
    ("Γ value/1%", "gamma_value", 0),
    ("V/pt", "vega", 1),
    ("Θ/day", "theta", 1),
)


def _main_table(review: BookReview, by: str, *, width: int, color: bool) -> str:
    if not review.structures:
        return "no positions that can be shown; see what is left out below"
    numbers = [title for title, _, _ in _NUMBERS]
    if by == "strategy":
        table = PlainTable(
            "id", "strategy", "DTE", "days", *numbers, "%max", "ROM", "margin", "legs",
            left=(0, 1, len(numbers) + 7),
        )  # fmt: skip
        for one in review.structures:
            table.add_row(*_structure_cells(one))
        return table.text(width=width, bold=color).rstrip("\n")
    table = PlainTable(by, "structures", *numbers, "margin", "share")
    for row in rows(review, by):
        table.add_row(*_group_cells(row, by))
    return table.text(bold=color).rstrip("\n")


def _structure_cells(one: Structure) -> list[str]:
    row = structure_row(one)
    times = f" x{one.quantity:g}" if one.quantity != 1.0 else ""
    mark = {"pin": " (pin)", "journal": f" (#{one.link})"}.get(one.source, "")
    days = "" if one.days_in_trade is None else f"{one.days_in_trade}"
    return [
        one.id,
        f"{one.strategy.replace('_', ' ')}{times}{mark}",
        "" if one.dte is None else str(one.dte),
        f"≥{days}" if one.days_at_least and one.days_in_trade else days,
        *(_signed(row[field], decimals) for _, field, decimals in _NUMBERS),
        per_cent(one.profit_share),
        per_cent(one.rom),
        _amount(one.margin),
        ", ".join(leg_text(leg) for leg in one.legs),
    ]


def _group_cells(row: dict[str, Any], by: str) -> list[str]:
    margin = math.inf if row["margin_bounded"] is False else row["margin"]
    return [
        row[by],
        str(row["structures"]),
        *(_signed(row[field], decimals) for _, field, decimals in _NUMBERS),
        _amount(margin),
        per_cent(row["margin_share"]),
    ]


def _signed(value: float | None, decimals: int) -> str:
    return money(value, decimals) or "?"


def _amount(value: float | None) -> str:
    return amount(value) or "?"


def _totals(review: BookReview) -> str:
    totals, greeks = review.totals, review.totals.greeks
    lines = [
        f"book     P&L {_pnl(totals)} · delta {_signed(greeks.delta, 0)} shares, "
        f"{_signed(greeks.delta_value, 0)} {review.currency} · gamma "
        f"{_signed(greeks.gamma_value, 0)} per 1 % · vega {_signed(greeks.vega, 1)} per point · "
        f"theta {_signed(greeks.theta, 1)} a day"
    ]
    if totals.beta is not None:
        lines.append(f"beta     {_beta(review)}")
    lines.append(f"margin   {_margin(totals)}")
    if totals.worst is not None and review.stress is not None:
        lines.append(f"stress   {_worst(review)}")
    if review.tail is not None:
        lines.append(f"tail     {_tail(review)}")
    return "\n".join(lines)


def _pnl(totals: BookTotals) -> str:
    if totals.pnl is not None or totals.pnl_known is None:
        return _signed(totals.pnl, 0)
    return f"? ({_signed(totals.pnl_known, 0)} without {', '.join(totals.pnl_unknown)})"


def _margin(totals: BookTotals) -> str:
    share = f" ({totals.margin_share:.0%} of NetLiq)" if totals.margin_share is not None else ""
    least = "" if totals.margin is not None else "at least "
    net = "" if totals.margin is None or totals.margin_net is not None else " before credits"
    unknown = f"; not known for {', '.join(totals.margin_unknown)}" if totals.margin_unknown else ""
    return f"{least}{number(totals.margin_known, 0)} by our rules{net}{share}{unknown}"


def _beta(review: BookReview) -> str:
    beta = review.totals.beta
    if beta is None:
        return ""
    assumed = [one.symbol for one in beta.betas if one.n == 0]
    if beta.delta is None or beta.error is None:
        size = f"{beta.delta_value:+,.0f} {review.currency}; no price of {beta.benchmark}"
    else:
        size = f"{beta.delta:+,.1f} ± {beta.error:,.1f} {beta.benchmark} shares"
    told = f", assumed 1 ± 0.4 for {', '.join(assumed)}" if assumed else ""
    return f"weighted delta {size} · betas over {beta.window} days, shrunk{told}"


def _worst(review: BookReview) -> str:
    grid, totals = review.stress, review.totals
    if grid is None:
        return ""
    share = f" ({totals.worst_share:.1%} of NetLiq)" if totals.worst_share is not None else ""
    cell = grid.worst
    drivers = ", ".join(f"{one.name} {one.pnl:+,.0f}" for one in grid.drivers[:3])
    left = f"; without {', '.join(grid.without)}" if grid.without else ""
    return (
        f"worst {cell.pnl:+,.0f}{share} at spot {cell.spot_move:+.0%}, volatility "
        f"{cell.vol_move:+.0%}, {cell.days} days; driven by {drivers}{left}"
    )


def _tail(review: BookReview) -> str:
    tail = review.tail
    if tail is None:
        return ""
    ratio = f" · diversification {tail.diversification:.2f}" if tail.diversification else ""
    left = f"; without {', '.join(tail.without)}" if tail.without else ""
    return (
        f"one day, {tail.confidence:.0%}: VaR {tail.value_at_risk:,.0f}, CVaR {tail.cvar:,.0f}, "
        f"worst {tail.worst:,.0f} on {tail.worst_day} · {tail.days} stored days, "
        f"volatility kept{ratio}{left}"
    )


# -- stress and events -----------------------------------------------------------------------------


def _grids(review: BookReview) -> Iterable[StressGrid]:
    if review.stress is not None:
        yield review.stress
    # Shares alone are a straight line, which needs no table.
    curved = {one.symbol for one in review.structures if one.expiry is not None}
    if len(review.stress_by_symbol) > 1:
        yield from (one for one in review.stress_by_symbol if one.name in curved)


_SHOWN_VOLS = (-0.5, 0.0, 0.5, 1.0)


def _grid_text(grid: StressGrid, review: BookReview, shown: Sequence[float], color: bool) -> str:
    """P&L today by spot and volatility, and over time with the volatility of today."""
    spots = [place for place, move in enumerate(grid.spot_moves) if _near(move, shown)]
    vols = [place for place, move in enumerate(grid.vol_moves) if _near(move, _SHOWN_VOLS)]
    table = PlainTable("vol \\ spot", *(f"{grid.spot_moves[place]:+.0%}" for place in spots))
    for vol in vols:
        cells = [_signed(grid.pnl[spot][vol][0], 0) for spot in spots]
        table.add_row(f"{grid.vol_moves[vol]:+.0%} today", *cells)
    middle = grid.vol_moves.index(0.0)
    for day, days in enumerate(grid.days):
        if days:
            cells = [_signed(grid.pnl[spot][middle][day], 0) for spot in spots]
            table.add_row(f"+0% in {days} days", *cells)
    title = f"stress of {grid.name}, {review.currency}, from the live spot"
    return f"{title}\n{table.text(bold=color)}".rstrip("\n")


def _near(move: float, shown: Sequence[float]) -> bool:
    return any(abs(move - one) < 1e-9 for one in shown)


def _events(review: BookReview) -> str:
    lines = []
    for one in review.jumps:
        sides = f"{one.move:+.1%} {_signed(one.down, 0)}"
        if one.up is not None:
            sides = f"+{one.move:.1%} {_signed(one.up, 0)}, -{one.move:.1%} {_signed(one.down, 0)}"
        note = f" ({one.note})" if one.note else ""
        lines.append(f"{one.day} {one.symbol} {one.kind}: {sides}{note}")
    return "events\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


# -- concentration, alerts, gaps -------------------------------------------------------------------


def _concentration(review: BookReview) -> str:
    lines = []
    for kind in ("symbol", "sector", "strategy", "expiry"):
        mine = [one for one in review.concentration if one.kind == kind]
        held = [one for one in mine if one.margin_known]
        if len(held) > 1:
            shown = ", ".join(f"{one.name.replace('_', ' ')} {_share(one)}" for one in held[:5])
            unknown = [name for one in mine for name in one.margin_unknown]
            left = f"; without {', '.join(unknown)}" if unknown else ""
            lines.append(f"margin by {kind}: {shown}{left}")
    return "\n".join(lines)


def _share(one: Concentration) -> str:
    return "?" if one.share is None else f"{one.share:.0%}"


_WORDS = {Severity.ALARM: "ALARM", Severity.WARNING: "warn", Severity.INFO: "info"}


def _alerts(alerts: Sequence[Alert], *, every: bool) -> str:
    shown = [one for one in alerts if every or one.severity is not Severity.INFO]
    lines = [
        f"{_WORDS[one.severity]:<6}{one.scope}: {one.message}{_limit(one)} -> {one.advice}"
        for one in shown
    ]
    hidden = len(alerts) - len(shown)
    if hidden:
        notes, them = ("note that needs", "it") if hidden == 1 else ("notes that need", "them")
        lines.append(f"and {hidden} {notes} no decision; -v shows {them}")
    return "\n".join(lines)


def _limit(one: Alert) -> str:
    if one.limit is None:
        return ""
    if one.unit == "fraction":
        return f" (limit {one.limit * 100.0:.10g}%)"
    return f" (limit {one.limit:,.10g})"


def _gaps(review: BookReview) -> str:
    words = {
        "all": "not counted",
        "greeks": "without Greeks and stress",
        "price": "without P&L",
        "nothing": "counted",
    }
    lines = [
        f"  {one.quantity:+g} {one.name}: {one.reason} ({words[one.missing]})"
        for one in review.gaps
    ]
    notes = [f"  {note}" for note in review.notes]
    parts = []
    if lines:
        parts.append("not wholly in these figures\n" + "\n".join(lines))
    if notes:
        parts.append("notes\n" + "\n".join(notes))
    return "\n\n".join(parts)


# -- a trade that is considered --------------------------------------------------------------------


def considered_text(before: BookReview, one: Considered, *, color: bool = False) -> str:
    """What a trade would change in the book."""
    first, second = before.totals, one.after.totals
    table = PlainTable("", "before", "after", "change")
    pairs: list[tuple[str, float | None, float | None, int]] = [
        ("delta, shares", first.greeks.delta, second.greeks.delta, 1),
        ("delta value", first.greeks.delta_value, second.greeks.delta_value, 0),
        (
            f"beta-weighted, {before.totals.beta.benchmark if before.totals.beta else ''} shares",
            first.beta.delta if first.beta else None,
            second.beta.delta if second.beta else None,
            1,
        ),
        ("gamma per 1 %", first.greeks.gamma_value, second.greeks.gamma_value, 0),
        ("vega per point", first.greeks.vega, second.greeks.vega, 1),
        ("theta a day", first.greeks.theta, second.greeks.theta, 1),
        ("margin, net", first.margin_net, second.margin_net, 0),
        (
            "worst stress cell",
            first.worst.pnl if first.worst else None,
            second.worst.pnl if second.worst else None,
            0,
        ),
        (
            "CVaR of a day",
            before.tail.cvar if before.tail else None,
            one.after.tail.cvar if one.after.tail else None,
            0,
        ),
    ]
    for title, old, new, decimals in pairs:
        change = new - old if new is not None and old is not None else None
        table.add_row(title, *(_signed(x, decimals) for x in (old, new, change)))
    lines = [f"with {one.trade}", *(_trade_line(x) for x in one.structures)]
    lines.append(table.text(bold=color).rstrip("\n"))
    lines.append(f"fit {one.change.fit:.2f}{''.join(f'; {x}' for x in one.change.notes)}")
    lines += [f"{_WORDS[x.severity]:<6}{x.message} -> {x.advice}" for x in one.alerts]
    if one.what_if is not None:
        lines.append(_what_if(one.what_if, one.structures))
    elif one.what_if_problem:
        lines.append(f"IB what-if: no margin from TWS: {one.what_if_problem}")
    return "\n".join(lines)


def _trade_line(one: Structure) -> str:
    credit = "unknown" if one.credit is None else f"{one.credit:+,.0f}"
    return (
        f"  {one.strategy.replace('_', ' ')}: credit {credit}, max profit "
        f"{_amount(one.max_profit)}, max loss {_amount(one.max_loss)}, margin "
        f"{_amount(one.margin)} (net {_amount(one.margin_net)})"
    )


def _what_if(margin: WhatIfMargin, structures: Sequence[Structure]) -> str:
    """The broker's own figure beside ours, and the difference."""
    known = [one.margin for one in structures if one.margin is not None]
    ours = sum(known) if known and len(known) == len(structures) else None
    change = margin.initial_change
    beside = ""
    if ours is not None and change is not None and math.isfinite(ours):
        beside = f" · ours {ours:,.0f} by itself, difference {change - ours:+,.0f}"
    warning = f"; TWS warns: {margin.warning}" if margin.warning else ""
    return (
        f"IB what-if of one order ({margin.order}): initial margin {_signed(change, 0)}, "
        f"maintenance {_signed(margin.maintenance_change, 0)}{beside}{warning}"
    )
