"""Positions by the dozen on the demo market: what a busy seller has open."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from support import model_market
from tomic.models.journal import Action, Fill, JournalEntry, Trade
from tomic.sim.market.model import ModelMarket

NEAR, FAR = dt.date(2026, 12, 18), dt.date(2027, 1, 15)
OPENED = dt.datetime(2026, 11, 18, 16, 0, tzinfo=dt.UTC)
_SHAPES = (
    ("naked_put", ((-2, "P", -1.0),)),
    ("iron_condor", ((1, "P", -1.6), (-1, "P", -1.0), (-1, "C", 1.0), (1, "C", 1.6))),
    ("short_put_spread", ((-2, "P", -0.1), (2, "P", -0.9))),
    ("short_strangle", ((-1, "P", -0.2), (-1, "C", 1.4))),
    ("calendar", ((-1, "P", 0.0), (1, "FAR", 0.0))),
)
"""Legs in standard deviations from spot; some are under attack."""


def entries(count: int, symbols: list[str]) -> Iterator[JournalEntry]:
    """So many entries, shape by shape over the symbols, in turns."""
    market = ModelMarket()
    for number in range(count):
        symbol = symbols[number % len(symbols)]
        shape = _SHAPES[(number + number // len(symbols)) % len(_SHAPES)]
        yield _entry(market, symbol, *shape)


def _entry(market: ModelMarket, symbol: str, strategy: str, shape) -> JournalEntry:
    spot = model_market.spot(market, symbol)
    owner = market.board.catalogue.instrument(symbol)
    rule = owner.classes[0]
    deviation = spot * market.board.level(owner)[1] * (28 / 365) ** 0.5
    fills = []
    for quantity, right, away in shape:
        day = FAR if right == "FAR" else NEAR
        strikes = set(market.board.catalogue.strikes(owner, rule, day))
        if strategy == "calendar":
            strikes &= set(market.board.catalogue.strikes(owner, rule, NEAR))
            strikes &= set(market.board.catalogue.strikes(owner, rule, FAR))
        strike = min(strikes, key=lambda level: abs(level - spot - away * deviation))
        fill = Fill(
            expiry=day,
            strike=strike,
            right="P" if right == "FAR" else right,
            quantity=quantity,
            price=round(0.02 * spot, 2),
        )
        fills.append(fill)
    opening = Trade(at=OPENED, action=Action.OPEN, fills=tuple(fills))
    return JournalEntry(symbol=symbol, strategy=strategy, opened_at=OPENED, trades=(opening,))
