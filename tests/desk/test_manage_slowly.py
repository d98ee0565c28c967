"""Every alternative of the demo's own book equals a slow computation that shares no code."""

from __future__ import annotations

import dataclasses

import pytest

from support.slow_alternatives import Campaign, Expiry, Later, Option, Quote, margin, tail
from tomic.desk import Desk
from tomic.models import VolSnapshot
from tomic.models.moves import MoveKind
from tomic.strategies.pricing import board as boards
from tomic.workflows.journal import manage as managing

LOT = 100.0
CENT, TENTH = 0.01, 0.001
"""Of money, and of a probability in points."""
OF_TWO = 0.60
"""
Of money where options of two expiries are held, in 1,146: the factors on the time value of what
lives on are worked out at 65 strikes over 300 cells, and its value is drawn straight between
prices a fortieth of a deviation apart; this here does both exactly.
"""
FEE, SLIPPAGE = 0.65, 0.5


class Known:
    """One symbol's quotes and smiles, as numbers."""

    def __init__(self, chain, settings):
        board = boards.prepare(chain, VolSnapshot(symbol=chain.symbol, as_of=chain.as_of), settings)
        self.spot, self.american = chain.spot.price, chain.is_american
        days = chain["expiry"].astype("datetime64[D]").tolist()
        columns = (chain[name] for name in ("strike", "right", "bid", "ask"))
        self.quotes = {
            (day, strike, right): Quote(bid, ask, noise)
            for day, strike, right, bid, ask, noise in zip(
                days, *columns, board.doubted, strict=True
            )
        }
        self.expiries = {
            day: Expiry(
                day, look.forward, look.discount, look.tau,
                *(getattr(look.smile, name) for name in ("a", "b", "rho", "m", "sigma")),
            )
            for day, look in board.outlooks.items()
        }  # fmt: skip

    def quote(self, option: Option) -> Quote:
        return self.quotes[option.expiry, option.strike, option.right]


def options_of(legs) -> list[Option]:
    return [Option(leg.quantity, leg.strike, leg.right, leg.expiry) for leg in legs if leg.right]


def shares_of(legs) -> float:
    return sum(leg.quantity for leg in legs if not leg.right)


def campaign_of(known: Known, move, cash: float) -> Campaign:
    first = known.expiries[move.expiry]
    later = {
        day: Later(first, expiry, known.american)
        for day, expiry in known.expiries.items()
        if day > move.expiry
    }
    options = options_of(move.legs)
    return Campaign(options, shares_of(move.legs), cash, known.spot, first, later)


def check_order(known: Known, move) -> tuple[float, float]:
    """Prices and costs of what is traded; what it brings at mid, and its costs."""
    traded, shares = options_of(move.trades), shares_of(move.trades)
    quotes = [known.quote(option) for option in traded]
    at_mid = -LOT * sum(o.quantity * q.mid for o, q in zip(traded, quotes, strict=True))
    half = LOT * sum(
        abs(o.quantity) * (q.ask - q.bid) / 2.0 for o, q in zip(traded, quotes, strict=True)
    )
    at_mid -= shares * known.spot
    costs = SLIPPAGE * half + FEE * sum(abs(option.quantity) for option in traded)
    size = LOT * move.structures if traded else abs(shares) or 1.0
    assert move.mid == pytest.approx(at_mid / size, abs=1e-9), move.text
    assert move.natural == pytest.approx((at_mid - half) / size, abs=1e-9), move.text
    assert move.spread_cost + move.commission == pytest.approx(costs, abs=1e-9), move.text
    if move.tick is not None:
        assert abs(move.limit - move.mid) <= 0.5 * move.tick + 1e-9, move.text
        assert move.limit / move.tick == pytest.approx(round(move.limit / move.tick), abs=1e-6)
    return at_mid, costs


def check_move(known: Known, structure, move, hold, excess) -> None:
    """Every figure of one alternative."""
    at_mid, costs = check_order(known, move)
    held = [Option(leg.quantity, leg.strike, leg.right, leg.expiry) for leg in structure.legs]
    cost = {leg: own.cost for leg, own in zip(held, structure.legs, strict=True)}
    paid = -sum(leg.quantity * (LOT if leg.right else 1.0) * price for leg, price in cost.items())
    worth = sum(
        LOT * leg.quantity * known.quote(leg).mid if leg.right else leg.quantity * known.spot
        for leg in held
    )
    now, cash = paid + worth, paid + at_mid - costs
    basis = {leg[1:]: price for leg, price in cost.items()}
    locked = cash + sum(
        leg.quantity * (LOT if leg.right else 1.0)
        * basis.get((leg.strike, leg.right, leg.expiry), leg.price)
        for leg in move.legs
    )  # fmt: skip
    assert move.locked_in == pytest.approx(locked, abs=CENT), move.text
    needed = margin(
        options_of(move.legs), shares_of(move.legs), known.spot, lambda o: known.quote(o).mid
    )
    assert move.margin == pytest.approx(needed, abs=1e-6), move.text
    change = move.margin - hold.margin
    assert move.margin_change == pytest.approx(change, abs=1e-6)
    assert move.buying_power_after == pytest.approx(excess - change + at_mid - costs, abs=CENT)
    assert move.ev_change == pytest.approx(move.ev - hold.ev, abs=1e-9)
    if move.expiry is None:
        assert move.ev == pytest.approx(cash - now, abs=CENT)
        assert (move.pos, move.breakevens) == (float(cash > 0.0), ())
        return
    after = campaign_of(known, move, cash)
    outcomes = after.outcomes()
    noise = LOT * sum(o.quantity * known.quote(o).noise for o in after.options)
    money, points = (CENT, TENTH) if after.is_single else (OF_TWO, TENTH)
    assert move.ev == pytest.approx(after.mean(outcomes) - now + noise, abs=money), move.text
    assert move.cvar95 == pytest.approx(tail(outcomes, now), abs=money), move.text
    assert move.pos == pytest.approx(after.success(), abs=points), move.text
    edges = list(after.breakevens())
    assert len(move.breakevens) == len(edges), move.text
    assert move.breakevens == pytest.approx(edges, abs=1e-6 if after.is_single else 0.05)


async def test_every_structure_of_the_demo(tmp_path):
    """Order, costs, cash, margin, PoS, EV, CVaR and breakevens of every alternative."""
    chains = {}
    async with Desk(demo=True, demo_store=tmp_path / "demo.db") as desk:
        own = await desk.journal()

        async def fetch(symbol, settings, choose):
            chains[symbol] = await own.fetch(symbol, settings, choose)
            return chains[symbol]

        journal = dataclasses.replace(own, fetch=fetch)
        manager = await managing.manager(desk._resources, journal)
        run = await managing.manage(dataclasses.replace(manager, opener=None), keep=False)
        structures = {one.id: one for one in manager.book.review.structures}
        excess = sum(account.excess_liquidity for account in manager.book.book.accounts)

    assert {one.id for one in run.advice} == set(structures)
    for advice in run.advice:
        known = Known(chains[advice.symbol], desk.settings)
        assert advice.problem == ""
        for move in advice.moves:
            check_move(known, structures[advice.id], move, advice.hold, excess)
    assert {move.kind for one in run.advice for move in one.moves} >= {
        MoveKind.HOLD, MoveKind.CLOSE, MoveKind.ROLL, MoveKind.WRITE, MoveKind.KEEP_LONG
    }  # fmt: skip
