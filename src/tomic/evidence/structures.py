"""The structures that are held to their promises: strikes by delta, continuous."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tomic._typing import BoolArray, FloatArray
from tomic.evidence.slices import Slices


class StructureLeg(NamedTuple):
    """One leg: where it is struck, and how many are held."""

    is_call: bool
    quantity: int
    delta: float | None = None
    """Absolute delta N(d1) of its own right and expiry; None is the forward of the first expiry."""
    sigmas: float = 0.0
    """Standard deviations at the money of the first expiry from there, signed."""
    mirror: bool = False
    """As far below the forward as the call of this delta is above it."""
    far: bool = False
    """Of the second expiry that the surface of the day of entry speaks of."""


class StandardStructure(NamedTuple):
    """A trade as it is opened on every day alike."""

    name: str
    legs: tuple[StructureLeg, ...]
    managed: bool = False
    """Sold for a credit, of which half is a target and twice a stop."""
    equal_wings: bool = False
    """A condor whose two long legs are moved to the mean of their distances."""
    strategy: str = ""
    """Of the catalogue, whose gates, rules and exits it keeps."""
    stock: int = 0
    """Shares bought with it, in lots of a contract."""

    @property
    def has_far(self) -> bool:
        """Whether a leg outlives the first expiry."""
        return any(leg.far for leg in self.legs)


def _put(quantity: int, delta: float | None = None, *, sigmas: float = 0.0) -> StructureLeg:
    return StructureLeg(False, quantity, delta, sigmas)


def _call(
    quantity: int, delta: float | None = None, *, sigmas: float = 0.0, mirror: bool = False,
    far: bool = False,
) -> StructureLeg:  # fmt: skip
    return StructureLeg(True, quantity, delta, sigmas, mirror, far)


STRUCTURES = (
    StandardStructure(
        "strangle 16", (_put(-1, 0.16), _call(-1, 0.16)), managed=True, strategy="short_strangle"
    ),
    StandardStructure(
        "condor 16/5",
        (_put(1, 0.05), _put(-1, 0.16), _call(-1, 0.16), _call(1, 0.05)),
        managed=True,
        equal_wings=True,
        strategy="iron_condor",
    ),
    StandardStructure(
        "iron fly",
        (_put(1, sigmas=-1.0), _put(-1), _call(-1), _call(1, sigmas=1.0)),
        managed=True,
        strategy="iron_butterfly",
    ),
    StandardStructure("straddle", (_put(-1), _call(-1)), managed=True, strategy="short_straddle"),
    StandardStructure("short put 20", (_put(-1, 0.20),), managed=True, strategy="naked_put"),
    StandardStructure(
        "put spread 30/15",
        (_put(-1, 0.30), _put(1, 0.15)),
        managed=True,
        strategy="short_put_spread",
    ),
    StandardStructure(
        "call spread 30/15",
        (_call(-1, 0.30), _call(1, 0.15)),
        managed=True,
        strategy="short_call_spread",
    ),
    StandardStructure("put backspread", (_put(-1, 0.40), _put(2, 0.25)), strategy="put_backspread"),
    StandardStructure(
        "broken wing put",
        (_put(1, 0.30), _put(-2, 0.16), _put(1, 0.05)),
        strategy="broken_wing_butterfly",
    ),
    StandardStructure(
        "long call spread", (_call(1, 0.50), _call(-1, 0.25)), strategy="long_call_spread"
    ),
    StandardStructure(
        "long put spread", (_put(1, 0.50), _put(-1, 0.25)), strategy="long_put_spread"
    ),
    StandardStructure(
        "long fly",
        (_call(1, 0.25, mirror=True), _call(-2), _call(1, 0.25)),
        strategy="long_butterfly",
    ),
    StandardStructure("ratio call", (_call(1, 0.45), _call(-2, 0.20)), strategy="ratio_spread"),
)
"""Thirteen, as ../shared/findings/evidence.md names them; what it leaves open was chosen to fit."""
NAMES = tuple(structure.name for structure in STRUCTURES)
MORE = (
    StandardStructure("covered call", (_call(-1, 0.30),), strategy="covered_call", stock=1),
    # A wing this near is what the two premiums pay for: no loss above.
    StandardStructure(
        "jade lizard",
        (_put(-1, 0.25), _call(-1, 0.25), _call(1, 0.25, sigmas=0.12)),
        strategy="jade_lizard",
    ),
    StandardStructure("calendar", (_call(-1), _call(1, far=True)), strategy="calendar"),
    StandardStructure("diagonal", (_call(1, 0.55, far=True), _call(-1, 0.30)), strategy="diagonal"),
    StandardStructure("collar", (_put(1, 0.25), _call(-1, 0.25)), strategy="collar", stock=1),
)
"""The strategies of the catalogue of which the findings have none, near the middle of its bands."""
ALL = (*STRUCTURES, *MORE)
_LEAST = 1e-3
"""Of the forward, under which no leg is struck."""


class Legs(NamedTuple):
    """The legs of every structure on every day; an unused one has quantity 0."""

    strike: FloatArray
    """(n, s, k), currency per share."""
    k: FloatArray
    """(n, s, k), ln(strike / forward)."""
    is_call: BoolArray
    """(s, k)."""
    quantity: FloatArray
    """(s, k)."""
    is_far: BoolArray
    """(s, k), legs of the second expiry."""
    stock: FloatArray
    """(s,), shares in lots of a contract."""

    @property
    def has_far(self) -> BoolArray:
        """(s,), which structures have two expiries."""
        return np.asarray(self.is_far.any(axis=1))


def legs(
    smiles: Slices, structures: tuple[StandardStructure, ...] = STRUCTURES,
    far: Slices | None = None,
) -> Legs:  # fmt: skip
    """
    Strikes of *structures* on each of n days, from its own smile.

    Args:
        far: Smiles of the second expiry; NaN, or None, where a day has none.
    """
    width = max(len(structure.legs) for structure in structures)
    strike = np.repeat(smiles.forward[:, None, None], len(structures), axis=1)
    strike = np.repeat(strike, width, axis=2)
    is_call = np.ones((len(structures), width), dtype=np.bool_)
    is_far = np.zeros((len(structures), width), dtype=np.bool_)
    quantity = np.zeros((len(structures), width))
    places: dict[StructureLeg, FloatArray] = {}
    for row, structure in enumerate(structures):
        for column, leg in enumerate(structure.legs):
            is_call[row, column], quantity[row, column] = leg.is_call, leg.quantity
            is_far[row, column] = leg.far
            kind = leg._replace(quantity=0)
            if kind not in places:
                places[kind] = _struck(smiles, leg, far)
            strike[:, row, column] = places[kind]
        if structure.equal_wings:
            low, sold_put, sold_call, high = (strike[:, row, column] for column in range(4))
            wing = 0.5 * (sold_put - low + high - sold_call)
            strike[:, row, 0], strike[:, row, 3] = sold_put - wing, sold_call + wing
    # A wing as wide as the price itself: a strike must stay one.
    strike = np.maximum(strike, _LEAST * smiles.forward[:, None, None])
    forward = smiles.forward[:, None, None]
    if far is not None:
        forward = np.where(is_far, far.forward[:, None, None], forward)
    shares = np.array([float(structure.stock) for structure in structures])
    return Legs(strike, np.log(strike / forward), is_call, quantity, is_far, shares)


def _struck(smiles: Slices, leg: StructureLeg, far: Slices | None) -> FloatArray:
    """Strike of a leg on each day, currency per share; NaN where it has no expiry."""
    own = far if leg.far else smiles
    if own is None:
        return np.full(smiles.forward.shape, np.nan)
    shift = smiles.forward * leg.sigmas * np.sqrt(smiles.theta)
    if leg.delta is None:
        return np.asarray(smiles.forward + shift + 0.0 * own.theta)
    delta = leg.delta if leg.is_call else 1.0 - leg.delta
    strike = own.forward * np.exp(own.k_of_delta(np.full(own.forward.shape, delta)))
    return np.asarray((2.0 * own.forward - strike if leg.mirror else strike) + shift)
