"""Why a chain holds no trade of a strategy: days and strikes out of its reach, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tomic.models import Refusal
from tomic.quant import black_scholes
from tomic.strategies import candidates
from tomic.strategies.candidates import Expiries
from tomic.strategies.catalogue import templates as catalogue
from tomic.strategies.catalogue.leg_rules import (
    Above,
    Below,
    DeltaBand,
    LegRule,
    Moneyness,
    Template,
    references,
)
from tomic.strategies.pricing.board import Board

OUT_OF_REACH = "out_of_reach"
"""The rule under which a strategy is refused that a chain cannot hold."""
_GRID_SIGMAS = 4.0
_GRID_POINTS = 321
"""Strikes among which that of a delta is looked for: a fortieth of a deviation apart."""


class _Missing(NamedTuple):
    """The first leg of a template for which an expiry lists no strike."""

    template: Template
    pair: Expiries
    leg: LegRule


def out_of_reach(board: Board, wanted: Sequence[Template]) -> tuple[Refusal, ...]:
    """
    Which of *wanted* no expiry of the chain can hold, and why.

    A strategy is out of reach where no expiry lies in its days, or where in each that does one of
    its legs finds no strike, priced or not.
    """
    reasons = ((template, _reason(board, template)) for template in wanted)
    return tuple(
        Refusal(
            rule=OUT_OF_REACH,
            kind="no_data",
            symbol=board.chain.symbol,
            strategy=template.name,
            message=f"{template.name}: {why}",
        )
        for template, why in reasons
        if why
    )


def _reason(board: Board, template: Template) -> str:
    pairs = [
        (variant, pair)
        for variant in template.variants
        for pair in candidates.expiries(variant, board)
    ]
    if not pairs:
        return _no_expiry(board, template)
    missing: _Missing | None = None
    for variant, pair in pairs:
        leg = _first_missing(board, variant, pair)
        if leg is None:
            return ""
        missing = missing or _Missing(variant, pair, leg)
    assert missing is not None
    return _no_strike(board, missing)


def _no_expiry(board: Board, template: Template) -> str:
    low, high = template.dte
    days = ", ".join(
        f"{outlook.expiry} ({outlook.dte} days)" for outlook in board.outlooks.values()
    )
    later = "" if template.gap is None else f" and another {_span(*template.gap)} days later"
    return f"no expiry {_span(low, high)} days away{later}; the chain has {days or 'none'}"


def _first_missing(board: Board, template: Template, pair: Expiries) -> LegRule | None:
    """The first leg that finds no strike, by itself or from the legs that it refers to."""
    for leg in template.order:
        if not len(candidates.build(_part(template, leg), board, pair)):
            return leg
    return None


def _part(template: Template, leg: LegRule) -> Template:
    """The template down to a leg and those that its strike is measured by, the leg last."""
    legs = _closure(template, leg)
    far = any(each.slot == "far" for each in legs)
    return replace(template, legs=legs, wider=(), gap=template.gap if far else None)


def _closure(template: Template, leg: LegRule) -> tuple[LegRule, ...]:
    before = (_closure(template, template.leg(name)) for name in references(leg.pick))
    return tuple(dict.fromkeys((*(each for legs in before for each in legs), leg)))


def _no_strike(board: Board, missing: _Missing) -> str:
    template, pair, leg = missing
    expiry = candidates.expiry_of(leg, pair)
    strikes = board.strike[board.side(expiry, leg.right)]
    kind = "calls" if leg.right == "C" else "puts"
    held = f"{kind} at {strikes.min():g} to {strikes.max():g}" if strikes.size else f"no {kind}"
    about = _about(board, template, pair, leg)
    where = f", about {about[0]:.4g} to {about[1]:.4g}" if about else ""
    return (
        f"the chain of {expiry} holds {held}; its {leg.name.replace('_', ' ')} needs "
        f"{catalogue.strike_text(leg.pick)}{where}: no such strike"
    )


def _about(
    board: Board, template: Template, pair: Expiries, leg: LegRule
) -> tuple[float, float] | None:
    """Between which strikes a leg would have to lie; None where that cannot be said in numbers."""
    pick = leg.pick
    if isinstance(pick, DeltaBand):
        return _of_deltas(board, pair, leg, pick)
    if isinstance(pick, Moneyness):
        return pick.low * board.spot, pick.high * board.spot
    if isinstance(pick, (Below, Above)) and pick.unit != "strikes":
        part = _part(template, template.leg(pick.leg))
        origin = board.strike[candidates.build(part, board, pair).row[:, -1]]
        sigma = board.outlooks[candidates.expiry_of(leg, pair)].sigma_points
        near, far = (edge * (sigma if pick.unit == "sigmas" else 1.0) for edge in pick.range)
        if isinstance(pick, Below):
            return float(origin.min()) - far, float(origin.max()) - near
        return float(origin.min()) + near, float(origin.max()) + far
    return None


def _of_deltas(board: Board, pair: Expiries, leg: LegRule, band: DeltaBand) -> tuple[float, float]:
    """Strikes of a band of deltas, by the smile of the leg's expiry."""
    outlook = board.outlooks[candidates.expiry_of(leg, pair)]
    width = outlook.sigma_points / outlook.forward
    reach = np.linspace(-_GRID_SIGMAS, _GRID_SIGMAS, _GRID_POINTS) * width
    strike = outlook.forward * np.exp(reach)
    sigma = outlook.smile.iv(strike)
    greeks = black_scholes.greeks(
        board.spot, strike, outlook.tau, outlook.rate, outlook.div_yield, sigma, leg.right == "C"
    )
    # Deltas of either right fall as strikes rise.
    low, high = np.interp([-band.high, -band.low], -greeks.delta, strike)
    return float(low), float(high)


def _span(low: int, high: int) -> str:
    return f"{low} to {high}"
