"""Recorded option chains for tests and benchmarks, read without the program's own readers."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import math
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tomic.quant import black_scholes, implied, parity, smile

DATA = Path(os.environ.get("TOMIC_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


CASES = DATA.parent / "cases"
"""Small inputs that once failed."""
SPX_2018, SPX_2019 = "spx_2018_40_days.csv.gz", "spx_2019_3_days.tar.xz"


class Expiry(NamedTuple):
    """One expiry, a row a strike; NaN where a side was not quoted."""

    name: str
    dte: int
    strike: np.ndarray
    call_bid: np.ndarray
    call_ask: np.ndarray
    put_bid: np.ndarray
    put_ask: np.ndarray

    @property
    def tau(self) -> float:
        return self.dte / 365.0

    @property
    def call_mid(self) -> np.ndarray:
        return (self.call_bid + self.call_ask) / 2.0

    @property
    def put_mid(self) -> np.ndarray:
        return (self.put_bid + self.put_ask) / 2.0


class Recorded(NamedTuple):
    """A chain, its spot, and the rate of its day."""

    spot: float
    rate: float
    expiries: list[Expiry]


def spy() -> Recorded:
    """SPY on 2025-05-19 at 14:26 New York, exported from a live gateway; three expiries."""
    names = ("Expiry", "Type", "Strike", "Bid", "Ask")
    # The price of the underlying was noted only 21 minutes later; parity puts it here.
    return _read("tomic_ib_SPY_20250519_2026cest.csv", names, date(2025, 5, 19), 593.9, 0.045)


def goog() -> Recorded:
    """GOOG at the close of 2015-12-24; eleven expiries, wide quotes."""
    names = ("expiry", "right", "strike", "bid", "ask")
    return _read("lean_GOOG_20151224_eod_chain.csv", names, date(2015, 12, 24), 748.40, 0.003)


def spx(least: int = 5, most: int = 75) -> Iterator[tuple[str, Recorded]]:
    """
    SPX at the close of 43 days of 2018 and 2019, a chain a day and class (SPX and SPXW).

    Only expiries of *least* to *most* days: 93 of 5 to 75 days. Rates are those of the year.
    """
    with gzip.open(DATA / SPX_2018, "rt", encoding="utf-8-sig", newline="") as file:
        yield from _classes(csv.DictReader(file, skipinitialspace=True), 0.015, least, most)
    with tarfile.open(DATA / SPX_2019) as archive:
        for member in sorted(archive.getmembers(), key=lambda one: one.name):
            content = archive.extractfile(member)
            if content is not None:
                text = io.TextIOWrapper(content, encoding="utf-8", newline="")
                yield from _classes(csv.DictReader(text), 0.024, least, most)


def _classes(
    rows: Iterator[dict[str, str]], rate: float, least: int, most: int
) -> Iterator[tuple[str, Recorded]]:
    chains: dict[tuple[date, str], dict[date, dict[float, list[float]]]] = {}
    spots: dict[date, float] = {}
    for row in rows:
        day, expiry = day_of(row["quotedate"]), day_of(row["expiration"])
        if not least <= (expiry - day).days <= most:
            continue
        listed = "SPXW" if row["optionroot"].startswith("SPXW") else "SPX"
        strikes = chains.setdefault((day, listed), {}).setdefault(expiry, {})
        quote = strikes.setdefault(float(row["strike"]), [np.nan] * 4)
        side = 0 if row["type"] == "call" else 2
        quote[side : side + 2] = [float(row["bid"]), float(row["ask"])]
        spots[day] = float(row["underlying_last"])
    for (day, listed), expiries in sorted(chains.items()):
        tables = {expiry: _table(strikes) for expiry, strikes in sorted(expiries.items())}
        found = [Expiry(f"{e:%Y%m%d}", (e - day).days, *table) for e, table in tables.items()]
        yield f"{listed} {day}", Recorded(spots[day], rate, found)


@functools.cache
def day_of(text: str) -> date:
    """Tens of thousands of rows share a day."""
    return datetime.strptime(text, "%m/%d/%Y").date()


def missing(name: str) -> str | None:
    """Why a recorded file cannot be read, or None."""
    path = DATA / name
    return None if path.exists() else f"no recorded data at {path}; set TOMIC_REAL_DATA"


def _read(name: str, columns: tuple[str, ...], day: date, spot: float, rate: float) -> Recorded:
    expiry, right, strike, bid, ask = columns
    rows: dict[str, dict[float, list[float]]] = defaultdict(dict)
    with (DATA / name).open(newline="") as file:
        for row in csv.DictReader(file):
            quote = rows[row[expiry]].setdefault(float(row[strike]), [np.nan] * 4)
            side = 0 if row[right] == "C" else 2
            quote[side : side + 2] = [float(row[bid] or "nan"), float(row[ask] or "nan")]
    expiries = []
    for key, strikes in sorted(rows.items()):
        dte = (datetime.strptime(key, "%Y%m%d").date() - day).days
        expiries.append(Expiry(key, dte, *_table(strikes)))
    return Recorded(spot, rate, expiries)


def _table(strikes: dict[float, list[float]]) -> np.ndarray:
    """Strike, call bid and ask, put bid and ask, (5, strikes)."""
    return np.array([[k, *strikes[k]] for k in sorted(strikes)]).T


class Quotes(NamedTuple):
    """The out-of-the-money side of one expiry of European options, and its forward."""

    forward: float
    tau: float
    discount: float
    strike: np.ndarray
    iv: np.ndarray
    weight: np.ndarray

    def at_the_money(self) -> float:
        """Volatility at the forward, between the strikes on either side of it."""
        used = np.isfinite(self.iv) & (self.weight > 0.0)
        return float(np.interp(self.forward, self.strike[used], self.iv[used]))


def european_quotes(chain: Recorded, e: Expiry) -> Quotes:
    """Volatilities of the mids, by parity's forward, and the weight of each; zero for no market."""
    call_mid, put_mid = (
        np.where((bid > 0.0) & (ask >= bid), (bid + ask) / 2.0, np.nan)
        for bid, ask in ((e.call_bid, e.call_ask), (e.put_bid, e.put_ask))
    )
    forward = parity.forward_from_parity(e.strike, call_mid, put_mid, chain.rate, e.tau).forward
    is_call = e.strike >= forward
    bid, ask = np.where(is_call, [e.call_bid, e.call_ask], [e.put_bid, e.put_ask])
    div_yield = parity.implied_yield(chain.spot, forward, chain.rate, e.tau)
    market = (chain.spot, e.strike, e.tau, chain.rate, div_yield)
    iv = implied.implied_vol(np.where(is_call, call_mid, put_mid), *market, is_call)
    vega = black_scholes.greeks(*market, np.nan_to_num(iv, nan=0.3), is_call).vega
    weight = smile.quote_weights(e.strike, bid, ask, vega)
    return Quotes(forward, e.tau, math.exp(-chain.rate * e.tau), e.strike, iv, weight)
