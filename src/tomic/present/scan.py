"""Scans and proposals as text: the ranking, one proposal whole, and why trades were refused."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tomic.figures import columns
from tomic.models.documents import to_document, to_text, with_flags
from tomic.models.trade import Leg, Proposal, ScanResult, TradeReview
from tomic.present import forms
from tomic.present.forms import NOT_ADVICE, Format
from tomic.present.text import PlainTable, amount, money, number, per_cent

# -- the ranking ---------------------------------------------------------------------------

_RANKING = [
    "#", "id", "symbol", "strategy", "legs",
    *(figure.narrow for figure in columns("dte credit max_loss margin pos ev rom_30d score")), "",
]  # fmt: skip


def ranking(proposals: Sequence[Proposal], *, color: bool = False) -> str:
    """The chosen proposals, best first."""
    # What is found in a recording is not kept, and has no number by which it could be shown.
    numbered = any(proposal.id for proposal in proposals)
    # Money of several currencies is never compared by its amount, so each says which it is.
    abroad = any(proposal.currency != "USD" for proposal in proposals)
    titles = [title for title in _RANKING if title != "id" or numbered]
    if abroad:
        titles.insert(titles.index("credit"), "in")
    table = PlainTable(*titles, left=range(1, 4 + numbered))
    for place, proposal in enumerate(proposals, 1):
        more = f"+{proposal.alternatives} like it" if proposal.alternatives else ""
        table.add_row(
            str(proposal.rank or place),
            *([proposal.id] if numbered else []),
            proposal.symbol,
            proposal.strategy.replace("_", " "),
            legs_text(proposal),
            str(proposal.dte),
            *([proposal.currency] if abroad else []),
            money(proposal.credit, 0),
            amount(proposal.max_loss),
            amount(proposal.margin),
            per_cent(proposal.pos),
            money(proposal.ev, 0),
            per_cent(proposal.rom_30d, 1),
            number(proposal.score, 1),
            f"{proposal.grade.value} {more}".rstrip(),
        )
    return table.text(bold=color).rstrip("\n")


def legs_text(proposal: Proposal) -> str:
    """All legs in short."""
    return " ".join(_short(leg) for leg in proposal.legs)


def _short(leg: Leg) -> str:
    if leg.sec_type == "STK":
        return f"{leg.quantity:+d}sh"
    sign = "+" if leg.quantity > 0 else "-"
    times = f"{abs(leg.quantity)}x" if abs(leg.quantity) > 1 else ""
    return f"{sign}{times}{leg.strike:g}{leg.right}"


def why_first(proposal: Proposal) -> str:
    """The parts of a score, which add up to it."""
    parts = " ".join(f"{part.name} {part.points:+.1f}" for part in proposal.printed_parts())
    return f"score {proposal.score:.1f} = {parts}"


def scan_summary(result: ScanResult) -> str:
    """What was considered and what refused most of it."""
    top = sorted(result.rejected, key=lambda refusal: -refusal.count)[:5]
    failed = ", ".join(f"{refusal.rule} {refusal.count:,}" for refusal in top) or "none"
    text = f"considered {result.considered:,} · passed {result.passed:,} · failed: {failed}"
    return text if result.proposals else f"{text}\n{nothing_today(result)}"


def nothing_today(result: ScanResult, *, most: int = 3) -> str:
    """That nothing passed, what came nearest, and what no chain could hold; a line each."""
    misses = [f"{miss.symbol} {miss.trade}: {miss.message}" for miss in result.closest]
    refused = dict.fromkeys(f"{refusal.symbol} {refusal.message}" for refusal in result.gated)
    lines = [f"  nearest: {miss}" for miss in misses[:most]]
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


# -- one proposal --------------------------------------------------------------------------


def proposal_text(proposal: Proposal) -> str:
    """Everything about one proposal, down to the order as one would type it in TWS."""
    sections = [
        f"{proposal.id or 'proposal'} · {proposal.symbol} {proposal.strategy.replace('_', ' ')} · "
        f"score {proposal.score:.1f} ({proposal.grade.value}) · {proposal.side}",
        f"spot {proposal.spot:,.2f} ({proposal.spot_source.value}, {proposal.data_type.value}) · "
        f"{proposal.as_of:%Y-%m-%d %H:%M} UTC · first expiry {proposal.expiry} "
        f"({proposal.dte} days)",
        _legs(proposal),
        _figures(proposal),
        why_first(proposal),
        _payoff(proposal),
        order_text(proposal),
    ]
    sections += [f"note: {note}" for note in proposal.notes]
    return "\n\n".join(sections) + f"\n\n{NOT_ADVICE}\n"


def _legs(proposal: Proposal) -> str:
    titles = ("leg", "qty", "contract", "bid", "ask", "price", "from", "model", "IV", "Δ", "Θ")
    table = PlainTable(*titles, left=(0, 2, 6))
    for leg in proposal.legs:
        contract = "shares" if leg.sec_type == "STK" else f"{leg.expiry} {leg.strike:g}{leg.right}"
        table.add_row(
            leg.name.replace("_", " "),
            f"{leg.quantity:+d}",
            contract,
            number(leg.bid, 2),
            number(leg.ask, 2),
            number(leg.price, 2),
            leg.price_source.value,
            number(leg.value, 2),
            per_cent(leg.iv, 1),
            number(leg.delta, 2),
            number(leg.theta, 3),
        )
    return table.text().rstrip("\n")


def _figures(trade: Proposal) -> str:
    breakevens = ", ".join(f"{price:,.2f}" for price in trade.breakevens) or "none"
    rows = (
        ("credit", f"{money(trade.credit, 2)} executable, {money(trade.credit_mid, 2)} at mid, "
                   f"{money(trade.credit_natural, 2)} at natural"),
        ("max profit / loss", f"{money(trade.max_profit, 0)} / {amount(trade.max_loss)}"),
        ("breakevens", breakevens),
        ("margin", f"{amount(trade.margin)} net, {amount(trade.margin_requirement)} required"
                   + (f", {amount(trade.margin_cash)} cash-secured" if trade.margin_cash else "")),
        ("ROM", f"{per_cent(trade.rom, 1)}, {per_cent(trade.rom_30d, 1)} per 30 days"),
        ("PoS", f"{per_cent(trade.pos, 1)} forecast, {per_cent(trade.pos_market, 1)} market"),
        ("EV", f"{money(trade.ev, 2)} forecast, {money(trade.ev_market, 2)} market"),
        ("CVaR95", amount(trade.cvar95)),
        ("risk-reward", number(trade.risk_reward, 2)),
        ("touch", per_cent(trade.touch, 1)),
        ("edge", money(trade.edge, 2)
                 + (f" ± {trade.edge_error:,.2f}" if trade.edge_error is not None else "")),
        ("Greeks", f"Δ {trade.delta:+.1f} shares, Γ {trade.gamma:+.2f}, V {trade.vega:+.1f}, "
                   f"Θ {trade.theta:+.1f} a day"),
        ("volatility", f"forecast {per_cent(trade.forecast_volatility, 1)}, market "
                       f"{per_cent(trade.market_volatility, 1)}, HV {per_cent(trade.hv, 1)}, "
                       f"IV rank {per_cent(trade.iv_rank) or 'unknown'}"),
    )  # fmt: skip
    return "\n".join(f"{name:<18}{text}" for name, text in rows if text)


def _payoff(proposal: Proposal, rows: int = 13) -> str:
    """P&L at the first expiry as a bar per price."""
    points = [point for point in proposal.curve if math.isfinite(point.profit)]
    if len(points) < 2:
        return "payoff: not available"
    step = max(len(points) // rows, 1)
    chosen = points[::step]
    largest = max(abs(point.profit) for point in chosen) or 1.0
    lines = ["price at expiry        P&L"]
    for point in chosen:
        bar = "█" * round(24 * abs(point.profit) / largest)
        side = f"{'':24}|{bar}" if point.profit >= 0 else f"{bar:>24}|"
        lines.append(f"{point.price:>12,.2f} {money(point.profit, 0):>12}  {side}")
    return "\n".join(lines)


def order_text(proposal: Proposal) -> str:
    """The order as one would type it in TWS: legs, ratio, limit at mid and at natural."""
    options = [leg for leg in proposal.legs if leg.sec_type == "OPT"]
    legs = [
        f"  {'BUY ' if leg.quantity > 0 else 'SELL'} {abs(leg.quantity)}  {proposal.symbol} "
        f"{leg.expiry:%d %b %Y} {leg.strike:g} {'CALL' if leg.right == 'C' else 'PUT'}"
        for leg in options
        if leg.expiry is not None
    ]
    legs += [
        f"  {'BUY ' if leg.quantity > 0 else 'SELL'} {abs(leg.quantity)}  {proposal.symbol} shares"
        for leg in proposal.legs
        if leg.sec_type == "STK"
    ]
    mid, natural = (
        proposal.credit_mid / proposal.multiplier,
        proposal.credit_natural / proposal.multiplier,
    )
    limit = (
        f"  limit {_limit(mid)} at mid, {_limit(natural)} at natural, per share of the structure"
    )
    return "\n".join(["to type in TWS (Strategy Builder), ratio as listed:", *legs, limit])


def _limit(credit: float) -> str:
    return f"{abs(credit):.2f} {'credit' if credit >= 0 else 'debit'}"


def beside(old: Proposal, new: Proposal) -> str:
    """Old and new figures of a refreshed proposal."""
    rows = (
        ("spot", old.spot, new.spot),
        ("credit", old.credit, new.credit),
        ("PoS %", 100 * old.pos, 100 * new.pos),
        ("EV", old.ev, new.ev),
        ("margin", old.margin, new.margin),
        ("score", old.score, new.score),
    )
    lines = [f"{'':10}{'then':>12}{'now':>12}{'change':>12}"]
    lines += [f"{name:<10}{a:>12,.2f}{b:>12,.2f}{b - a:>+12,.2f}" for name, a, b in rows]
    return "\n".join(lines)


def review_text(review: TradeReview) -> str:
    """Which rules refused a given trade, or its place when none did."""
    lines = [review.trade]
    if review.accepted:
        place = f", place {review.place} of its kind" if review.place else ""
        lines.append(f"accepted{place}")
    lines += [
        f"  {'no data' if refusal.kind == 'no_data' else 'refused'} by {refusal.rule}: "
        f"{refusal.message}"
        for refusal in review.refusals
    ]
    if review.proposal is not None:
        lines.append(_figures(review.proposal))
    if review.better is not None:
        lines.append(f"better: {review.better.trade}, score {review.better.score:.1f}")
    return "\n".join(lines) + "\n"


# -- the catalogue -------------------------------------------------------------------------


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
    "credit", "credit_mid", "credit_natural", "max_profit", "max_loss", "margin",
    "margin_requirement", "rom", "rom_30d", "pos", "pos_market", "ev", "ev_market", "cvar95",
    "risk_reward", "touch", "edge", "edge_error", "delta", "gamma", "vega", "theta", "liquidity",
    "fit", "score", "grade", "as_of",
)  # fmt: skip


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


def shown(result: ScanResult, format: Format, *, explain: bool, color: bool = False) -> str:
    """The proposals in *format*; a table has the refusals as well where *explain* is set."""
    return forms.emit(
        format,
        table=lambda: _text(result, explain=explain, color=color),
        json=lambda: to_json(result),
        ndjson=lambda: "".join(f"{to_text(proposal)}\n" for proposal in result.proposals),
        csv=lambda: to_csv(result),
    )


def _text(result: ScanResult, *, explain: bool, color: bool) -> str:
    parts = []
    if result.proposals:
        parts.append(ranking(result.proposals, color=color))
        parts.append(why_first(result.proposals[0]))
    if explain:
        parts.append(explanation(result))
    return "".join(f"{part}\n" for part in parts)


def to_csv(result: ScanResult) -> str:
    """A row per proposal; an unbounded amount is empty, and the flag beside it says so."""
    rows = [
        with_flags({name: getattr(proposal, name) for name in _CSV_FIELDS}, proposal.unbounded)
        for proposal in result.proposals
    ]
    names = with_flags(dict.fromkeys(_CSV_FIELDS), Proposal.unbounded)
    return forms.to_csv(rows, list(names))
