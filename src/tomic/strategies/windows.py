"""What a scan asks for of one symbol: only expiries and strikes that an open strategy can use."""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from tomic.chain import Chain
from tomic.config import ScanSettings
from tomic.errors import EmptyWindow
from tomic.models import Leg, OptionParams, RowStatus
from tomic.selection import (
    ExpiryKind,
    Right,
    Selection,
    Wanted,
    as_listed,
    classify,
    days_to_expiry,
)
from tomic.strategies.catalogue.leg_rules import DeltaBand, LegRule, Moneyness, Template

_AT_THE_MONEY = 2
"""Strikes on either side of spot that thinning always keeps: forwards come from them."""
_BEYOND_FORWARD = 0.5
"""
Standard deviations from spot of one more strike of the side that no strategy uses. A smile is only
believed where quotes on both sides of the forward confirm it, and a forward lies no further out:
carry is a tenth of a deviation over a month, a quarter over a year.
"""
_BAND_MARGIN = 0.25
"""Standard deviations added to a delta band, whose strikes are only guessed beforehand."""
_RIGHTS: tuple[Right, ...] = ("C", "P")
_ROUND = (100.0, 50.0, 25.0, 10.0, 5.0, 2.5, 1.0, 0.5)
"""Steps that make a strike round; the more of them divide it, the rounder it is."""


@dataclass(frozen=True, slots=True)
class Window(Selection):
    """A selection whose calls and puts have strikes of their own."""

    options: Mapping[dt.date, tuple[Wanted, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self.options.values()))

    def of_expiry(self, expiry: dt.date) -> Iterator[Wanted]:
        """Yield the options of one expiry, by strike and right."""
        yield from self.options[expiry]


class _Span(NamedTuple):
    """Strikes of one right that are of use, as standard deviations from spot, both ends."""

    low: float
    high: float


def choose(
    templates: Sequence[Template],
    params: OptionParams,
    spot: float,
    today: dt.date,
    sigma: float,
    scan: ScanSettings,
) -> Window:
    """
    Choose the options that *templates* can use.

    Per expiry in a template's window of days: the out-of-the-money side to ``scan.sigmas``
    standard deviations, ``scan.itm_strikes`` strikes in the money, and what a template names
    beyond; where only puts or only calls are of use, two of the others at the money as well, for
    the forward, and one beyond it, which confirms the smile. Above ``scan.max_contracts`` strikes
    of use are thinned evenly in standard deviations, round ones first, and a note says so.

    Args:
        templates: Strategies whose gates are open.
        params: Expiries and strikes of one trading class.
        spot: Currency per share.
        today: The exchange's date.
        sigma: At-the-money volatility, fraction; it only sets how far strikes reach.

    Raises:
        EmptyWindow: No expiry or strike of the class can be used.
    """
    slots = _expiries(templates, params, today)
    if not slots:
        days = ", ".join(
            f"{template.name} {template.dte[0]}-{template.dte[1]}" for template in templates
        )
        raise EmptyWindow(
            f"{params.trading_class} has no expiry in the days that the strategies want ({days})"
        )
    wanted: dict[tuple[dt.date, Right], list[float]] = {}
    for expiry, legs in sorted(slots.items()):
        tau = max(days_to_expiry(params, expiry, today), 1) / 365.0
        for right in sorted({leg.right for leg in legs}):
            span = _span([leg for leg in legs if leg.right == right], right, sigma, tau, scan)
            strikes = _within(params.strikes, spot, sigma * math.sqrt(tau), span, right, scan)
            if strikes:
                wanted[expiry, right] = strikes
    if not wanted:
        raise EmptyWindow(f"{params.trading_class} has no strike near {spot:g} for the strategies")
    beside: dict[tuple[dt.date, Right], list[float]] = {}
    for expiry in sorted({day for day, _ in wanted}):
        tau = max(days_to_expiry(params, expiry, today), 1) / 365.0
        deviation = sigma * math.sqrt(tau)
        for right in _RIGHTS:
            if (expiry, right) not in wanted:
                beside[expiry, right] = _confirming(params.strikes, spot, deviation, right)
    notes: tuple[str, ...] = ()
    few = sum(map(len, beside.values()))
    total = few + sum(map(len, wanted.values()))
    if total > scan.max_contracts:
        wanted = _thinned(wanted, spot, max(scan.max_contracts - few, 0))
        kept = few + sum(map(len, wanted.values()))
        notes = (f"strikes thinned evenly from {total} to {kept} contracts (scan.max_contracts)",)
    return _window(params, wanted | beside, notes)


def unthinned(scan: ScanSettings) -> ScanSettings:
    """*scan* with windows in which every listed strike stays."""
    return scan.model_copy(update={"max_contracts": sys.maxsize})


UNKNOWN_VOLATILITY = 0.30
_REACH = 1.5
"""Standard deviations out of the money that a stored chain must reach to serve a scan."""


def choose_for(
    templates: Sequence[Template],
    scan: ScanSettings,
    params: OptionParams,
    spot: float,
    today: dt.date,
    sigma: float | None,
) -> Window:
    """As `choose`; an unknown volatility counts as 30 %, and a note says so."""
    if sigma is not None and sigma > 0.0:
        return choose(templates, params, spot, today, sigma, scan)
    window = choose(templates, params, spot, today, UNKNOWN_VOLATILITY, scan)
    guess = f"volatility unknown: strikes reach as for {UNKNOWN_VOLATILITY:.0%}"
    return replace(window, notes=(*window.notes, guess))


def of_legs(
    legs: Sequence[Leg], params: OptionParams, spot: float, today: dt.date, sigma: float | None
) -> Window:
    """The options among *legs* alone."""
    wanted: dict[tuple[dt.date, Right], list[float]] = {}
    for leg in legs:
        if leg.expiry is not None and leg.right is not None and leg.strike is not None:
            expiry = as_listed(params, leg.expiry) or leg.expiry
            wanted.setdefault((expiry, leg.right), []).append(leg.strike)
    return _window(params, wanted, ())


def serves(chain: Chain, templates: Sequence[Template], scan: ScanSettings) -> bool:
    """
    Whether *chain* holds what *templates* need: an expiry in each one's days, and strikes on the
    out-of-the-money side of the rights it uses as far as 1.5 standard deviations.
    """
    iv = chain["iv"][np.isfinite(chain["iv"])]
    if not len(iv):
        return False
    sigma = float(np.median(iv))
    for template in templates:
        low, high = template.dte
        rows = (chain["dte"] >= low) & (chain["dte"] <= high) & (chain["status"] == RowStatus.OK)
        if not rows.any():
            return False
        reach = np.log(chain["strike"] / chain.spot.price) / (sigma * np.sqrt(chain["tau"]))
        rights = {leg.right for variant in template.variants for leg in variant.legs}
        limit = min(_REACH, scan.sigmas)
        if "P" in rights and not (rows & ~chain.is_call & (reach <= -limit)).any():
            return False
        if "C" in rights and not (rows & chain.is_call & (reach >= limit)).any():
            return False
    return True


def _expiries(
    templates: Sequence[Template], params: OptionParams, today: dt.date
) -> dict[dt.date, list[LegRule]]:
    """Monthly or weekly expiry to the legs that may lie in it."""
    usual = (ExpiryKind.MONTHLY, ExpiryKind.WEEKLY)
    kinds = classify(params.expiries, params.trading_class)
    days = [day for day, kind in kinds.items() if kind in usual]
    dtes = {day: days_to_expiry(params, day, today) for day in days}
    slots: dict[dt.date, list[LegRule]] = {}
    for variant in (each for template in templates for each in template.variants):
        near = [day for day in days if variant.dte[0] <= dtes[day] <= variant.dte[1]]
        least, most = variant.gap or (0, -1)
        pairs = [
            (first, later)
            for first in near
            for later in days
            if least <= (later - first).days <= most
        ]
        if variant.gap is not None:
            near = sorted({first for first, _ in pairs})
        far = sorted({later for _, later in pairs})
        for leg in variant.legs:
            for day in far if leg.slot == "far" else near:
                slots.setdefault(day, []).append(leg)
    return slots


def _span(
    legs: Sequence[LegRule], right: Right, sigma: float, tau: float, scan: ScanSettings
) -> _Span:
    """How far the legs of one right reach, in standard deviations; calls lie above, puts below."""
    inside = 0.0
    for leg in legs:
        if isinstance(leg.pick, DeltaBand):
            deepest = max(abs(leg.pick.low), abs(leg.pick.high))
            if deepest > 0.5:
                inside = max(inside, float(ndtri(min(deepest, 0.999))) + _BAND_MARGIN)
        elif isinstance(leg.pick, Moneyness):
            deepest = 1.0 / leg.pick.low if right == "C" else leg.pick.high
            inside = max(inside, math.log(max(deepest, 1.0)) / (sigma * math.sqrt(tau)))
    return _Span(-inside, scan.sigmas) if right == "C" else _Span(-scan.sigmas, inside)


def _within(
    strikes: Sequence[float],
    spot: float,
    deviation: float,
    span: _Span,
    right: Right,
    scan: ScanSettings,
) -> list[float]:
    """Strikes inside the span, and the first ones in the money whatever the span."""
    listed = sorted(strikes)
    chosen = {
        strike
        for strike in listed
        if strike > 0.0 and span.low <= math.log(strike / spot) / deviation <= span.high
    }
    inside = [strike for strike in listed if (strike <= spot if right == "C" else strike >= spot)]
    inside.sort(key=lambda strike: abs(strike - spot))
    chosen |= set(inside[: scan.itm_strikes])
    return sorted(chosen)


def _confirming(
    strikes: Sequence[float], spot: float, deviation: float, right: Right
) -> list[float]:
    """Strikes of a side that no strategy uses: for the forward, and one to confirm a smile."""
    side = 1.0 if right == "C" else -1.0
    beyond = spot * math.exp(side * _BEYOND_FORWARD * deviation)
    nearest = sorted(strikes, key=lambda strike: abs(strike - spot))[:_AT_THE_MONEY]
    return sorted({*nearest, min(strikes, key=lambda strike: abs(strike - beyond))})


def _thinned(
    wanted: Mapping[tuple[dt.date, Right], list[float]], spot: float, most: int
) -> dict[tuple[dt.date, Right], list[float]]:
    """At most *most* contracts: each list is thinned evenly and in proportion."""
    total = sum(map(len, wanted.values()))
    return {
        key: _spread(strikes, spot, max(int(len(strikes) * most / total), 1))
        for key, strikes in wanted.items()
    }


def _spread(strikes: Sequence[float], spot: float, count: int) -> list[float]:
    """*count* of *strikes*, one from each of as many equal steps of log-strike, the roundest."""
    by_distance = sorted(strikes, key=lambda strike: abs(strike - spot))
    kept = set(by_distance[: min(2 * _AT_THE_MONEY, count)])
    room = count - len(kept)
    if room > 0:
        rest = np.array([strike for strike in strikes if strike not in kept])
        edges = np.linspace(np.log(rest[0]), np.log(rest[-1]), room + 1)
        place = np.clip(np.searchsorted(edges, np.log(rest), side="right") - 1, 0, room - 1)
        for step in np.unique(place):
            inside = rest[place == step].tolist()
            middle = math.exp(0.5 * (edges[step] + edges[step + 1]))
            kept.add(
                min(inside, key=lambda strike: (-roundness(strike), abs(strike - middle), strike))
            )
    return sorted(kept)


def roundness(strike: float) -> int:
    """How many of the usual round steps divide a strike."""
    return sum(math.isclose(strike % step, 0.0, abs_tol=1e-9) for step in _ROUND)


def _window(
    params: OptionParams,
    wanted: Mapping[tuple[dt.date, Right], Sequence[float]],
    notes: tuple[str, ...],
) -> Window:
    options: dict[dt.date, list[Wanted]] = {}
    for (expiry, right), strikes in wanted.items():
        options.setdefault(expiry, []).extend(Wanted(expiry, strike, right) for strike in strikes)
    ordered = {
        expiry: tuple(sorted(chosen, key=lambda option: (option.strike, option.right)))
        for expiry, chosen in sorted(options.items())
    }
    return Window(
        trading_class=params.trading_class,
        multiplier=params.multiplier,
        exchange=params.exchange,
        strikes={
            expiry: tuple(dict.fromkeys(option.strike for option in chosen))
            for expiry, chosen in ordered.items()
        },
        rights=("C", "P"),
        options=ordered,
        notes=notes,
    )
