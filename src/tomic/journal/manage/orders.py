"""An alternative as a ticket: what one types to do it."""

from __future__ import annotations

from tomic.errors import UsageError
from tomic.models import Ticket
from tomic.models.manage import Advice, Move
from tomic.models.moves import MoveKind
from tomic.models.ticket import TicketKind
from tomic.strategies.tickets import ticket_leg
from tomic.strategies.ticks import tick_of

_ENDS = frozenset({MoveKind.CLOSE, MoveKind.PART, MoveKind.KEEP_LONG})


def ticket(advice: Advice, move: Move) -> Ticket:
    """
    The ticket of an alternative, at mid on its tick; prices are of its options alone.

    Raises:
        UsageError: Nothing is traded.
    """
    if not move.trades:
        raise UsageError(f"{move.text}: there is nothing to type")
    options = [leg for leg in move.trades if leg.sec_type == "OPT"]
    tick = tick_of(move.trades)
    mid = -sum(leg.quantity * leg.price for leg in options) / move.structures
    spreads = [
        abs(leg.quantity) * 0.5 * (leg.ask - leg.bid)
        for leg in options
        if leg.bid is not None and leg.ask is not None
    ]
    natural = mid - sum(spreads) / move.structures if len(spreads) == len(options) else None
    return Ticket(
        symbol=advice.symbol,
        currency=advice.currency,
        strategy=advice.strategy,
        legs=tuple(
            ticket_leg(
                leg,
                symbol=advice.symbol,
                trading_class=advice.trading_class,
                multiplier=move.multiplier,
                currency=advice.currency,
                spot=move.spot,
                units=move.structures,
            )
            for leg in move.trades
        ),
        quantity=move.structures,
        price=tick.nearest(mid) if options else None,
        mid=mid if options else None,
        natural=natural if options else None,
        tick=tick.size,
        tick_reason=tick.because,
        kind=_kind(move.kind),
        label=f"{advice.id}: {move.text}",
    )


def afterwards(advice: Advice, move: Move) -> Ticket:
    """
    What is held after an alternative, as a ticket that opens it: for pages that show a position.

    Raises:
        UsageError: Nothing is held afterwards.
    """
    if not move.legs:
        raise UsageError(f"{move.text}: nothing is held afterwards, so there is nothing to show")
    currency = advice.currency
    legs = tuple(
        ticket_leg(
            leg,
            symbol=advice.symbol,
            trading_class=advice.trading_class,
            multiplier=move.multiplier,
            currency=currency,
            spot=move.spot,
        )
        for leg in move.legs
    )
    tick = tick_of(move.legs)
    return Ticket(
        symbol=advice.symbol,
        currency=currency,
        legs=legs,
        tick=tick.size,
        tick_reason=tick.because,
        kind="open",
        label=f"{advice.id} after {move.text}",
    )


def _kind(kind: MoveKind) -> TicketKind:
    if kind.is_roll:
        return "roll"
    return "close" if kind in _ENDS else "open"
