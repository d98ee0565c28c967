"""From a chosen candidate to a proposal: every figure that is shown, with its notes."""

from __future__ import annotations

import math

import numpy as np

from tomic._typing import FloatArray
from tomic.models import CurvePoint, DataType, ExerciseStyle, Leg, PriceSource, Proposal, Scenario
from tomic.models.documents import finite
from tomic.quant import payoff, probability, revaluation, touch
from tomic.quant.payoff import Segments
from tomic.strategies import measures, scoring
from tomic.strategies.candidates import Candidates, expiry_of
from tomic.strategies.diversify import Choice
from tomic.strategies.measures import Batch, Measures
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.quotes import SOURCES
from tomic.strategies.scoring import Prospect
from tomic.strategies.search import Hit

CURVE_SIGMAS = 3.5
CURVE_POINTS = 57
SCENARIO_SIGMAS = (-2.0, -1.0, 0.0, 1.0, 2.0)
SCENARIO_VOL = 0.25
THIN_MARGIN = 50.0
HIGH_ROM = 5.0


def to_proposal(
    choice: Choice, *, rank: int, alternatives: int, notes: tuple[str, ...]
) -> Proposal:
    """The proposal of a chosen candidate, with *notes* of its gates before its own."""
    return describe(
        choice.hit,
        fit=choice.fit.factor,
        penalty=choice.penalty,
        rank=rank,
        alternatives=alternatives,
        notes=(
            *notes,
            *((choice.fit.note,) if choice.fit.note else ()),
            *(
                (f"returns run with {choice.correlated}: {choice.penalty:.0%} of the score taken",)
                if choice.correlated
                else ()
            ),
        ),
    )


def describe(
    hit: Hit,
    *,
    fit: float = 1.0,
    penalty: float = 0.0,
    rank: int = 0,
    alternatives: int = 0,
    notes: tuple[str, ...] = (),
) -> Proposal:
    """All figures of one candidate."""
    board, chain, near = hit.board, hit.board.chain, hit.expiries[0]
    first, costs = board.outlooks[near], board.settings.costs
    batch = batch_of(hit)
    figures = measures.measure(batch, board)
    numbers = _Numbers(figures)
    form = measures.shape(batch, board, figures.credit)
    profile = payoff.profile(form)
    slippage = numbers.credit_mid - numbers.credit - numbers.commission
    natural = (
        numbers.credit_mid - slippage / costs.slippage
        if costs.slippage
        else numbers.credit_mid - _half_spreads(batch, board)
    )
    cash = float(measures.requirement(batch, board, cash=True)[0]) - numbers.credit
    greeks = _greeks(batch, board)
    score = hit.score * fit * (1.0 - penalty)
    settings = board.settings.score
    return Proposal(
        rank=rank,
        symbol=chain.symbol,
        strategy=hit.template.name,
        side=hit.template.side,
        as_of=chain.as_of,
        currency=chain.underlying.currency,
        multiplier=chain.multiplier,
        spot=board.spot,
        spot_source=chain.spot.source,
        data_type=chain.data_type,
        rate=chain.rate,
        forward=first.forward,
        expiry=near,
        dte=first.dte,
        tau=first.tau,
        last_expiry=hit.expiries[1] or near,
        legs=_legs(hit),
        credit=numbers.credit,
        credit_mid=numbers.credit_mid,
        credit_natural=natural,
        commission=numbers.commission,
        max_profit=numbers.max_profit,
        max_loss=numbers.max_loss,
        breakevens=tuple(price for price in profile.breakevens[0].tolist() if math.isfinite(price)),
        margin=numbers.margin,
        margin_requirement=numbers.requirement,
        margin_cash=cash if math.isfinite(cash) else None,
        profit=numbers.profit,
        rom=numbers.profit / numbers.margin,
        rom_30d=scoring.DAYS / max(first.dte, 1) * numbers.profit / numbers.margin,
        pos=numbers.pos,
        pos_market=float(probability.pos(first.market, form)[0]),
        ev=numbers.ev,
        ev_market=float(probability.ev(first.market, form)[0]),
        ev_30d=scoring.DAYS / max(first.dte, 1) * numbers.ev / numbers.margin,
        cvar95=hit.tail_loss,
        risk_reward=numbers.profit / hit.tail_loss if hit.tail_loss > 0.0 else math.inf,
        touch=_touch(batch, board),
        kelly=float(probability.kelly(first.forecast, form, figures.margin, settings.kelly_cap)[0]),
        edge=_edge(batch, board),
        edge_error=_edge_error(batch, board),
        delta=greeks["delta"],
        gamma=greeks["gamma"],
        vega=greeks["vega"],
        theta=greeks["theta"],
        theta_margin=greeks["theta"] / numbers.margin,
        liquidity=hit.liquidity,
        fit=fit,
        score=score,
        grade=scoring.grade(score, settings),
        parts=scoring.parts(
            hit.components, settings, liquidity=hit.liquidity, fit=fit, penalty=penalty
        ),
        alternatives=alternatives,
        forecast_volatility=first.forecast.volatility,
        market_volatility=first.market.volatility,
        iv30=board.forecast.iv30,
        hv=board.forecast.hv,
        iv_rank=board.vol.iv_rank,
        curve=_curve(hit, form, profile),
        scenarios=_scenarios(hit, numbers.credit - numbers.credit_mid),
        notes=tuple(dict.fromkeys((*notes, *_notes(hit, numbers)))),
    )


class _Numbers:
    """The figures of a batch of one, as floats."""

    def __init__(self, figures: Measures) -> None:
        self.credit = float(figures.credit[0])
        self.credit_mid = float(figures.credit_mid[0])
        self.commission = float(figures.commission[0])
        self.max_profit = float(figures.max_profit[0])
        self.max_loss = float(figures.max_loss[0])
        self.profit = float(figures.profit[0])
        self.requirement = float(figures.requirement[0])
        self.margin = float(figures.margin[0])
        self.pos = float(figures.pos[0])
        self.ev = float(figures.ev[0])


def batch_of(hit: Hit) -> Batch:
    """The candidate as a batch of one."""
    row = np.array([hit.rows], dtype=np.int64)
    return Batch.of([Candidates(hit.template, hit.expiries, row)])


def prospect(hit: Hit) -> Prospect:
    """The candidate as a portfolio sees it."""
    board, chain, rows = hit.board, hit.board.chain, np.array(hit.rows)
    greeks = _greeks(batch_of(hit), board)
    outlooks = [board.outlooks[expiry_of(leg, hit.expiries)] for leg in hit.template.legs]
    return Prospect(
        symbol=chain.symbol,
        strategy=hit.template.name,
        spot=board.spot,
        rate=chain.rate,
        div_yield=np.array([outlook.div_yield for outlook in outlooks]),
        strike=board.strike[rows],
        tau=np.array([outlook.tau for outlook in outlooks]),
        iv=_volatility(hit),
        is_call=np.array([leg.right == "C" for leg in hit.template.legs]),
        quantity=np.array([float(leg.quantity) for leg in hit.template.legs]),
        shares=float(hit.template.stock * chain.multiplier),
        multiplier=chain.multiplier,
        is_american=chain.underlying.exercise_style is ExerciseStyle.AMERICAN,
        margin=hit.margin,
        **greeks,
    )


def _volatility(hit: Hit) -> FloatArray:
    """Volatility of each leg: as the chain has it, else the smile's."""
    board, result = hit.board, []
    for row, leg in zip(hit.rows, hit.template.legs, strict=True):
        iv = float(board.iv[row])
        outlook = board.outlooks[expiry_of(leg, hit.expiries)]
        smile = float(outlook.smile.iv(board.strike[row]))
        result.append(iv if math.isfinite(iv) else smile)
    return np.array(result)


def _half_spreads(batch: Batch, board: Board) -> float:
    half = batch.legs(board.prices.half_spread)
    return float(board.chain.multiplier * (np.abs(batch.quantity) * half).sum())


def _legs(hit: Hit) -> tuple[Leg, ...]:
    board, chain = hit.board, hit.board.chain
    legs = []
    for row, rule in zip(hit.rows, hit.template.legs, strict=True):
        legs.append(
            Leg(
                name=rule.name,
                quantity=rule.quantity,
                right=rule.right,
                strike=float(board.strike[row]),
                expiry=chain["expiry"][row].item(),
                con_id=int(chain["con_id"][row]) or None,
                price=float(board.price[row]),
                price_source=SOURCES[int(board.prices.source[row])],
                bid=finite(chain["bid"][row]),
                ask=finite(chain["ask"][row]),
                value=finite(board.value[row]),
                value_error=finite(board.value_error[row]),
                iv=finite(board.iv[row]),
                delta=finite(board.delta[row]),
                gamma=finite(board.gamma[row]),
                vega=finite(board.vega[row]),
                theta=finite(board.theta[row]),
                volume=_whole(chain["volume"][row]),
                open_interest=_whole(chain["open_interest"][row]),
            )
        )
    if hit.template.stock:
        shares = hit.template.stock * chain.multiplier
        legs.append(
            Leg(
                name="shares",
                sec_type="STK",
                quantity=shares,
                price=board.spot,
                price_source=PriceSource.SPOT,
                delta=1.0,
            )
        )
    return tuple(legs)


def _whole(value: float) -> int | None:
    return int(value) if math.isfinite(value) else None


def _greeks(batch: Batch, board: Board) -> dict[str, float]:
    lot = float(board.chain.multiplier)

    def net(values: FloatArray) -> float:
        return lot * float((batch.quantity * batch.legs(values)).sum())

    return {
        "delta": net(board.delta) + lot * float(batch.stock[0]),
        "gamma": net(board.gamma),
        "vega": net(board.vega),
        "theta": net(board.theta),
    }


def _edge(batch: Batch, board: Board) -> float:
    above = batch.legs(board.price) - batch.legs(board.value)
    return -float(board.chain.multiplier * (batch.quantity * above).sum())


def _edge_error(batch: Batch, board: Board) -> float | None:
    each = board.chain.multiplier * batch.quantity * batch.legs(board.value_error)
    return finite(float(np.sqrt((each**2).sum())))


def _touch(batch: Batch, board: Board) -> float | None:
    """Probability that spot touches a short strike before the first expiry, by the forecast."""
    strike, call = board.strike[batch.row[0]], batch.is_call[0]
    short = batch.quantity[0] < 0.0
    if not short.any():
        return None
    first = board.outlooks[batch.expiries[0]]
    path = (first.tau, board.chain.rate, first.div_yield, first.forecast.volatility)
    low = strike[short & ~call].max(initial=-math.inf)
    high = strike[short & call].min(initial=math.inf)
    if low > -math.inf and high < math.inf:
        return float(touch.touch_either(board.spot, low, high, *path))
    level = low if low > -math.inf else high
    beyond = board.spot <= low or board.spot >= high
    return 1.0 if beyond else float(touch.touch(board.spot, level, *path))


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
    sigma = first.sigma_points / hit.board.spot
    moves = np.maximum(np.array(SCENARIO_SIGMAS) * sigma, -0.99)
    days = sorted({0, first.dte // 2, first.dte})
    vols = (-SCENARIO_VOL, 0.0, SCENARIO_VOL)
    width = position.strike.size
    stock = position.shares != 0.0
    pad = 1 if stock else 0
    grid = revaluation.stress_grid(
        position.spot,
        np.append(position.strike, [position.spot] * pad),
        np.append(position.tau, [1.0] * pad),
        position.rate,
        np.append(position.div_yield, [0.0] * pad),
        np.append(position.iv, [0.2] * pad),
        np.append(position.is_call, [True] * pad).astype(bool),
        quantity=np.append(position.quantity, [position.shares] * pad),
        multiplier=np.append(np.full(width, float(position.multiplier)), [1.0] * pad),
        is_american=position.is_american,
        is_stock=np.append(np.zeros(width, bool), [True] * pad).astype(bool),
        spot_moves=moves,
        vol_moves=np.array(vols),
        days=np.array(days, dtype=np.float64),
    )[0]
    wanted = [(m, 1, d) for d in range(len(days)) for m in range(len(moves))]
    wanted += [(len(moves) // 2, v, 0) for v in (0, 2)]
    return tuple(
        Scenario(
            move=float(moves[m]), vol=vols[v], days=days[d], profit=float(grid[m, v, d]) + costs
        )
        for m, v, d in wanted
    )


def _notes(hit: Hit, numbers: _Numbers) -> list[str]:
    """What a reader must know about this candidate."""
    board, chain = hit.board, hit.board.chain
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
    if math.isinf(numbers.max_loss):
        notes.append("loss without bound")
    if 0.0 < numbers.margin < THIN_MARGIN:
        notes.append(f"margin of only {numbers.margin:.0f}: check the quotes")
    elif numbers.profit > HIGH_ROM * numbers.margin:
        notes.append("return on margin above 500 %: check the quotes")
    if not board.outlooks[hit.expiries[0]].smile.arbitrage_free:
        notes.append("the smile of this expiry is not free of arbitrage")
    notes += [f"{day} was not searched: {why}" for day, why in board.unfit.items()]
    notes.append(board.forecast.note)
    return notes
