"""Recorded option chains for tests and benchmarks, read without the program's own readers."""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

DATA = Path(os.environ.get("TOMIC_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


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
        table = np.array([[k, *strikes[k]] for k in sorted(strikes)]).T
        expiries.append(Expiry(key, dte, *table))
    return Recorded(spot, rate, expiries)
