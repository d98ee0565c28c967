"""What one chain says about volatility: its own 30-day IV, skew, term structure, expected moves."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import numpy as np

from tomic import valuation
from tomic.chain import Chain
from tomic.models import RowStatus
from tomic.quant import surface
from tomic.strategies.pricing.outlooks import smile_missed
from tomic.workflows.missing_days import session_day


@dataclass(frozen=True, slots=True)
class Move:
    """What the options of one expiry expect the underlying to move; currency per share."""

    expiry: dt.date
    dte: int
    tau: float
    atm_iv: float | None
    iv: float | None
    """One standard deviation from the at-the-money volatility."""
    straddle: float | None
    """Price of the straddle at the forward: the mean absolute move."""
    density: float | None
    """One standard deviation of the fitted smile's density; None when it was not asked for."""
    note: str = ""
    """Why there is no density although it was asked for."""


@dataclass(frozen=True, slots=True)
class ChainVolatility:
    """Volatility of one chain; fractions, None where the quotes do not determine a number."""

    as_of: dt.datetime
    day: dt.date
    """The trading day it belongs to."""
    iv30: float | None
    skew: float | None
    term_m1_m2: float | None
    term_m1_m3: float | None
    moves: tuple[Move, ...]
    missing: dict[str, str]


def of_chain(chain: Chain, *, term_window: float = 5.0, smiles: bool = False) -> ChainVolatility:
    """
    Read a chain; only rows with a volatility count.

    Args:
        term_window: Options within this many points of spot give an expiry's level in the term
            structure, as in the original program.
        smiles: Also fit a smile to every expiry, for the third kind of expected move.
    """
    iv, strike = chain["iv"], chain["strike"]
    usable = np.isfinite(iv) & (chain["status"] != RowStatus.UNKNOWN_CONTRACT.value)
    moves = tuple(_moves(chain, smiles=smiles))
    atm = {one.tau: one.atm_iv for one in moves if one.atm_iv is not None}
    levels = [
        surface.mean_atm_iv(strike[rows], iv[rows], chain.spot.price, term_window)
        for expiry in chain.expiries
        if (rows := usable & (chain["expiry"] == np.datetime64(expiry, "D"))).any()
    ]
    term = surface.term_structure(levels)
    skew = surface.skew(chain["dte"][usable], chain["delta"][usable], iv[usable])
    iv30 = surface.constant_maturity_iv(list(atm), list(atm.values())) if atm else math.nan
    found = {"iv30": iv30, "skew": skew, "term_m1_m2": term.m1_m2, "term_m1_m3": term.m1_m3}
    reasons = {
        "iv30": "no expiry near 30 days has volatilities around its forward",
        "skew": "no expiry's strikes reach deltas of 0.25 on both sides",
        "term_m1_m2": f"fewer than two expiries with options within {term_window:g} of spot",
        "term_m1_m3": f"fewer than three expiries with options within {term_window:g} of spot",
    }
    return ChainVolatility(
        as_of=chain.as_of,
        day=session_day(chain.as_of, chain.underlying.sessions),
        **{name: _number(value) for name, value in found.items()},
        moves=moves,
        missing={name: reasons[name] for name, value in found.items() if not math.isfinite(value)},
    )


def _moves(chain: Chain, *, smiles: bool) -> list[Move]:
    forwards = valuation.forwards(chain)
    call, put = valuation.counterpart(chain) if len(chain) > 1 else (np.zeros(0, int),) * 2
    mid, found = chain.mid, []
    densities, unfit = _densities(chain, forwards) if smiles else ({}, {})
    for expiry, (forward, tau) in forwards.items():
        rows = chain["expiry"] == np.datetime64(expiry, "D")
        atm = surface.atm_iv(chain["strike"][rows], chain["iv"][rows], forward)
        pair = rows[call]
        straddle = surface.expected_move_straddle(
            chain["strike"][call[pair]], mid[call[pair]], mid[put[pair]], forward
        )
        dte = int(chain["dte"][rows][0])
        found.append(
            Move(
                expiry=expiry,
                dte=dte,
                tau=tau,
                atm_iv=_number(atm),
                iv=_number(float(surface.expected_move_iv(chain.spot.price, atm, dte))),
                straddle=_number(straddle),
                density=_number(densities.get(expiry, math.nan)),
                note=unfit.get(expiry, ""),
            )
        )
    return found


def _densities(
    chain: Chain, forwards: dict[dt.date, tuple[float, float]]
) -> tuple[dict[dt.date, float], dict[dt.date, str]]:
    """Standard deviation of each expiry's density, and why others have none."""
    from tomic.quant import smile

    found: dict[dt.date, float] = {}
    unfit: dict[dt.date, str] = {}
    floor = None
    half_spread = 0.01 * 0.5 * (chain["ask"] - chain["bid"]) / chain["vega"]
    for expiry, (forward, tau) in forwards.items():
        # In the money the volatility of an American option is not well determined.
        outside = np.where(chain.is_call, chain["strike"] >= forward, chain["strike"] <= forward)
        rows = (chain["expiry"] == np.datetime64(expiry, "D")) & np.isfinite(chain["iv"]) & outside
        strike, iv = chain["strike"][rows], chain["iv"][rows]
        if (strikes := int(np.unique(strike).size)) < smile.LEAST_STRIKES_SVI:
            unfit[expiry] = f"{strikes} strikes with a volatility, a density takes 5"
            continue
        fitted = smile.fit(
            strike, iv, forward=forward, tau=tau, discount=math.exp(-chain.rate * tau), floor=floor
        )
        if why := smile_missed(fitted, strike, iv, half_spread[rows]):
            unfit[expiry] = why
            continue
        floor = fitted
        found[expiry] = surface.expected_move_density(fitted).sigma
    return found, unfit


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
