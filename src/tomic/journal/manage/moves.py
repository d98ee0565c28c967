"""
What can be done with a position: each alternative as contracts to trade, or why it is none.

A short option counts as tested from a delta of ``manage.delta`` on. Rolls go to the expiries of
the window of ``[manage]``, never beyond earnings unless that is allowed, and sell nothing of more
than ``manage.max_delta``. What an alternative costs is judged later, as that needs its quotes.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np

from tomic import selection
from tomic.config import ManageSettings
from tomic.journal import campaign
from tomic.journal.manage import standing as positions
from tomic.journal.manage.standing import Standing
from tomic.models.journal import Held
from tomic.models.manage import MoveRefusal
from tomic.models.moves import MoveKind
from tomic.quant import black_scholes
from tomic.selection import ExpiryKind
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.term import in_words

Strikes: TypeAlias = Mapping[tuple[dt.date, str], Sequence[float]]
"""Listed strikes by expiry and right, ascending."""


_NO_TIME_VALUE = 0.05
"""Currency per share below which a put may be exercised: more is lost by it than is gained."""
_LEAST_DAYS = 7
"""Days from which on an option is sold against a long one."""


class DraftMove(NamedTuple):
    """One alternative: what to trade, signed; not judged yet."""

    kind: MoveKind
    text: str
    trade: tuple[Held, ...] = ()
    given: tuple[Held, ...] = ()
    """What changes hands without an order: an assignment."""
    paid: float = 0.0
    """For what is given, currency."""


class Sold(NamedTuple):
    """The short option of one right that is nearest to the money, and its protection."""

    short: Held
    legs: tuple[Held, ...]
    """All options of its right and expiry, itself included."""
    delta: float
    """Of the option held long: negative for a put."""


class _NoMove(Exception):
    """Why an alternative cannot be drawn up."""


def targets(
    expiries: Iterable[dt.date], today: dt.date, rules: ManageSettings, trading_class: str = ""
) -> list[dt.date]:
    """The expiries that are rolled to: of the window, monthly ones first, nearest its middle."""
    kinds = selection.classify(expiries, trading_class)
    middle = 0.5 * (rules.min_dte + rules.max_dte)
    inside = [day for day in kinds if rules.min_dte <= (day - today).days <= rules.max_dte]

    def order(day: dt.date) -> tuple[bool, float]:
        return kinds[day] is not ExpiryKind.MONTHLY, abs((day - today).days - middle)

    return sorted(sorted(inside, key=order)[: rules.expiries])


def between(expiries: Iterable[dt.date], first: dt.date, last: dt.date) -> dt.date | None:
    """The listed expiry nearest the middle of two others; None where none lies between."""
    inner = [day for day in expiries if first < day < last]
    middle = first + (last - first) / 2
    return min(inner, key=lambda day: abs((day - middle).days), default=None)


def before(
    expiries: Iterable[dt.date], last: dt.date, today: dt.date, rules: ManageSettings
) -> list[dt.date]:
    """The last expiries before that of a long option, none of the coming days."""
    least = min(rules.min_dte, _LEAST_DAYS)
    inside = [day for day in sorted(expiries) if day < last and (day - today).days >= least]
    return inside[-rules.expiries :]


@dataclass(frozen=True, eq=False)
class Ground:
    """The options among which alternatives are sought."""

    board: Board
    strikes: Strikes
    rules: ManageSettings
    _deltas: dict[tuple[dt.date, str], tuple[list[float], list[float]]] = field(
        default_factory=dict, repr=False
    )
    _of_strike: dict[tuple[dt.date, str, float], float] = field(default_factory=dict, repr=False)
    """Deltas that were asked for: a position asks for those of its legs at every alternative."""

    @property
    def expiries(self) -> list[dt.date]:
        """Those with strikes and a density, ascending."""
        return sorted({day for day, _ in self.strikes if day in self.board.outlooks})

    @property
    def targets(self) -> list[dt.date]:
        """What is rolled to."""
        chain = self.board.chain
        return targets(self.expiries, self.board.today, self.rules, chain.trading_class)

    def deltas(self, day: dt.date, right: str) -> tuple[list[float], list[float]]:
        """Listed strikes and their deltas at the smile."""
        if (day, right) not in self._deltas:
            strikes = np.array(self.strikes.get((day, right), ()), dtype=np.float64)
            outlook = self.board.outlooks.get(day)
            if outlook is None or not strikes.size:
                raise _NoMove(f"no smile of {in_words(day)}")
            greeks = black_scholes.greeks(
                self.board.spot, strikes, outlook.tau, outlook.rate, outlook.div_yield,
                outlook.smile.iv(strikes), right == "C",
            )  # fmt: skip
            self._deltas[day, right] = strikes.tolist(), np.asarray(greeks.delta).tolist()
        return self._deltas[day, right]

    def delta(self, leg: Held) -> float:
        """Of one option, at the smile."""
        key = _expiry(leg), leg.right or "", _strike(leg)
        if key not in self._of_strike:
            strikes, deltas = self.deltas(*key[:2])
            pairs = zip(strikes, deltas, strict=True)
            self._of_strike[key] = min(pairs, key=lambda pair: abs(pair[0] - key[2]))[1]
        return self._of_strike[key]

    def at_delta(self, day: dt.date, right: str, size: float) -> float:
        """The strike whose delta, either sign, is nearest to *size*."""
        strikes, deltas = self.deltas(day, right)
        return min(zip(strikes, deltas, strict=True), key=lambda pair: abs(abs(pair[1]) - size))[0]

    def nearest(self, day: dt.date, right: str, strike: float) -> float:
        """The listed strike nearest to another."""
        return min(self.deltas(day, right)[0], key=lambda listed: abs(listed - strike))

    def has(self, day: dt.date, right: str, strike: float) -> bool:
        """Whether that strike is listed."""
        return any(abs(strike - listed) < 1e-6 for listed in self.strikes.get((day, right), ()))

    def dte(self, day: dt.date) -> int:
        """Calendar days."""
        return self.board.outlooks[day].dte


@dataclass(frozen=True, eq=False)
class _Case:
    """One position on its ground."""

    held: Standing
    ground: Ground

    @property
    def rules(self) -> ManageSettings:
        return self.ground.rules

    def front(self) -> tuple[Held, ...]:
        """The options that expire first."""
        days = [leg.expiry for leg in self.held.options if leg.expiry is not None]
        return tuple(leg for leg in self.held.options if leg.expiry == min(days))

    def sold(self) -> dict[str, Sold]:
        """By right the short option that is nearest to the money, among those that expire first."""
        found: dict[str, Sold] = {}
        for right in "PC":
            legs = tuple(leg for leg in self.front() if leg.right == right)
            shorts = [(self.ground.delta(leg), leg) for leg in legs if leg.quantity < 0.0]
            if shorts:
                delta, short = max(shorts, key=lambda pair: abs(pair[0]))
                found[right] = Sold(short, legs, delta)
        return found

    def tested(self) -> Sold:
        """The side whose short option has the larger delta; `_NoMove` where it is still small."""
        sides = self.sold()
        if not sides:
            raise _NoMove("nothing is sold")
        worst = max(sides.values(), key=lambda side: abs(side.delta))
        if abs(worst.delta) < self.rules.delta:
            names = ", ".join(f"{side.short.name} {side.delta:+.2f}" for side in sides.values())
            raise _NoMove(f"nothing is tested: delta {names}, under {self.rules.delta:.2f}")
        return worst

    def untested(self) -> Sold:
        """The other side of a structure that is tested on one."""
        sides, tested = self.sold(), self.tested()
        if len(sides) < 2:
            raise _NoMove("it has one side only")
        return next(side for side in sides.values() if side.short is not tested.short)

    def later(self) -> list[dt.date]:
        """Expiries to roll the front options to; `_NoMove` where there are none."""
        first = _expiry(self.front()[0])
        last = max(_expiry(leg) for leg in self.held.options)
        if last > first:
            # What is sold must not outlive what covers it.
            day = between(self.ground.expiries, first, last)
            days = [day] if day else []
            window = f"between {in_words(first)} and {in_words(last)}"
        else:
            days = [day for day in self.ground.targets if day > first]
            window = (
                f"after {in_words(first)}, {self.rules.min_dte} to {self.rules.max_dte} days out"
            )
        if not days:
            raise _NoMove(f"no expiry {window}")
        return self._before_earnings(days)

    def _before_earnings(self, days: list[dt.date]) -> list[dt.date]:
        report = self.ground.board.vol.next_earnings
        if self.rules.past_earnings or report is None or report < self.ground.board.today:
            return days
        inside = [day for day in days if day < report]
        if not inside:
            raise _NoMove(f"every expiry to roll to is past the earnings of {in_words(report)}")
        return inside

    def check_rolls(self) -> None:
        """Refuse a roll where the campaign has had its number of them."""
        if self.held.rolls >= self.rules.max_rolls:
            raise _NoMove(f"rolled {self.held.rolls} times already, at most {self.rules.max_rolls}")

    def check_delta(self, legs: Iterable[Held]) -> None:
        """Refuse to sell what is too deep."""
        for leg in legs:
            delta = self.ground.delta(leg)
            if leg.quantity < 0.0 and abs(delta) > self.rules.max_delta:
                raise _NoMove(
                    f"{leg.name} has delta {delta:+.2f}, more than {self.rules.max_delta:.2f}"
                )


def drafts(held: Standing, ground: Ground) -> list[DraftMove | MoveRefusal]:
    """Every alternative of a position, in a fixed order, and those that there are not."""
    case = _Case(held, ground)
    found: list[DraftMove | MoveRefusal] = [DraftMove(MoveKind.HOLD, "hold")]
    for kind, make in _MAKERS:
        try:
            found += make(case)
        except _NoMove as exc:
            found.append(MoveRefusal(kind=kind, reason=str(exc)))
    return list(dict.fromkeys(found))


def needed(found: Iterable[DraftMove | MoveRefusal]) -> set[selection.Wanted]:
    """The options that the drafts among *found* trade."""
    return {
        selection.Wanted(leg.expiry, leg.strike, "C" if leg.is_call else "P")
        for draft in found
        if isinstance(draft, DraftMove)
        for leg in draft.trade
        if leg.expiry is not None and leg.strike is not None
    }


# -- less of it -------------------------------------------------------------------------------


def _close(case: _Case) -> Iterator[DraftMove]:
    yield DraftMove(MoveKind.CLOSE, "close now", _reversed(case.held.legs))


def _part(case: _Case) -> Iterator[DraftMove]:
    legs = case.held.legs
    count = campaign.count_structures(legs)
    if not case.held.options or count < 2:
        raise _NoMove("there is only one" if case.held.options else "no options are held")
    taken = min(max(round(count * case.rules.part), 1), count - 1)
    parts = tuple(
        leg.model_copy(update={"quantity": -leg.quantity * taken / count}) for leg in legs
    )
    if any(part.quantity != round(part.quantity) for part in parts):
        raise _NoMove(f"{case.held.shares:g} shares do not go into {count} parts")
    yield DraftMove(MoveKind.PART, f"close {taken} of {count}", parts)


def _keep_long(case: _Case) -> Iterator[DraftMove]:
    shorts = [leg for leg in case.held.options if leg.quantity < 0.0]
    longs = [leg for leg in case.held.options if leg.quantity > 0.0]
    if not shorts:
        raise _NoMove("nothing is sold")
    if not longs:
        raise _NoMove("no option is held long")
    names = " and ".join(leg.name for leg in longs)
    yield DraftMove(MoveKind.KEEP_LONG, f"close what is sold, keep {names}", _reversed(shorts))


# -- rolls -------------------------------------------------------------------------------------


def _roll(case: _Case) -> Iterator[DraftMove | MoveRefusal]:
    legs = _rollable(case)

    def to(day: dt.date) -> DraftMove:
        new = [_moved(case.ground, leg, day, _strike(leg), exact=True) for leg in legs]
        case.check_delta(new)
        return DraftMove(MoveKind.ROLL, f"{_to(case, day)}, same strikes", _swapped(legs, new))

    return _to_each(case, MoveKind.ROLL, to)


def _roll_delta(case: _Case) -> Iterator[DraftMove | MoveRefusal]:
    legs, sides = _rollable(case), case.sold().values()
    before = [leg for side in sides for leg in side.legs]
    if len(before) < len(legs):
        raise _NoMove("an option that is held belongs to none that is sold")

    def to(day: dt.date) -> DraftMove:
        new: list[Held] = []
        for side in sides:
            new += _shifted(case.ground, side, day, min(abs(side.delta), case.rules.delta))
        if list(map(_strike, new)) == list(map(_strike, before)):
            raise _NoMove(f"by delta the strikes of {in_words(day)} are the same")
        names = "/".join(f"{_strike(leg):g}{leg.right}" for leg in new)
        return DraftMove(MoveKind.ROLL_DELTA, f"{_to(case, day)}, {names}", _swapped(legs, new))

    return _to_each(case, MoveKind.ROLL_DELTA, to)


def _tested_out(case: _Case) -> Iterator[DraftMove | MoveRefusal]:
    case.check_rolls()
    case.untested()
    side = case.tested()

    def to(day: dt.date) -> DraftMove:
        new = [_moved(case.ground, leg, day, _strike(leg), exact=True) for leg in side.legs]
        case.check_delta(new)
        text = f"roll the {_word(side)} side out to {in_words(day)} ({case.ground.dte(day)} days)"
        return DraftMove(MoveKind.TESTED_OUT, text, _swapped(side.legs, new))

    return _to_each(case, MoveKind.TESTED_OUT, to)


def _to_each(
    case: _Case, kind: MoveKind, to: Callable[[dt.date], DraftMove]
) -> Iterator[DraftMove | MoveRefusal]:
    """The same roll to every expiry that may be rolled to."""
    for day in case.later():
        try:
            yield to(day)
        except _NoMove as exc:
            yield MoveRefusal(kind=kind, reason=str(exc))


def _tested_away(case: _Case) -> Iterator[DraftMove]:
    case.check_rolls()
    yield _resold(case, MoveKind.TESTED_AWAY, case.tested(), case.rules.delta, "away")


def _untested_in(case: _Case) -> Iterator[DraftMove]:
    case.check_rolls()
    tested, side = case.tested(), case.untested()
    if abs(side.delta) >= case.rules.delta:
        raise _NoMove(f"{side.short.name} has delta {side.delta:+.2f} already")
    draft = _resold(case, MoveKind.UNTESTED_IN, side, case.rules.delta, "in")
    new = next(leg for leg in draft.trade if leg.quantity < 0.0 and leg.right == side.short.right)
    over = _strike(new) - _strike(tested.short)
    if over * (1.0 if new.is_call else -1.0) < 0.0:
        raise _NoMove(f"{new.name} would be past the tested {tested.short.name}")
    yield draft


def _resold(case: _Case, kind: MoveKind, side: Sold, size: float, way: str) -> DraftMove:
    """One side sold again in its own expiry at another delta."""
    day = _expiry(side.short)
    new = _shifted(case.ground, side, day, size)
    if _strike(new[0]) == _strike(side.legs[0]):
        raise _NoMove(f"{side.short.name} is where it would go")
    names = "/".join(f"{_strike(leg):g}{leg.right}" for leg in new)
    text = f"roll the {_word(side)} side {way} to {names}"
    return DraftMove(kind, text, _swapped(side.legs, new))


def _iron_fly(case: _Case) -> Iterator[DraftMove]:
    case.check_rolls()
    tested, side = case.tested(), case.untested()
    day, center = _expiry(tested.short), _strike(tested.short)
    if _strike(side.short) == center:
        raise _NoMove("it is one already")
    right = side.short.right or ""
    if not case.ground.has(day, right, center):
        raise _NoMove(f"no {center:g}{right} of {in_words(day)} is listed")
    shift = center - _strike(side.short)
    new = [_moved(case.ground, leg, day, _strike(leg) + shift) for leg in side.legs]
    bought = [] if len(case.front()) > 2 else _wings(case, tested, center)
    trade = _swapped(side.legs, new, bought)
    yield DraftMove(MoveKind.IRON_FLY, f"go to an iron fly at {center:g}", trade)


def _wings(case: _Case, tested: Sold, center: float) -> list[Held]:
    """Protection one standard deviation away, where none is held."""
    day = _expiry(tested.short)
    away = case.ground.board.outlooks[day].sigma_points
    sides = {"P": center - away, "C": center + away}
    return [
        _option(tested.short, day, case.ground.nearest(day, right, strike), right, 1.0)
        for right, strike in sides.items()
    ]


def _rollable(case: _Case) -> tuple[Held, ...]:
    case.check_rolls()
    if not case.held.options:
        raise _NoMove("no options are held")
    legs = case.front()
    if not any(leg.quantity < 0.0 for leg in legs):
        raise _NoMove("nothing is sold")
    return legs


# -- shares ------------------------------------------------------------------------------------


def _assignment(case: _Case) -> Iterator[DraftMove]:
    board = case.ground.board
    puts = [leg for leg in case.held.options if leg.quantity < 0.0 and not leg.is_call]
    if not puts:
        raise _NoMove("no put is sold")
    if len(case.held.options) > 1 or case.held.shares:
        raise _NoMove("only of a put that is sold alone")
    (put,) = puts
    if board.chain.underlying.settles_in_cash:
        raise _NoMove(f"{case.held.symbol} settles in cash: no shares are delivered")
    if board.spot >= _strike(put):
        raise _NoMove(f"spot {board.spot:.2f} is above {_strike(put):g}: nobody exercises it now")
    left = _time_value(board, put)
    if not left <= _NO_TIME_VALUE:
        raise _NoMove(f"{put.name} has a time value of {left:.2f}: nobody gives that up now")
    count = -put.quantity
    lot = float(put.multiplier)
    taken = put.model_copy(update={"quantity": count})
    shares = Held(multiplier=1, quantity=count * lot)
    for day in case.ground.targets:
        strike = _call_strike(case, day, at_least=_strike(put))
        call = _option(put, day, strike, "C", -count)
        text = f"take assignment at {_strike(put):g} and sell {call.name}"
        paid = count * lot * _strike(put)
        yield DraftMove(MoveKind.ASSIGNMENT, text, (call,), (taken, shares), paid)


def _time_value(board: Board, put: Held) -> float:
    """What a put in the money is worth beyond what its exercise pays, currency per share."""
    row = board.row_of.get((_expiry(put), _strike(put), "P"))
    price = math.nan if row is None else float(board.price[row])
    return price - (_strike(put) - board.spot)


def _write(case: _Case) -> Iterator[DraftMove]:
    shorts = [leg for leg in case.held.options if leg.quantity < 0.0]
    if shorts:
        raise _NoMove("something is sold already")
    if case.held.options:
        yield from _write_option(case)
        return
    lot = case.ground.board.chain.multiplier
    count = math.floor(case.held.shares / lot)
    if count < 1:
        raise _NoMove(f"{case.held.shares:g} shares are no lot of {lot}")
    like = Held(expiry=case.ground.board.today, strike=1.0, right="C", multiplier=lot, quantity=1.0)
    for day in case._before_earnings(_some(case.ground.targets, case.rules)):
        call = _option(like, day, _call_strike(case, day), "C", -float(count))
        yield DraftMove(MoveKind.WRITE, f"sell {call.name} against the shares", (call,))


def _write_option(case: _Case) -> Iterator[DraftMove]:
    """A new front month against a long option that is held alone."""
    if len(case.held.options) > 1:
        raise _NoMove("several options are held long")
    (long,) = case.held.options
    today = case.ground.board.today
    near = before(case.ground.expiries, _expiry(long), today, case.rules)
    if not near:
        raise _NoMove(f"no expiry before {in_words(_expiry(long))}")
    for day in case._before_earnings(near):
        short = _moved(case.ground, long, day, _strike(long))
        sold = short.model_copy(update={"quantity": -long.quantity})
        case.check_delta([sold])
        yield DraftMove(MoveKind.WRITE, f"sell {sold.name} against it", (sold,))


def _some(days: list[dt.date], rules: ManageSettings) -> list[dt.date]:
    if not days:
        raise _NoMove(f"no expiry {rules.min_dte} to {rules.max_dte} days out")
    return days


def _call_strike(case: _Case, day: dt.date, at_least: float = 0.0) -> float:
    """By delta, but not below what the shares were taken for, where such a strike is listed."""
    strike = case.ground.at_delta(day, "C", case.rules.delta)
    listed = [level for level in case.ground.deltas(day, "C")[0] if level >= at_least]
    return max(strike, min(listed)) if listed else strike


_MAKERS = (
    (MoveKind.CLOSE, _close),
    (MoveKind.PART, _part),
    (MoveKind.ROLL, _roll),
    (MoveKind.ROLL_DELTA, _roll_delta),
    (MoveKind.TESTED_OUT, _tested_out),
    (MoveKind.TESTED_AWAY, _tested_away),
    (MoveKind.UNTESTED_IN, _untested_in),
    (MoveKind.IRON_FLY, _iron_fly),
    (MoveKind.ASSIGNMENT, _assignment),
    (MoveKind.WRITE, _write),
    (MoveKind.KEEP_LONG, _keep_long),
)


# -- legs --------------------------------------------------------------------------------------


def _expiry(leg: Held) -> dt.date:
    assert leg.expiry is not None
    return leg.expiry


def _strike(leg: Held) -> float:
    assert leg.strike is not None
    return leg.strike


def _option(like: Held, day: dt.date, strike: float, right: str, quantity: float) -> Held:
    return Held(
        expiry=day,
        strike=strike,
        right="C" if right == "C" else "P",
        multiplier=like.multiplier,
        trading_class=like.trading_class,
        quantity=quantity,
    )


def _moved(ground: Ground, leg: Held, day: dt.date, strike: float, *, exact: bool = False) -> Held:
    """The same option at another expiry and strike, the nearest that is listed unless *exact*."""
    right = leg.right or ""
    if exact and not ground.has(day, right, strike):
        raise _NoMove(f"no {strike:g}{right} of {in_words(day)} is listed")
    listed = strike if exact else ground.nearest(day, right, strike)
    return _option(leg, day, listed, right, leg.quantity)


def _shifted(ground: Ground, side: Sold, day: dt.date, size: float) -> list[Held]:
    """A side with its short option at a delta, its protection as far away as before."""
    strike = ground.at_delta(day, side.short.right or "", size)
    shift = strike - _strike(side.short)
    return [_moved(ground, leg, day, _strike(leg) + shift) for leg in side.legs]


def _by_side(case: _Case) -> list[Held]:
    return [leg for side in case.sold().values() for leg in side.legs]


def _reversed(legs: Iterable[Held]) -> tuple[Held, ...]:
    return tuple(leg.model_copy(update={"quantity": -leg.quantity}) for leg in legs)


def _swapped(
    old: Iterable[Held], new: Iterable[Held], bought: Iterable[Held] = ()
) -> tuple[Held, ...]:
    """What to trade to have *new* and *bought* in place of *old*."""
    return positions.after(_reversed(old), (*new, *bought))


def _to(case: _Case, day: dt.date) -> str:
    return f"roll out to {in_words(day)} ({case.ground.dte(day)} days)"


def _word(side: Sold) -> str:
    return "put" if side.short.right == "P" else "call"
