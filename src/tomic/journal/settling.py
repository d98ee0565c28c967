"""Saved proposals followed to their first expiry, traded or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tomic.models.trade import Leg, Proposal
from tomic.quant import later_expiries

CENTS = 2


def settle_proposal(
    proposal: Proposal, spot: float, *, vol_ratio: float = 1.0, is_american: bool = True
) -> dict[str, Any]:
    """
    Result of a saved proposal at its first expiry: filled as it was scored, and held until then.

    Later legs are revalued at their own volatility times *vol_ratio* (how the underlying's 30-day
    volatility changed meanwhile); that is a model, and the outcome says so.

    Args:
        spot: Price of the underlying at the first expiry, currency per share.

    Returns:
        JSON-ready: ``result`` in currency per structure and today's money, ``won``, ``spot``,
        ``modelled``.
    """
    options = [leg for leg in proposal.legs if leg.sec_type == "OPT"]
    shares = sum(leg.quantity for leg in proposal.legs if leg.sec_type == "STK")
    later, slots = _later(proposal, options, vol_ratio, is_american)
    discount = math.exp(-proposal.rate * proposal.tau)
    shares_per_unit = shares / proposal.multiplier
    worth = later_expiries.value_at_first_expiry(
        np.array([spot]),
        np.array([leg.strike for leg in options if leg.strike is not None]),
        np.array([leg.right == "C" for leg in options]),
        np.array([float(leg.quantity) for leg in options]),
        np.array(slots),
        later,
        stock=shares_per_unit,
    )
    # A share costs what its forward is worth today: financing paid, dividends received.
    paid = shares * discount * proposal.forward
    result = proposal.credit + discount * float(worth[0]) * proposal.multiplier - paid
    return {
        "result": round(result, CENTS),
        "won": result > 0.0,
        "spot": spot,
        "modelled": bool(later),
    }


def _later(
    proposal: Proposal, options: Sequence[Leg], vol_ratio: float, is_american: bool
) -> tuple[list[later_expiries.LaterExpiry], list[int]]:
    """One later expiry per leg that outlives the first: legs have volatilities of their own."""
    expiries: list[later_expiries.LaterExpiry] = []
    slots = []
    carry = math.log(proposal.forward / proposal.spot) / proposal.tau if proposal.tau else 0.0
    for leg in options:
        left = (leg.expiry - proposal.expiry).days if leg.expiry else 0
        if left <= 0:
            slots.append(0)
            continue
        sigma = (leg.iv or proposal.market_volatility) * vol_ratio
        expiries.append(
            later_expiries.flat(
                left / 365.0, proposal.rate, proposal.rate - carry, sigma, american=is_american
            )
        )
        slots.append(len(expiries))
    return expiries, slots
