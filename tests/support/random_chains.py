"""Small chains around a random smile: rounded quotes, gaps, thin rows; one chain a seed."""

from __future__ import annotations

import datetime as dt
import math

import numpy as np

from tomic.chain import Chain
from tomic.models import (
    DataType,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    Underlying,
    VolSnapshot,
)
from tomic.quant import black_scholes

AS_OF = dt.datetime(2026, 3, 2, 20, 0, tzinfo=dt.UTC)
RATE = 0.04


def chain(
    seed: int = 0,
    *,
    days: tuple[int, ...] = (32, 60),
    strikes: int = 13,
    sigma: float | None = None,
    gaps: bool = True,
    sec_type: str = "IND",
    spot: float | None = None,
    spread: float = 1.0,
) -> Chain:
    """
    A chain of *strikes* strikes per expiry, about 2.2 standard deviations to either side.

    With *gaps* some quotes lack a bid or have a wide spread, and some rows are hardly traded.
    """
    rng = np.random.default_rng(seed)
    price = spot if spot is not None else float(np.round(rng.uniform(60.0, 300.0), 2))
    level = sigma if sigma is not None else float(rng.uniform(0.12, 0.6))
    slope, bend = rng.uniform(-0.25, 0.05), rng.uniform(0.0, 0.3)
    quotes = []
    for dte in days:
        tau, width = dte / 365.0, level * math.sqrt(dte / 365.0)
        grid = price * (1.0 + 2.2 * width * np.linspace(-1.0, 1.0, strikes))
        grid = np.unique(np.round(grid * (1.0 + rng.uniform(-0.003, 0.003, strikes)), 1))
        for strike in grid.tolist():
            k = math.log(strike / price) / width
            iv = level * max(1.0 + slope * k * 0.3 + bend * k * k * 0.1, 0.3)
            for right in ("C", "P"):
                quotes.append(_quote(rng, price, strike, tau, iv, right, dte, gaps, spread))
    return Chain.from_quotes(
        quotes,
        underlying=Underlying(symbol=f"R{seed}", con_id=1, sec_type=sec_type),
        spot=Spot(price=price, source=SpotSource.LAST, as_of=AS_OF),
        as_of=AS_OF,
        rate=RATE,
        data_type=DataType.LIVE,
    )


def _quote(rng, price, strike, tau, iv, right, dte, gaps, spread) -> OptionQuote:
    greeks = black_scholes.greeks(price, strike, tau, RATE, 0.0, iv, right == "C")
    value = float(greeks.price) * (1.0 + rng.normal(0.0, 0.004))
    half = spread * max(0.01, 0.015 * value) * rng.uniform(0.5, 1.5)
    bid, ask = round(max(value - half, 0.0), 2), round(value + half + 0.01, 2)
    volume, interest = int(rng.integers(2, 500)), int(rng.integers(20, 3000))
    if gaps:
        draw = rng.random()
        if draw < 0.03:
            bid = 0.0
        elif draw < 0.06:
            ask = round(ask * 1.8 + 0.3, 2)
        elif draw < 0.09:
            volume = int(rng.integers(0, 2))
        elif draw < 0.12:
            interest = int(rng.integers(0, 20))
        elif draw < 0.20:
            volume = interest = None
    return OptionQuote(
        expiry=AS_OF.date() + dt.timedelta(days=dte),
        dte=dte,
        strike=strike,
        right=right,
        bid=bid,
        ask=ask,
        iv=iv,
        delta=float(greeks.delta),
        gamma=float(greeks.gamma),
        vega=float(greeks.vega),
        theta=float(greeks.theta),
        volume=volume,
        open_interest=interest,
        status=RowStatus.OK,
        quote_source=QuoteSource.LIVE,
        greeks_source="ib",
        quoted_at=AS_OF,
    )


def snapshot(chain: Chain, **figures: float) -> VolSnapshot:
    """A snapshot of the chain's symbol; what is not given is unknown and refuses nothing."""
    return VolSnapshot(symbol=chain.symbol, as_of=chain.as_of, spot=chain.spot.price, **figures)
