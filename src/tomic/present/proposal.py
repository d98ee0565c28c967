"""One proposal as text: legs, prices, chances, exits, payoff, and the order to type."""

from __future__ import annotations

import bisect
import math
import textwrap
from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from tomic.models.ticket import Ticket
from tomic.models.trade import (
    CurvePoint,
    Leg,
    ManagedOutcome,
    PriceSource,
    Proposal,
    TradeReview,
    TradeSize,
)
from tomic.present import ticket
from tomic.present.forms import NOT_ADVICE
from tomic.present.text import PlainTable, amount, money, number, per_cent
from tomic.quant import realized
from tomic.strategies import tickets
from tomic.strategies.ticks import tick_of

NO_EDGE = "managing it cuts the tail and costs its exits: it is no edge"
"""What stands beside the outcome of managed trades."""
_MOVES = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""Expected moves from spot at which the payoff is shown, its kinks beside."""
_NAME, _LEAST_ROOM = 18, 30
"""Letters of a figure's name, and least ones of its text."""
_BAR = 20
"""Letters of the longest bar."""
_FAR_DAYS = 330
"""Days from which on a month alone does not say of which year it is."""

# -- its legs, in short --------------------------------------------------------------------


def legs_text(proposal: Proposal) -> str:
    """
    All legs in short, with the expiry of each; one that all share is said once, at the end.

    ``+546P -561P Dec18``, or ``-Dec18 440P +Jan15 440P``.
    """
    expiries = list(dict.fromkeys(leg.expiry for leg in proposal.legs if leg.expiry))
    if len(expiries) == 1:
        legs = [_short(leg) for leg in proposal.legs]
        return " ".join([*legs, _day(expiries[0], proposal)])
    return " ".join(
        _short(leg, f"{_day(leg.expiry, proposal)} " if leg.expiry else "") for leg in proposal.legs
    )


def _short(leg: Leg, expiry: str = "") -> str:
    if leg.sec_type == "STK":
        return f"{leg.quantity:+d}sh"
    sign = "+" if leg.quantity > 0 else "-"
    times = f"{abs(leg.quantity)}x" if abs(leg.quantity) > 1 else ""
    return f"{sign}{times}{expiry}{leg.strike:g}{leg.right}"


def _day(day: date, proposal: Proposal) -> str:
    far = (day - proposal.as_of.date()).days > _FAR_DAYS
    return f"{day:%b%d}{day:'%y}" if far else f"{day:%b%d}"


def source_text(source: str) -> str:
    """Where a price comes from, as people say it."""
    return "quote" if source == PriceSource.TRUE else source


# -- the whole -----------------------------------------------------------------------------


def proposal_text(
    proposal: Proposal, *, width: int | None = None, order: Ticket | None = None
) -> str:
    """
    Everything about one proposal, down to the order as one would type it in TWS.

    Args:
        width: Where figures and notes are folded; None folds nothing.
        order: How it is typed; None is one structure at mid, without an order that closes it.
    """
    sections = [
        f"{proposal.id or 'proposal'} · {proposal.symbol} {proposal.strategy.replace('_', ' ')} · "
        f"score {proposal.score:.1f} ({proposal.grade.value}) · {proposal.side}",
        f"spot {proposal.spot:,.2f} ({proposal.spot_source.value}, {proposal.data_type.value}) · "
        f"{proposal.as_of:%Y-%m-%d %H:%M} UTC · first expiry {proposal.expiry} "
        f"({proposal.dte} days)",
        legs_table(proposal),
        figures_text(proposal, width=width),
        score_text(proposal),
        payoff_text(proposal),
        similar_text(proposal),
        order_text(proposal, order),
        *(_folded(f"note: {note}", width, indent=6) for note in proposal.notes),
    ]
    return "\n\n".join(filter(None, sections)) + f"\n\n{NOT_ADVICE}\n"


def legs_table(proposal: Proposal) -> str:
    """A row per leg."""
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
            source_text(leg.price_source),
            number(leg.value, 2),
            per_cent(leg.iv, 1),
            number(leg.delta, 2),
            number(leg.theta, 3),
        )
    return table.text().rstrip("\n")


def score_text(proposal: Proposal) -> str:
    """The parts of a score, which add up to it, and how it stands among its kind."""
    parts = " ".join(f"{part.name} {part.points:+.1f}" for part in proposal.printed_parts())
    text = f"score {proposal.score:.1f} = {parts}"
    if proposal.percentile is not None:
        kind = proposal.strategy.replace("_", " ")
        text += f"\nbetter than {per_cent(proposal.percentile)} of the day's candidates for {kind}"
    return text


# -- figures -------------------------------------------------------------------------------


def figures_text(trade: Proposal, *, width: int | None = None) -> str:
    """A line per figure, folded at *width*; what is not known leaves none."""
    rows = (
        ("prices", f"{money(trade.credit_mid)} at mid, {money(trade.credit)} executable, "
                   f"{money(trade.credit_natural)} at natural"),
        ("commission", f"{amount(trade.commission, 2)}, so "
                       f"{money(trade.net_credit)} executable net"),
        ("costs", _costs(trade)),
        ("max profit / loss", f"{money(trade.max_profit, 0)} / {amount(trade.max_loss)}"
                              + _clause(", mean win {}", money(trade.mean_win, 0))),
        ("breakevens", _breakevens(trade)),
        ("buying power", _buying_power(trade)),
        ("size", _size(trade.size)),
        ("ROM", f"{per_cent(trade.rom, 1)}, {per_cent(trade.rom_30d, 1)} per 30 days"),
        ("PoS", f"{per_cent(trade.pos, 1)}, a profit at expiry (others say POP)"),
        ("EV", f"{money(trade.ev)}{_clause(' ± {}', number(trade.ev_error))}"
               f"{_clause(', {} at the mid quotes', money(trade.ev_quotes))}"),
        ("your view", _view(trade)),
        ("CVaR95", amount(trade.cvar95)),
        ("risk-reward", number(trade.risk_reward, 2)),
        ("touch", _touch(trade)),
        ("edge", f"{money(trade.edge)}{_clause(' ± {}', number(trade.edge_error))}"),
        ("Greeks", f"Δ {trade.delta:+.1f} shares, Γ {trade.gamma:+.2f}, V {trade.vega:+.1f}, "
                   f"Θ {trade.theta:+.1f} a day"
                   + _clause("; short Δ {}", number(trade.short_delta))),
        ("volatility", f"{per_cent(trade.market_volatility, 1)} implied to {trade.expiry:%d %b} "
                       f"over all strikes, IV30 {per_cent(trade.iv30, 1) or 'unknown'}, "
                       f"IV rank {per_cent(trade.iv_rank) or 'unknown'}"
                       + expected_text(trade.iv30)),
        *(("event", event.text) for event in trade.events),
        *_managed(trade, trade.managed),
    )  # fmt: skip
    return "\n".join(
        _folded(f"{name:<{_NAME}}{text}", width, indent=_NAME) for name, text in rows if text
    )


def _folded(line: str, width: int | None, *, indent: int) -> str:
    """*line* over as many lines as it needs, those after the first indented."""
    if width is None or len(line) <= width:
        return line
    room = max(width - indent, _LEAST_ROOM)
    rest = textwrap.wrap(line[indent:], room, break_on_hyphens=False)
    return "\n".join([line[:indent] + rest[0], *(f"{'':{indent}}{text}" for text in rest[1:])])


def _clause(form: str, text: str) -> str:
    """*text* in its *form*; nothing where there is none."""
    return form.format(text) if text else ""


def _costs(trade: Proposal) -> str:
    slippage = trade.credit_mid - trade.credit
    share = _clause(", {} of the maximum profit", per_cent(trade.cost_share, 1))
    return f"{amount(slippage + trade.commission, 2)} to enter (slippage {slippage:,.2f}){share}"


def _breakevens(trade: Proposal) -> str:
    prices = ", ".join(f"{price:,.2f}" for price in trade.breakevens) or "none"
    return prices + _clause(", the nearest {}σ away", number(trade.distance, 1))


def _buying_power(trade: Proposal) -> str:
    change = "less credit" if trade.net_credit >= 0.0 else "plus debit"
    text = (
        f"{amount(trade.margin)} (margin {amount(trade.margin_requirement)} {change} "
        f"{amount(abs(trade.net_credit))})"
    )
    if trade.margin_cash is None or math.isclose(trade.margin_cash, trade.margin):
        return text
    return f"{text}, {amount(trade.margin_cash)} cash-secured"


def _size(size: TradeSize | None) -> str:
    if size is None:
        return ""
    limits = {"risk": size.by_risk, "margin": size.by_margin, "Kelly": size.kelly}
    by = ", ".join(f"{name} {count}" for name, count in limits.items() if count is not None)
    noun = "structure" if size.contracts == 1 else "structures"
    after = _clause("; buying power after it {}", amount(size.buying_power_after))
    return f"{size.contracts} {noun} (by {by}), limited by {size.limited_by}{after}"


def _view(trade: Proposal) -> str:
    view = trade.view
    if view is None:
        return ""
    return (
        f"volatility × {view.volatility:g}, drift {100.0 * view.drift:+g}% a year: "
        f"PoS {per_cent(view.pos, 1)}, EV {money(view.ev)}"
    )


def expected_text(iv30: float | None) -> str:
    """The realised volatility to expect, behind a comma; empty without an IV30."""
    if iv30 is None:
        return ""
    expected = realized.expected_from_iv(iv30)
    return (
        f", expected to come {expected.volatility:.1%}, two times in three "
        f"{expected.low:.1%} to {expected.high:.1%}"
    )


def _touch(trade: Proposal) -> str:
    if trade.touch is None:
        return ""
    reached = [f"{leg.strike:g}{leg.right}" for leg in trade.legs if _is_reached(leg, trade)]
    if reached:
        are = "is" if len(reached) == 1 else "are"
        return f"a short strike is touched: 100%, {', '.join(reached)} {are} in the money already"
    return f"a short strike is touched: {per_cent(trade.touch, 1)}"


def _is_reached(leg: Leg, trade: Proposal) -> bool:
    if leg.strike is None or leg.quantity >= 0 or leg.expiry is None:
        return False
    return trade.spot >= leg.strike if leg.right == "C" else trade.spot <= leg.strike


def _managed(trade: Proposal, managed: ManagedOutcome | None) -> Iterator[tuple[str, str]]:
    if managed is None:
        return
    ways = {
        f"target {money(managed.target, 0)}": managed.p_target,
        "stop": managed.p_stop,
        "last day": managed.p_time,
        "expiry": managed.p_expiry,
    }
    ends = ", ".join(f"{way} {per_cent(chance, 1)}" for way, chance in ways.items())
    yield "managed", f"{ends}; {managed.days:.0f} days held"
    yield (
        "",
        f"EV {money(managed.ev)} ± {managed.ev_error:,.2f} after exit costs, worst 5 % "
        f"{money(managed.tail, 0)} over {managed.paths:,} paths",
    )
    yield (
        "held to expiry",
        f"EV {money(trade.ev)}, worst 5 % {money(-trade.cvar95, 0)}; {NO_EDGE}",
    )


# -- payoff --------------------------------------------------------------------------------


class PayoffRow(NamedTuple):
    """P&L at the first expiry at one price, and what that price is."""

    price: float
    profit: float
    name: str


def payoff_rows(proposal: Proposal) -> list[PayoffRow]:
    """
    P&L at the first expiry, by price: every kink, and up to two expected moves either way.

    Empty where the proposal has no curve.
    """
    points = [point for point in proposal.curve if math.isfinite(point.profit)]
    if len(points) < 2:
        return []
    names: dict[float, list[str]] = {}
    for level, name in _levels(proposal):
        if points[0].price <= level <= points[-1].price:
            names.setdefault(round(level, 2), []).append(name)
    return [
        PayoffRow(price, _profit_at(points, price), ", ".join(dict.fromkeys(said)))
        for price, said in sorted(names.items())
    ]


def _levels(proposal: Proposal) -> Iterator[tuple[float, str]]:
    for leg in proposal.legs:
        if leg.strike is not None:
            yield leg.strike, f"{leg.strike:g}{leg.right}"
    for price in proposal.breakevens:
        yield price, "breakeven"
    move = _expected_move(proposal)
    for count in _MOVES:
        yield proposal.spot + count * move, f"{count:+g}σ" if count else "spot"


def _expected_move(proposal: Proposal) -> float:
    if proposal.expected_move is not None:
        return proposal.expected_move
    # Of a proposal that was kept before it had one.
    return proposal.spot * proposal.market_volatility * math.sqrt(max(proposal.tau, 0.0))


def _profit_at(points: Sequence[CurvePoint], price: float) -> float:
    """Between two points of the curve, which has all of its kinks."""
    at = min(max(bisect.bisect_left(points, price, key=_price), 1), len(points) - 1)
    low, high = points[at - 1], points[at]
    share = (price - low.price) / (high.price - low.price)
    return low.profit + share * (high.profit - low.profit)


def _price(point: CurvePoint) -> float:
    return point.price


def payoff_text(proposal: Proposal) -> str:
    """P&L at the first expiry as a bar per price."""
    rows = payoff_rows(proposal)
    if not rows:
        return "payoff: not available"
    largest = max(abs(row.profit) for row in rows) or 1.0
    lines = [f"{'price at expiry':>15}{'P&L':>10}"]
    for row in rows:
        bar = "█" * round(_BAR * abs(row.profit) / largest)
        left, right = ("", bar) if row.profit >= 0.0 else (bar, "")
        line = f"{row.price:>15,.2f}{money(row.profit, 0):>10}  {left:>{_BAR}}|{right:<{_BAR}}"
        lines.append(f"{line}  {row.name}".rstrip())
    lines.append(f"σ: one expected move to {proposal.expiry}, {_expected_move(proposal):,.2f}")
    return "\n".join(lines)


# -- what is like it -----------------------------------------------------------------------


def similar_text(proposal: Proposal) -> str:
    """The best others of the same thesis, and how many more there were; empty without any."""
    count = proposal.alternatives
    noun = "other" if count == 1 else "others"
    passed = f"{count:,} {noun} of the same thesis passed too" if count else ""
    if not proposal.similar:
        return passed
    titles = ("score", "also", "expiry", "credit", "PoS", "EV", "BP")
    table = PlainTable(*titles, left=(1,))
    for other in proposal.similar:
        strikes = other.trade.removeprefix(other.strategy).strip()
        table.add_row(
            number(other.score, 1),
            f"{other.strategy} {strikes}".replace("_", " "),
            f"{other.expiry}",
            money(other.credit, 0),
            per_cent(other.pos),
            money(other.ev, 0),
            amount(other.margin),
        )
    return f"{table.text()}{passed}".rstrip("\n")


# -- the order -----------------------------------------------------------------------------


def order_text(proposal: Proposal, order: Ticket | None = None) -> str:
    """The order as one would type it in TWS and elsewhere, and the one that closes it."""
    return ticket.ticket_text(order or tickets.of_proposal(proposal)).rstrip("\n")


def order_lines(proposal: Proposal) -> tuple[str, ...]:
    """The order, a line per leg with its contract id, and its limit on the tick."""
    return ticket.order_lines(tickets.of_proposal(proposal))


def limit_per_share(proposal: Proposal) -> float:
    """The limit at mid as one types it: on the tick, per share, negative for a debit."""
    return tick_of(proposal.legs).nearest(proposal.credit_mid / proposal.multiplier)


# -- judged again --------------------------------------------------------------------------


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
        lines.append(figures_text(review.proposal))
    if review.better is not None:
        lines.append(f"better: {review.better.trade}, score {review.better.score:.1f}")
    return "\n".join(lines) + "\n"
