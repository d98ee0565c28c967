"""
Early-exercise premiums of many options at once: put form, grouped by expiry and side.

Options that share time, rate, yield and side share a boundary. Which method applies depends on the
signs, in put form (for a call, rate and yield change places):

- rate <= 0 and yield >= rate: waiting never costs anything, the premium is zero;
- rate >= 0 otherwise: one boundary, ``american_boundary``;
- yield < rate < 0: exercise pays between *two* boundaries (Battauz, De Donno and Sbuelz 2015);
  ``american_lattice``, slower and good to some 1e-5 of spot.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray, IntArray
from tomic.quant import american_boundary, american_lattice
from tomic.quant.american_boundary import STANDARD, Resolution, Slopes

_BUMP = 1e-3
_NO_GAIN = 1e-11
"""Interest over the whole life, per unit of strike, that is not worth a boundary."""


class _Method(Enum):
    NONE = "none"
    BOUNDARY = "boundary"
    LATTICE = "lattice"


_RATE_BUMPS = {_Method.NONE: 0.0, _Method.BOUNDARY: 2e-6, _Method.LATTICE: 5e-4}
"""As small as rounding allows on a boundary, as wide as the noise demands on a lattice."""


class _Group(NamedTuple):
    """Options with one boundary; ``rate`` and ``div_yield`` in put form."""

    members: IntArray
    tau: float
    rate: float
    div_yield: float
    method: _Method


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """
    Flat contracts in put form: log-moneyness ``x`` and the price of one ``unit`` of strike.

    ``x`` and ``unit`` are log(spot / strike) and strike for puts, log(strike / spot) and spot for
    calls. Elements with a NaN, without time or without a positive price belong to no group; their
    premium is zero, and the European value carries the NaN.
    """

    x: FloatArray
    unit: FloatArray
    groups: list[_Group] = field(repr=False)
    resolution: Resolution = STANDARD

    def take(self, where: IntArray) -> Contracts:
        """The elements at *where* (ascending), still in their groups."""
        place = np.full(self.x.size, -1)
        place[where] = np.arange(where.size)
        kept = [(group, place[group.members]) for group in self.groups]
        groups = [group._replace(members=at[at >= 0]) for group, at in kept if np.any(at >= 0)]
        return Contracts(self.x[where], self.unit[where], groups, self.resolution)

    def premium(self, sigma: FloatArray) -> FloatArray:
        """Currency per share, never negative; NaN where sigma is NaN."""
        out = np.zeros(self.x.size)
        with np.errstate(all="ignore"):
            for group in self.groups:
                if group.method is not _Method.NONE:
                    i = group.members
                    out[i] = self.unit[i] * self._group_premium(group, self.x[i], sigma[i])
        return out

    def slopes(self, sigma: FloatArray) -> Slopes:
        """Premium per unit of strike with its derivatives, zero where nothing is to be gained."""
        out = np.zeros((4, self.x.size))
        with np.errstate(all="ignore"):
            for group in self.groups:
                i = group.members
                if group.method is _Method.BOUNDARY:
                    out[:, i] = self._boundary_slopes(group, self.x[i], sigma[i])
                elif group.method is _Method.LATTICE:
                    out[:, i] = self._bumped_slopes(group, self.x[i], sigma[i])
        return Slopes(*out)

    def rate_bumps(self) -> FloatArray:
        """How far to move the rate for a difference of premiums; zero where there is none."""
        out = np.zeros(self.x.size)
        for group in self.groups:
            out[group.members] = _RATE_BUMPS[group.method]
        return out

    def exercised(self, sigma: FloatArray) -> BoolArray:
        """Where holding on is worth nothing: spot at or beyond today's critical price."""
        out = np.zeros(self.x.size, dtype=np.bool_)
        with np.errstate(all="ignore"):
            for group in self.groups:
                if group.method is _Method.BOUNDARY:
                    i = group.members
                    out[i] = self._group_exercised(group, self.x[i], sigma[i])
        return out

    def _group_exercised(self, group: _Group, x: FloatArray, sigma: FloatArray) -> BoolArray:
        def beyond(part: FloatArray, vol: FloatArray) -> FloatArray:
            return (part <= self._table(group, vol).deepest(vol)).astype(np.float64)

        calm = (sigma < _smallest_sigma()) & (x < min(0.0, _log_ratio(group)))
        due: BoolArray = calm | (_by_band(beyond, x, sigma, rows=1)[0] > 0.0)
        return due

    def _table(self, group: _Group, sigma: FloatArray) -> american_boundary.Boundary:
        band = min(int(american_boundary.band_of(sigma[:1])[0]), american_boundary.HIGHEST_BAND)
        return american_boundary.solve(
            group.tau, group.rate, group.div_yield, band, self.resolution
        )

    def _group_premium(self, group: _Group, x: FloatArray, sigma: FloatArray) -> FloatArray:
        if group.method is _Method.LATTICE:
            return american_lattice.put_premium(x, group.tau, group.rate, group.div_yield, sigma)

        def from_boundary(part: FloatArray, vol: FloatArray) -> FloatArray:
            return self._table(group, vol).premium(part, vol)

        value: FloatArray = _by_band(from_boundary, x, sigma, rows=1)[0]
        calm = sigma < _smallest_sigma()
        if np.any(calm):
            value[calm] = _riskless_premium(group, x[calm])
        return value

    def _boundary_slopes(self, group: _Group, x: FloatArray, sigma: FloatArray) -> FloatArray:
        def from_boundary(part: FloatArray, vol: FloatArray) -> FloatArray:
            return np.stack(self._table(group, vol).slopes(part, vol))

        out = _by_band(from_boundary, x, sigma, rows=4)
        calm = sigma < _smallest_sigma()
        if np.any(calm):
            up, at, down = (
                _riskless_premium(group, x[calm] + shift) for shift in (_BUMP, 0.0, -_BUMP)
            )
            out[:, calm] = at, (up - down) / (2.0 * _BUMP), 0.0 * at, 0.0 * at
        return out

    def _bumped_slopes(self, group: _Group, x: FloatArray, sigma: FloatArray) -> FloatArray:
        """Central differences, as wide as the lattice is coarse."""
        wide = np.maximum(0.1 * sigma * np.sqrt(group.tau), _BUMP)
        at, up, down, more, less = (
            self._group_premium(group, x + a * wide, sigma * (1.0 + b))
            for a, b in ((0, 0), (1, 0), (-1, 0), (0, 0.02), (0, -0.02))
        )
        return np.stack(
            [
                at,
                (up - down) / (2.0 * wide),
                (up - 2.0 * at + down) / (wide * wide),
                (more - less) / (0.04 * np.maximum(sigma, 1e-300)),
            ]
        )


def contracts(
    spot: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    rate: FloatArray,
    div_yield: FloatArray,
    is_call: BoolArray,
    size: int,
    resolution: Resolution = STANDARD,
) -> Contracts:
    """Put *size* flat options, or scalars that stand for all, in put form and group them."""
    spots, strikes = np.broadcast_to(spot, size), np.broadcast_to(strike, size)
    unit = np.where(is_call, spots, strikes)
    with np.errstate(all="ignore"):
        x = np.log(np.where(is_call, strikes, spots) / unit)
    usable = np.isfinite(x) & np.isfinite(rate + div_yield) & (tau > 0.0)
    members = np.flatnonzero(usable)
    varying = [key for key in (tau, rate, div_yield, is_call) if key.ndim]
    if varying and members.size:
        picked = [key[members] for key in varying]
        order = np.lexsort(picked)
        members = members[order]
        differs = np.zeros(members.size - 1, dtype=np.bool_)
        for key in picked:
            differs |= np.diff(key[order]) != 0
        parts = np.split(members, np.flatnonzero(differs) + 1)
    else:
        parts = [members] if members.size else []
    groups = [_group(part, tau, rate, div_yield, is_call) for part in parts]
    return Contracts(x=x, unit=unit, groups=groups, resolution=resolution)


def _group(
    members: IntArray, tau: FloatArray, rate: FloatArray, div_yield: FloatArray, is_call: BoolArray
) -> _Group:
    first = members[0]
    time, own, other = (float(k[first] if k.ndim else k) for k in (tau, rate, div_yield))
    if bool(is_call[first] if is_call.ndim else is_call):
        own, other = other, own
    gain = max(own, 0.0) + max(-other, 0.0)
    if (own <= 0.0 and other >= own) or gain * time < _NO_GAIN:
        method = _Method.NONE
    elif own < 0.0:
        method = _Method.LATTICE
    else:
        method = _Method.BOUNDARY
    return _Group(members, time, own, other, method)


def _smallest_sigma() -> float:
    """Below this the underlying moves less than a millionth part: treat it as riskless."""
    return american_boundary.band_edges(american_boundary.LOWEST_BAND)[0]


def _by_band(
    evaluate: Callable[[FloatArray, FloatArray], FloatArray],
    x: FloatArray,
    sigma: FloatArray,
    *,
    rows: int,
) -> FloatArray:
    """
    Call *evaluate* once per band of volatilities; NaN for NaN, zero below the lowest band.

    Volatilities above the highest band, 16,000 %, count as that.
    """
    if np.all((sigma >= american_boundary.BAND_LOW) & (sigma < american_boundary.BAND_HIGH)):
        return np.reshape(evaluate(x, sigma), (rows, x.size))
    out = np.zeros((rows, x.size)) + 0.0 * sigma
    highest = american_boundary.HIGHEST_BAND
    sigma = np.minimum(sigma, american_boundary.band_edges(highest)[1])
    band = np.minimum(american_boundary.band_of(sigma), highest)
    for number in np.unique(band[np.isfinite(band)]):
        if number >= american_boundary.LOWEST_BAND:
            i = np.flatnonzero(band == number)
            out[:, i] = np.reshape(evaluate(x[i], sigma[i]), (rows, i.size))
    return out


def _log_ratio(group: _Group) -> float:
    """Log of rate over yield, above which (in spot) waiting pays; infinite if it never does."""
    return float(np.log(group.rate / group.div_yield)) if group.div_yield > 0.0 else np.inf


def _riskless_premium(group: _Group, x: FloatArray) -> FloatArray:
    """Without volatility: the best moment to exercise, less the value at expiry."""
    tau, rate, div_yield = group.tau, group.rate, group.div_yield

    def at(time: FloatArray | float) -> FloatArray:
        return np.asarray(np.exp(-rate * time) - np.exp(x - div_yield * time), dtype=np.float64)

    with np.errstate(all="ignore"):
        best = (np.log(np.divide(div_yield, rate)) + x) / np.subtract(div_yield, rate)
    between = at(np.where((best > 0.0) & (best < tau), best, 0.0))
    expiry = np.maximum(at(tau), 0.0)
    best_value: FloatArray = np.maximum.reduce([at(0.0), between, expiry])
    return best_value - expiry
