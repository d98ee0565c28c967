"""The review of the portfolio as text for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tomic._version import __version__
from tomic.masking import masked
from tomic.models import review as nouns
from tomic.models.book import AccountSummary
from tomic.models.documents import to_document, with_flags
from tomic.portfolio.exposure import Total
from tomic.present import forms
from tomic.present.forms import Format, emit
from tomic.present.palette import Tone, by_sign, painted
from tomic.present.text import PlainTable, amount, folded, money, number, per_cent
from tomic.workflows.portfolio.review import Considered, PortfolioReview

SCHEMA = "tomic.portfolio/1"
GROUPINGS = ("strategy", "symbol", "expiry")


def leg_text(leg: nouns.HeldLeg) -> str:
    """A leg in short; ~ where another volatility stands in for its own."""
    flag = "~" if leg.sigma_source not in ("own", "none") else ""
    if leg.strike is None or leg.expiry is None:
        return f"{leg.quantity:+g} {leg.contract.partition(' ')[2] or leg.contract}{flag}"
    return f"{leg.quantity:+g} {leg.strike:g}{leg.right} {leg.expiry:%d%b%y}{flag}"


# -- rows ----------------------------------------------------------------------------------------


def rows(review: nouns.BookReview, by: str) -> list[dict[str, Any]]:
    """
    One row per structure, or per symbol or expiry; money in the base currency.

    A sum of which a part is unknown is None, and a count beside it says of how many structures.
    """
    if by == "strategy":
        return [structure_row(structure) for structure in review.structures]
    name: Callable[[nouns.Structure], str] = (
        (lambda structure: structure.symbol)
        if by == "symbol"
        else (lambda structure: str(structure.expiry or "none"))
    )
    groups: dict[str, list[nouns.Structure]] = {}
    for structure in review.structures:
        groups.setdefault(name(structure), []).append(structure)
    return [_group_row(by, key, groups[key], review) for key in sorted(groups)]


def structure_row(structure: nouns.Structure) -> dict[str, Any]:
    """One structure in one row; an unbounded amount is None, and the flag beside it says so."""
    greeks = structure.greeks
    row = {
        "id": structure.id,
        "strategy": structure.strategy,
        "symbol": structure.symbol,
        "account": structure.account,
        "source": structure.source,
        "link": structure.link or None,
        "quantity": structure.quantity,
        "legs": ", ".join(leg_text(leg) for leg in structure.legs),
        "expiry": structure.expiry.isoformat() if structure.expiry else None,
        "dte": structure.dte,
        "days_in_trade": structure.days_in_trade,
        "credit": structure.credit,
        "to_close": structure.to_close,
        "pnl": structure.pnl,
        "breakevens": " ".join(f"{price:.2f}" for price in structure.breakevens) or None,
        "to_breakeven": _to_breakeven(structure),
        "short_delta": structure.short_delta,
        "max_profit": structure.max_profit,
        "max_loss": structure.max_loss,
        "profit_share": structure.profit_share,
        "delta": greeks.delta,
        "delta_value": greeks.delta_value,
        "gamma_value": greeks.gamma_value,
        "vega": greeks.vega,
        "theta": greeks.theta,
        "margin": structure.margin,
        "margin_net": structure.margin_net,
        "rom": structure.rom,
        "currency": structure.currency,
    }
    return with_flags(row, structure.unbounded)


def _to_breakeven(structure: nouns.Structure) -> float | None:
    """Way from the spot to the nearest breakeven, a fraction; negative below it."""
    spot = structure.spot
    if spot is None or not structure.breakevens:
        return None
    ways = [price / spot - 1.0 for price in structure.breakevens]
    return min(ways, key=abs)


def _group_row(
    by: str, name: str, members: Sequence[nouns.Structure], review: nouns.BookReview
) -> dict[str, Any]:
    share = next((x.share for x in review.concentration if (x.kind, x.name) == (by, name)), None)
    pnl = Total.of((member.id, member.pnl) for member in members)
    margins = [member.margin for member in members]
    known = [value for value in margins if value is not None]
    row = {
        by: name,
        "structures": len(members),
        "pnl": pnl.value,
        "pnl_unknown": len(pnl.unknown),
        "delta": math.fsum(member.greeks.delta for member in members),
        "delta_value": math.fsum(member.greeks.delta_value for member in members),
        "gamma_value": math.fsum(member.greeks.gamma_value for member in members),
        "vega": math.fsum(member.greeks.vega for member in members),
        "theta": math.fsum(member.greeks.theta for member in members),
        # Infinite as soon as member of them is, whatever the others are.
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


def _review_document(review: nouns.BookReview, by: str, *, grids: bool) -> dict[str, Any]:
    document = to_document(review)
    for name in ("as_of", "currency", "data_type"):
        document.pop(name)
    for grid in [document["stress"], *document["stress_by_symbol"]]:
        if grid is not None and not grids:
            grid.pop("pnl")
    return {"rows": rows(review, by), **document}


def _considered_document(considered: Considered, by: str) -> dict[str, Any]:
    after = _review_document(considered.after, by, grids=False)
    return {
        "trade": considered.trade,
        "change": to_document(considered.change),
        "structures": [to_document(x) for x in considered.structures],
        "alerts": [to_document(x) for x in considered.alerts],
        "ib_margin": to_document(considered.what_if) if considered.what_if else None,
        "ib_margin_problem": considered.what_if_problem or None,
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
) -> str:
    """
    The review in *format*; rows hold fractions and money as plain numbers, unknown ones empty.

    Args:
        by: One of `GROUPINGS`.
        spots: Columns of the stress tables, none of which are shown when it is empty.
    """
    review = view.review

    def table() -> str:
        if view.considered is not None and not every_alert:
            asked = considered_text(review, view.considered)
            return f"{folded(header(review))}\n\n{asked}\n\n-v shows the book before it\n"
        parts = [folded(header(review)), _main_table(review, by, width=width)]
        parts.append(folded(_totals(review)))
        if spots:
            parts += [_grid_text(grid, review, spots) for grid in _grids(review)]
            parts.append(_events(review))
        parts.append(folded(_concentration(review)))
        parts += [_alerts(review.alerts, every=every_alert), folded(_gaps(review))]
        if view.considered is not None:
            parts.append(considered_text(review, view.considered))
        whole = "\n\n".join(part for part in parts if part)
        return f"{whole}\n"

    return emit(
        format,
        table=table,
        json=lambda: to_json(view, by, grids=bool(spots)),
        ndjson=lambda: forms.to_ndjson(rows(review, by)),
        csv=lambda: forms.to_csv(rows(review, by)),
    )


def header(review: nouns.BookReview) -> str:
    """Accounts, what they are worth, and the rates used."""
    lines = [_account(account, several=len(review.accounts) > 1) for account in review.accounts]
    kind = f" · {review.data_type.value} quotes" if review.data_type else ""
    rates = ", ".join(
        f"1 {name} = {rate:,.4f} {review.currency}"
        for name, rate in sorted(review.rates.items())
        if name != review.currency
    )
    moment = f"{review.as_of:%Y-%m-%d %H:%M} UTC{kind}{f' · {rates}' if rates else ''}"
    return "\n".join([*lines, moment])


def _account(account: AccountSummary, *, several: bool) -> str:
    name = f"{masked(account.account)} " if several else ""
    figures = [
        ("NetLiq", account.net_liquidation),
        ("initial margin", account.initial_margin),
        ("maintenance", account.maintenance_margin),
        ("excess", account.excess_liquidity),
        ("cash", account.cash),
    ]
    known = " · ".join(
        f"{title} {value:,.0f} {account.currency}{_of_net(title, value, account)}"
        for title, value in figures
        if value is not None
    )
    return f"{name}{known or 'account values unknown'}"


def _of_net(title: str, value: float, account: AccountSummary) -> str:
    if title in ("NetLiq", "cash") or not account.net_liquidation:
        return ""
    return f" ({value / account.net_liquidation:.0%})"


_NUMBERS = (
    ("P&L", "pnl", 0),
    ("Δ shares", "delta", 0),
    ("Δ value", "delta_value", 0),
    ("Γ value/1%", "gamma_value", 0),
    ("V/pt", "vega", 1),
    ("Θ/day", "theta", 1),
)


def _main_table(review: nouns.BookReview, by: str, *, width: int) -> str:
    if not review.structures:
        return "no positions that can be shown; see what is left out below"
    numbers = [title for title, _, _ in _NUMBERS]
    if by == "strategy":
        table = PlainTable(
            "id", "strategy", "DTE", "held", "credit", "to close", "P&L", "%max", "short Δ",
            "breakevens", "to BE", *numbers[1:], "ROM", "margin", "legs",
            left=(0, 1, len(numbers) + 12), drops=_DROPPED_FIRST,
        )  # fmt: skip
        for structure in review.structures:
            table.add_row(*_structure_cells(structure))
        return table.text(width=width).rstrip("\n")
    table = PlainTable(by, "structures", *numbers, "margin", "share")
    for row in rows(review, by):
        table.add_row(*_group_cells(row, by))
    return table.text().rstrip("\n")


_DROPPED_FIRST = (
    "ROM", "Γ value/1%", "Δ value", "held", "V/pt", "Δ shares", "breakevens", "Θ/day", "margin",
    "credit", "strategy", "short Δ",
)  # fmt: skip


def _structure_cells(structure: nouns.Structure) -> list[str]:
    row = structure_row(structure)
    times = f" x{structure.quantity:g}" if structure.quantity != 1.0 else ""
    mark = {"pin": " (pin)", "journal": f" (#{structure.link})"}.get(structure.source, "")
    days = "" if structure.days_in_trade is None else f"{structure.days_in_trade}"
    away = row["to_breakeven"]
    return [
        structure.id,
        f"{structure.strategy.replace('_', ' ')}{times}{mark}",
        "" if structure.dte is None else str(structure.dte),
        f"≥{days}" if structure.days_at_least and structure.days_in_trade else days,
        money(structure.credit, 0),
        number(structure.to_close, 0),
        by_sign(_signed(structure.pnl, 0)),
        per_cent(structure.profit_share),
        number(structure.short_delta),
        " ".join(number(price) for price in structure.breakevens),
        "" if away is None else f"{away:+z.1%}",
        *(_signed(row[field], decimals) for _, field, decimals in _NUMBERS[1:]),
        per_cent(structure.rom),
        _amount(structure.margin),
        ", ".join(leg_text(leg) for leg in structure.legs),
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


def _totals(review: nouns.BookReview) -> str:
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


def _pnl(totals: nouns.BookTotals) -> str:
    if totals.pnl is not None or totals.pnl_known is None:
        return _signed(totals.pnl, 0)
    return f"? ({_signed(totals.pnl_known, 0)} without {', '.join(totals.pnl_unknown)})"


def _margin(totals: nouns.BookTotals) -> str:
    share = f" ({totals.margin_share:.0%} of NetLiq)" if totals.margin_share is not None else ""
    least = "" if totals.margin is not None else "at least "
    net = "" if totals.margin is None or totals.margin_net is not None else " before credits"
    unknown = f"; not known for {', '.join(totals.margin_unknown)}" if totals.margin_unknown else ""
    return f"{least}{number(totals.margin_known, 0)} by our rules{net}{share}{unknown}"


def _beta(review: nouns.BookReview) -> str:
    beta = review.totals.beta
    if beta is None:
        return ""
    assumed = [estimate.symbol for estimate in beta.betas if estimate.n == 0]
    if beta.delta is None or beta.error is None:
        size = f"{beta.delta_value:+,.0f} {review.currency}; no price of {beta.benchmark}"
    else:
        size = f"{beta.delta:+,.1f} ± {beta.error:,.1f} {beta.benchmark} shares"
    note = f", assumed 1 ± 0.4 for {', '.join(assumed)}" if assumed else ""
    return f"weighted delta {size} · betas over {beta.window} days, shrunk{note}"


def _worst(review: nouns.BookReview) -> str:
    grid, totals = review.stress, review.totals
    if grid is None:
        return ""
    share = f" ({totals.worst_share:.1%} of NetLiq)" if totals.worst_share is not None else ""
    cell = grid.worst
    drivers = ", ".join(f"{driver.name} {driver.pnl:+,.0f}" for driver in grid.drivers[:3])
    left = f"; without {', '.join(grid.without)}" if grid.without else ""
    return (
        f"worst {cell.pnl:+,.0f}{share} at spot {cell.spot_move:+.0%}, volatility "
        f"{_vol_text(cell.vol_move)}, {_when(cell.days)}; driven by {drivers}{left}"
    )


def _tail(review: nouns.BookReview) -> str:
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


def _grids(review: nouns.BookReview) -> Iterable[nouns.StressGrid]:
    if review.stress is not None:
        yield review.stress
    # Shares alone are a straight line, which needs no table.
    curved = {grid.symbol for grid in review.structures if grid.expiry is not None}
    if len(review.stress_by_symbol) > 1:
        yield from (grid for grid in review.stress_by_symbol if grid.name in curved)


_SHOWN_VOLS = (-0.5, 0.0, 0.5, 1.0)


def _grid_text(grid: nouns.StressGrid, review: nouns.BookReview, shown: Sequence[float]) -> str:
    """P&L today by spot and volatility, and over time with the volatility of today."""
    spots = [place for place, move in enumerate(grid.spot_moves) if _near(move, shown)]
    vols = [place for place, move in enumerate(grid.vol_moves) if _near(move, _SHOWN_VOLS)]
    table = PlainTable("volatility \\ spot", *(f"{grid.spot_moves[place]:+.0%}" for place in spots))
    for vol in vols:
        cells = [by_sign(_signed(grid.pnl[spot][vol][0], 0)) for spot in spots]
        table.add_row(f"{_vol_text(grid.vol_moves[vol])}, now", *cells)
    middle = grid.vol_moves.index(0.0)
    for day, days in enumerate(grid.days):
        if days:
            cells = [by_sign(_signed(grid.pnl[spot][middle][day], 0)) for spot in spots]
            table.add_row(f"unchanged, {_when(days)}", *cells)
    title = f"stress of {grid.name}, {review.currency}, from the live spot"
    return f"{title}\n{table.text()}".rstrip("\n")


def _when(days: int) -> str:
    return {0: "now", 1: "tomorrow"}.get(days, f"in {days} days")


def _vol_text(move: float) -> str:
    return f"{move:+.0%}" if move else "unchanged"


def _near(move: float, shown: Sequence[float]) -> bool:
    return any(abs(move - other) < 1e-9 for other in shown)


def _events(review: nouns.BookReview) -> str:
    lines = []
    for jump in review.jumps:
        sides = f"{jump.move:+.1%} {_signed(jump.down, 0)}"
        if jump.up is not None:
            sides = (
                f"+{jump.move:.1%} {_signed(jump.up, 0)}, -{jump.move:.1%} {_signed(jump.down, 0)}"
            )
        note = f" ({jump.note})" if jump.note else ""
        lines.append(f"{jump.day} {jump.symbol} {jump.kind}: {sides}{note}")
    return "events\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


# -- concentration, alerts, gaps -------------------------------------------------------------------


def _concentration(review: nouns.BookReview) -> str:
    lines = []
    for kind in ("symbol", "sector", "strategy", "expiry"):
        mine = [row for row in review.concentration if row.kind == kind]
        known = [row for row in mine if row.margin_known]
        if len(known) > 1:
            shown = ", ".join(f"{row.name.replace('_', ' ')} {_share(row)}" for row in known[:5])
            unknown = [name for row in mine for name in row.margin_unknown]
            left = f"; without {', '.join(unknown)}" if unknown else ""
            lines.append(f"margin by {kind}: {shown}{left}")
    return "\n".join(lines)


def _share(row: nouns.Concentration) -> str:
    return "?" if row.share is None else f"{row.share:.0%}"


_TONES = {
    nouns.Severity.ALARM: Tone.LOSS,
    nouns.Severity.WARNING: Tone.WARNING,
    nouns.Severity.INFO: Tone.MUTED,
}
_WORDS = {
    nouns.Severity.ALARM: "ALARM",
    nouns.Severity.WARNING: "warn",
    nouns.Severity.INFO: "info",
}


def _alerts(alerts: Sequence[nouns.Alert], *, every: bool) -> str:
    shown = [alert for alert in alerts if every or alert.severity is not nouns.Severity.INFO]
    lines = [_alert(alert) for alert in shown]
    hidden = len(alerts) - len(shown)
    if hidden:
        notes, them = ("note that needs", "it") if hidden == 1 else ("notes that need", "them")
        lines.append(f"and {hidden} {notes} no decision; -v shows {them}")
    return "\n".join(lines)


def _alert(alert: nouns.Alert) -> str:
    limit = f" ({alert.limit_text})" if alert.limit_text else ""
    # The label is as wide as its column, whose two blanks part it from what may be folded.
    text = folded(
        f"{_WORDS[alert.severity]:<5}  {alert.scope}: {alert.message}{limit} -> {alert.advice}"
    )
    word = _WORDS[alert.severity]
    return f"{painted(word, _TONES[alert.severity])}{text[len(word) :]}"


def _gaps(review: nouns.BookReview) -> str:
    words = {
        "all": "not counted",
        "greeks": "without Greeks and stress",
        "price": "without P&L",
        "nothing": "counted",
    }
    lines = [
        f"  {gap.quantity:+g} {gap.name}: {gap.reason} ({words[gap.missing]})"
        for gap in review.gaps
    ]
    notes = [f"  {note}" for note in review.notes]
    parts = []
    if lines:
        parts.append("not wholly in these figures\n" + "\n".join(lines))
    if notes:
        parts.append("notes\n" + "\n".join(notes))
    return "\n\n".join(parts)


# -- a trade that is considered --------------------------------------------------------------------


def considered_text(before: nouns.BookReview, considered: Considered) -> str:
    """What a trade would change in the book."""
    first, second = before.totals, considered.after.totals
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
            considered.after.tail.cvar if considered.after.tail else None,
            0,
        ),
    ]
    for title, old, new, decimals in pairs:
        change = new - old if new is not None and old is not None else None
        table.add_row(title, *(_signed(x, decimals) for x in (old, new, change)))
    lines = [f"with {considered.trade}", *(_trade_line(x) for x in considered.structures)]
    lines.append(table.text().rstrip("\n"))
    lines.append(
        f"fit {considered.change.fit:.2f}{''.join(f'; {x}' for x in considered.change.notes)}"
    )
    lines += [f"{_WORDS[x.severity]:<6}{x.message} -> {x.advice}" for x in considered.alerts]
    if considered.what_if is not None:
        lines.append(_what_if(considered.what_if, considered.structures))
    elif considered.what_if_problem:
        lines.append(f"IB what-if: no margin from TWS: {considered.what_if_problem}")
    return "\n".join(lines)


def _trade_line(structure: nouns.Structure) -> str:
    credit = "unknown" if structure.credit is None else f"{structure.credit:+,.0f}"
    return (
        f"  {structure.strategy.replace('_', ' ')}: credit {credit}, max profit "
        f"{_amount(structure.max_profit)}, max loss {_amount(structure.max_loss)}, margin "
        f"{_amount(structure.margin)} (net {_amount(structure.margin_net)})"
        f"{''.join(f'; {note}' for note in structure.notes)}"
    )


def _what_if(margin: nouns.WhatIfMargin, structures: Sequence[nouns.Structure]) -> str:
    """The broker's own figure beside ours, and the difference."""
    known = [structure.margin for structure in structures if structure.margin is not None]
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
