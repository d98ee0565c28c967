"""From a chosen candidate to a proposal: every figure that is shown, with its notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from tomic._typing import FloatArray, IntArray
from tomic.models import (
    Alternative,
    CurvePoint,
    DataType,
    Leg,
    PriceSource,
    Proposal,
    Scenario,
    ViewFigures,
)
from tomic.models.documents import finite
from tomic.quant import payoff, probability, revaluation
from tomic.quant.payoff import Segments
from tomic.strategies import events, measures, scoring
from tomic.strategies.candidates import Candidates
from tomic.strategies.measures import Batch, foreign_commission, foreign_margin
from tomic.strategies.pricing import outlooks
from tomic.strategies.pricing.board import SOURCES, UNIFORM, Board
from tomic.strategies.pricing.outlooks import Outlook
from tomic.strategies.scoring import Prospect
from tomic.strategies.search import Contender, Hit

CURVE_SIGMAS = 3.5
CURVE_POINTS = 57
SCENARIO_SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
SCENARIO_VOL = 0.25
THIN_MARGIN = 50.0
HIGH_ROM = 5.0


def describe(
    contender: Contender,
    *,
    rank: int = 0,
    alternatives: int = 0,
    similar: tuple[Alternative, ...] = (),
    notes: tuple[str, ...] = (),
    percentile: float | None = None,
) -> Proposal:
    """
    All figures of one candidate.

    It is measured by itself, so that what is shown does not depend on what was searched with it.

    Args:
        contender: With its fit, and what a correlation costs it.
        rank: Its place.
        alternatives, similar: How many others of its thesis passed every rule, and the best.
        notes: Those of its gates, which stand before its own.
        percentile: Its place among the day's candidates of its strategy; see `scoring.percentile`.
    """
    hit, fit, penalty, correlated = contender
    batch, settings = batch_of(hit), hit.board.settings.score
    measured = measures.measure(batch, hit.board)
    form = measures.shape(batch, hit.board, measured.credit)
    printed = measures.as_printed(form, batch, hit.board, measured.credit)
    profile = payoff.profile(printed)
    breakevens = [price for price in profile.breakevens[0].tolist() if math.isfinite(price)]
    figures = {field.name: float(getattr(measured, field.name)[0]) for field in fields(measured)}
    greeks: dict[str, Any] = dict(_greeks(batch, hit.board))
    doubts = _doubts(hit, batch, figures)
    if percentile is None:
        doubts.append("no better than C: there is no other of its strategy to grade it among")
    correlation = f"returns run with {correlated}: {penalty:.0%} of the score taken"
    all_notes = (
        *notes,
        fit.note,
        correlation if correlated else "",
        *doubts,
        *_notes(hit, figures),
    )
    return Proposal(
        rank=rank,
        legs=_legs(hit),
        breakevens=tuple(breakevens),
        short_delta=short_delta(batch, hit.board),
        distance=distance(breakevens, hit.board, hit.board.outlooks[hit.expiries[0]]),
        expected_move=finite(hit.board.outlooks[hit.expiries[0]].sigma_points),
        **_situation(hit),
        **_money(hit, batch, figures),
        **_chances(hit, batch, form, figures),
        **greeks,
        theta_margin=_per(greeks["theta"], figures["margin"]),
        liquidity=hit.liquidity,
        fit=fit.factor,
        score=contender.score,
        grade=scoring.grade(percentile, settings, capped=bool(doubts)),
        percentile=percentile,
        parts=scoring.parts(
            hit.components, settings, liquidity=hit.liquidity, fit=fit.factor, penalty=penalty
        ),
        alternatives=alternatives,
        similar=similar,
        curve=_curve(hit, printed, profile),
        scenarios=_scenarios(hit, figures["credit"] - figures["credit_mid"]),
        events=events.of_trade(hit),
        notes=tuple(dict.fromkeys(filter(None, all_notes))),
    )


def _situation(hit: Hit) -> dict[str, Any]:
    """What the trade is, and the market that it was found in."""
    board, chain, template = hit.board, hit.board.chain, hit.template
    first = board.outlooks[hit.expiries[0]]
    return {
        "symbol": chain.symbol,
        "strategy": template.name,
        "side": template.side,
        "as_of": chain.as_of,
        "currency": chain.underlying.currency,
        "multiplier": chain.multiplier,
        "trading_class": chain.trading_class,
        "spot": board.spot,
        "spot_source": chain.spot.source,
        "data_type": chain.data_type,
        "rate": first.rate,
        "forward": first.forward,
        "expiry": first.expiry,
        "dte": first.dte,
        "tau": first.tau,
        "last_expiry": hit.expiries[1] or first.expiry,
        "market_volatility": first.market.volatility,
        "iv30": board.iv30,
        "iv_rank": board.vol.iv_rank,
    }


def _money(hit: Hit, batch: Batch, figures: Mapping[str, float]) -> dict[str, Any]:
    """What the trade costs, pays and ties up; currency per structure."""
    board, margin, profit = hit.board, figures["margin"], figures["profit"]
    mean_win = _mean_win(batch, board, figures)
    contracts, lot = batch.quantity, float(board.chain.multiplier)
    above = batch.legs(board.price) - batch.legs(board.value)
    errors = lot * contracts * batch.legs(board.value_error)
    costs = figures["credit_mid"] - figures["credit"]
    most = figures["max_profit"] + costs
    per_30 = scoring.DAYS / max(board.outlooks[hit.expiries[0]].dte, 1)
    same = (
        "credit_mid", "credit_natural", "commission", "max_profit", "max_loss", "margin", "profit",
    )  # fmt: skip
    return {
        **{name: figures[name] for name in same},
        "credit": figures["credit"] + figures["commission"],
        "cost_share": finite(costs / most) if most > 0.0 and math.isfinite(most) else None,
        "margin_requirement": figures["requirement"],
        "margin_cash": finite(
            float(measures.requirement(batch, board, cash=True)[0]) - figures["credit"]
        ),
        "mean_win": mean_win,
        "rom": _per(mean_win or 0.0, margin),
        "rom_30d": _per(per_30 * (mean_win or 0.0), margin),
        "ev_30d": _per(per_30 * figures["ev"], margin),
        "cvar95": hit.tail_loss,
        "risk_reward": profit / hit.tail_loss if hit.tail_loss > 0.0 else math.inf,
        "edge": -float(lot * (contracts * above).sum()),
        "edge_error": finite(float(np.sqrt((errors**2).sum()))),
    }


def _mean_win(batch: Batch, board: Board, figures: Mapping[str, float]) -> float | None:
    """Mean P&L of the outcomes that win; None where none does."""
    if not figures["pos"] > 0.0:
        return None
    # The mean of gains is that of P&L, at the executable credit, and of losses.
    at_quotes = figures["ev"] + float(measures.distrusted(batch, board)[0])
    return (at_quotes + figures["mean_loss"]) / figures["pos"]


def _per(value: float, margin: float) -> float:
    """A share of the margin; without bound where there is none, as where quotes disagree."""
    return value / margin if margin else math.copysign(math.inf, value) if value else 0.0


def _chances(
    hit: Hit, batch: Batch, form: Segments, figures: Mapping[str, float]
) -> dict[str, Any]:
    """What is expected of the trade, by the market and by a view of the user's own."""
    board, first = hit.board, hit.board.outlooks[hit.expiries[0]]
    margin, cap = np.array([figures["margin"]]), board.settings.score.kelly_cap
    return {
        "pos": figures["pos"],
        "ev": figures["ev"],
        "ev_quotes": figures["ev"] + float(measures.distrusted(batch, board)[0]),
        "ev_error": finite(float(measures.ev_error(batch, board)[0])),
        "view": _view(hit, form, figures),
        "touch": _touch(batch, board),
        "kelly": float(probability.kelly(first.market, form, margin, cap)[0]),
    }


def _view(hit: Hit, form: Segments, figures: Mapping[str, float]) -> ViewFigures | None:
    """The figures under the user's own view of the underlying; None where there is none."""
    board, first = hit.board, hit.board.outlooks[hit.expiries[0]]
    if first.view is None:
        return None
    view = None if first.is_own else board.settings.view.of(board.chain.symbol)
    own, market = first.view, first.market
    moved = probability.ev(own, form) - probability.ev(market, form)
    return ViewFigures(
        volatility=(
            view.volatility if view else own.volatility_at_money / market.volatility_at_money
        ),
        drift=view.drift if view else math.log(own.forward / market.forward) / first.tau,
        pos=float(probability.pos(first.view, form)[0]),
        ev=figures["ev"] + float(moved[0]),
    )


def batch_of(hit: Hit) -> Batch:
    """The candidate as a batch of one."""
    row = np.array([hit.rows], dtype=np.int64)
    return Batch.of([Candidates(hit.template, hit.expiries, row)])


def prospect(hit: Hit) -> Prospect:
    """The candidate as a portfolio sees it."""
    quantity = np.array([float(leg.quantity) for leg in hit.template.legs])
    return prospect_of(
        hit.board,
        hit.template.name,
        hit.rows,
        quantity,
        stock=float(hit.template.stock),
        margin=hit.margin,
    )


def prospect_of(
    board: Board,
    strategy: str,
    rows: Sequence[int],
    quantity: FloatArray,
    *,
    stock: float,
    margin: float,
) -> Prospect:
    """
    Any options of a board as a portfolio sees them; their expiries have outlooks.

    Args:
        rows, quantity: (k,) rows of the chain and signed contracts.
        stock: Signed lots of shares.
        margin: Currency that the trade takes from excess liquidity.
    """
    chain, places = board.chain, np.array(rows, dtype=np.int64)
    outlooks = [board.outlooks[chain["expiry"][row].item()] for row in rows]
    first = min(outlooks, key=lambda outlook: outlook.tau)
    # What the Greeks are per unit of; later legs are carried from it to their own forwards.
    spot = first.forward if board.on_forward else board.spot
    rate = np.array([outlook.rate for outlook in outlooks])
    tau = np.array([outlook.tau for outlook in outlooks])
    forward = np.array([outlook.forward for outlook in outlooks])
    return Prospect(
        symbol=chain.symbol,
        strategy=strategy,
        spot=spot,
        rate=rate,
        div_yield=rate - np.log(forward / spot) / tau,
        strike=board.strike[places],
        tau=tau,
        iv=_volatility(board, places, outlooks),
        is_call=chain.is_call[places],
        quantity=quantity,
        shares=stock * chain.multiplier,
        multiplier=chain.multiplier,
        is_american=chain.is_american,
        margin=margin,
        currency=chain.underlying.currency,
        **greeks_of(board, places, quantity, stock),
    )


def _volatility(board: Board, rows: IntArray, outlooks: Sequence[Outlook]) -> FloatArray:
    """Volatility of each leg: as the chain has it, else the smile's."""
    fitted = [
        outlook.smile.iv(strike)
        for outlook, strike in zip(outlooks, board.strike[rows], strict=True)
    ]
    return np.where(np.isfinite(board.iv[rows]), board.iv[rows], fitted)


def _legs(hit: Hit) -> tuple[Leg, ...]:
    board, chain = hit.board, hit.board.chain
    legs = [
        leg_of(board, row, rule.quantity, rule.name)
        for row, rule in zip(hit.rows, hit.template.legs, strict=True)
    ]
    if hit.template.stock:
        legs.append(shares_of(board, hit.template.stock * chain.multiplier))
    return tuple(legs)


def leg_of(board: Board, row: int, quantity: int, name: str) -> Leg:
    """One option of a board as a leg of a trade."""
    chain = board.chain
    return Leg(
        name=name,
        quantity=quantity,
        right="C" if chain.is_call[row] else "P",
        strike=float(board.strike[row]),
        expiry=chain["expiry"][row].item(),
        con_id=int(chain["con_id"][row]) or None,
        price=float(board.price[row]),
        price_source=SOURCES[int(board.prices.source[row])],
        bid=finite(chain["bid"][row]),
        ask=finite(chain["ask"][row]),
        volume=_whole(chain["volume"][row]),
        open_interest=_whole(chain["open_interest"][row]),
        **_model_of(board, row),
    )


def shares_of(board: Board, quantity: int) -> Leg:
    """Shares of its underlying as a leg of a trade."""
    return Leg(
        name="shares",
        sec_type="STK",
        quantity=quantity,
        price=board.spot,
        price_source=PriceSource.SPOT,
        delta=1.0,
    )


def _model_of(board: Board, row: int) -> dict[str, Any]:
    names = ("value", "value_error", "iv", "delta", "gamma", "vega", "theta", "forward")
    return {name: finite(getattr(board, name)[row]) for name in names}


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _greeks(batch: Batch, board: Board) -> dict[str, float]:
    return greeks_of(board, batch.row[0], batch.quantity[0], float(batch.stock[0]))


def greeks_of(board: Board, rows: IntArray, quantity: FloatArray, stock: float) -> dict[str, float]:
    """Greeks of options (k,) and lots of shares; NaN where one is missing."""
    lot = float(board.chain.multiplier)

    def net(values: FloatArray) -> float:
        return lot * float((quantity * np.where(quantity == 0.0, 0.0, values[rows])).sum())

    return {
        "delta": net(board.delta) + lot * stock,
        "gamma": net(board.gamma),
        "vega": net(board.vega),
        "theta": net(board.theta),
    }


def short_delta(batch: Batch, board: Board) -> float | None:
    """Largest |delta| of the short legs of the first row; None without one, or an unknown one."""
    short = batch.quantity[0] < 0.0
    if not short.any():
        return None
    return finite(float(np.abs(board.delta[batch.row[0][short]]).max()))


def distance(breakevens: Sequence[float], board: Board, first: Outlook) -> float | None:
    """
    From the underlying to its nearest breakeven, whichever side, in standard deviations, >= 0.

    A standard deviation is that of the market at the money, to the expiry *first*. None without a
    breakeven. Options on the forward, as those of volatility indices are, are measured from it.
    """
    start = first.forward if board.on_forward else board.spot
    if not breakevens or not first.sigma_points > 0.0:
        return None
    return finite(min(abs(price - start) for price in breakevens) / first.sigma_points)


def _touch(batch: Batch, board: Board) -> float | None:
    """Probability that spot touches a short strike before the first expiry."""
    strike, call = board.strike[batch.row[0]], batch.is_call[0]
    short = batch.quantity[0] < 0.0
    if not short.any():
        return None
    first = board.outlooks[batch.expiries[0]]
    path = (first.tau, first.rate, first.div_yield, first.market.volatility)
    low = strike[short & ~call].max(initial=-math.inf)
    high = strike[short & call].min(initial=math.inf)
    if low > -math.inf and high < math.inf:
        return float(probability.touch_either(board.spot, low, high, *path))
    level = low if low > -math.inf else high
    beyond = board.spot <= low or board.spot >= high
    return 1.0 if beyond else float(probability.touch(board.spot, level, *path))


def _curve(hit: Hit, form: Segments, profile: payoff.PayoffProfile) -> tuple[CurvePoint, ...]:
    first = hit.board.outlooks[hit.expiries[0]]
    strike = hit.board.strike[list(hit.rows)]
    kinks = profile.breakevens[0]
    reach = CURVE_SIGMAS * first.sigma_points
    low = max(min(first.forward - reach, strike.min()), 0.0)
    high = max(first.forward + reach, strike.max())
    grid = np.concatenate((np.linspace(low, high, CURVE_POINTS), strike, kinks[np.isfinite(kinks)]))
    grid = np.unique(grid[(grid >= low) & (grid <= high)])
    profit = payoff.interpolate(form, grid)[0]
    return tuple(
        CurvePoint(price=price, profit=gain)
        for price, gain in zip(grid.tolist(), profit.tolist(), strict=True)
    )


def _scenarios(hit: Hit, costs: float) -> tuple[Scenario, ...]:
    """Moves of up to two sigma today, half-way and at the first expiry; volatility today."""
    position = prospect(hit)
    first = hit.board.outlooks[hit.expiries[0]]
    sigma = first.sigma_points / position.spot
    moves = np.maximum(np.array(SCENARIO_SIGMAS) * sigma, -0.99)
    days = sorted({0, first.dte // 2, first.dte})
    vols = (-SCENARIO_VOL, 0.0, SCENARIO_VOL)
    grid = revaluation.stress_grid(
        position.spot, position.strike, position.tau, position.rate, position.div_yield,
        position.iv, position.is_call,
        quantity=position.quantity,
        multiplier=float(position.multiplier),
        is_american=position.is_american,
        spot_moves=moves,
        vol_moves=np.array(vols),
        days=np.array(days, dtype=np.float64),
    )[0]  # fmt: skip
    grid += (position.shares * position.spot * moves)[:, None, None]
    wanted = [(m, 1, d) for d in range(len(days)) for m in range(len(moves))]
    wanted += [(len(moves) // 2, v, 0) for v in (0, 2)]
    return tuple(
        Scenario(
            move=float(moves[m]), vol=vols[v], days=days[d], profit=float(grid[m, v, d]) + costs
        )
        for m, v, d in wanted
    )


def _notes(hit: Hit, figures: Mapping[str, float]) -> list[str]:
    """What a reader must know about this candidate."""
    board, chain, margin = hit.board, hit.board.chain, figures["margin"]
    notes = []
    if chain.data_type is not DataType.LIVE:
        notes.append(f"{chain.data_type.value.replace('_', '-')} quotes")
    for row, leg in zip(hit.rows, hit.template.legs, strict=True):
        source = SOURCES[int(board.prices.source[row])]
        if source is not PriceSource.TRUE:
            notes.append(f"{board.strike[row]:g}{leg.right} priced by {source.value}, not quoted")
    for name, text in (("volume", "volume"), ("open_interest", "open interest")):
        if np.isnan(chain[name][list(hit.rows)]).any():
            notes.append(f"{text} unknown")
    if hit.expiries[1] is not None:
        notes.append(f"figures at {hit.expiries[0]}, later legs at today's smile")
    if math.isinf(figures["max_loss"]):
        notes.append("loss without bound")
    if chain.underlying.currency != "USD":
        notes.append(foreign_margin(chain.underlying.currency))
        notes += foreign_commission(board.settings.costs, chain.underlying.currency)
    if 0.0 < margin < THIN_MARGIN:
        notes.append(f"margin of only {margin:.0f}: check the quotes")
    elif figures["profit"] > HIGH_ROM * margin:
        notes.append("return on margin above 500 %: check the quotes")
    if not board.outlooks[hit.expiries[0]].smile.arbitrage_free:
        notes.append("the smile of this expiry is not free of arbitrage")
    notes += [f"{day} was not searched: {why}" for day, why in board.unfit.items()]
    notes.append(outlooks.history_note(board.vol, board.iv30))
    return notes


def _doubts(hit: Hit, batch: Batch, figures: Mapping[str, float]) -> list[str]:
    """What speaks against a good grade, whatever the score."""
    board, lot = hit.board, float(hit.board.chain.multiplier)
    contracts = np.abs(batch.quantity).sum()
    doubts = []
    if figures["ev"] < -board.tick * lot * float(contracts):
        doubts.append(
            f"no better than C: costs take more than a tick ({board.tick:g}) of each contract"
        )
    errors = batch.quantity * batch.legs(board.prices.half_spread) * UNIFORM
    noise = lot * float(np.sqrt((errors**2).sum()))
    if figures["max_loss"] <= noise:
        doubts.append(
            f"looks mispriced or unfillable: its quotes are sure to {noise:.2f}, and it cannot "
            f"lose more than {figures['max_loss']:.2f}"
        )
    return doubts
