"""A day's candidates on modelled smiles, and quotes of later days beside optopsy."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.figures import Row, fact
from benchmarks.peers import foreign

from tomic.config import Settings
from tomic.evidence import candidates, quoted, walk
from tomic.evidence.candidates import WalkTerms
from tomic.evidence.history import clean
from tomic.evidence.quoted import DayQuotes
from tomic.evidence.structures import STRUCTURES
from tomic.files.option_tables import read_days
from tomic.files.surfaces import read_surface

SHARED = Path(__file__).parents[2] / "shared" / "data"
SURFACE, CHAINS = "surface_daily_20_symbols.csv", "spx_2018_40_days.csv.gz"
MOST_DTE, LAST_DTE, LEAST = 29, 1, 0.05
WORKS = """
import numpy as np
import optopsy
import pandas as pd

def short_puts(quote_day, expiry, strike, bid, ask, spot):
    frame = pd.DataFrame({
        "underlying_symbol": "SPX", "underlying_price": spot, "option_type": "put",
        "expiration": pd.to_datetime(expiry, unit="D"),
        "quote_date": pd.to_datetime(quote_day, unit="D"),
        "strike": strike, "bid": bid, "ask": ask,
    })
    found = optopsy.short_puts(
        frame, raw=True, max_entry_dte=29, exit_dte=1, max_otm_pct=0.5, min_bid_ask=0.05
    )
    day = (found["expiration"] - pd.Timestamp(0)).dt.days
    return np.column_stack((day - found["dte_entry"], day, found["strike"],
                            found["entry"] - found["exit"]))

WORKS = {"short_puts": short_puts}
"""


def run() -> list[Row]:
    """Symbol-days a second and core; P&L per trade and time beside optopsy."""
    if not all((SHARED / name).exists() for name in (SURFACE, CHAINS)):
        return [{"name": "backtest", "skipped": f"no recorded data at {SHARED}"}]
    return [_modelled(), *_beside_optopsy()]


def _modelled() -> Row:
    histories = clean(read_surface(SHARED / SURFACE), etfs=Settings().backtest.funds)[:4]
    terms = WalkTerms.of(Settings(), STRUCTURES)
    days = walk.entry_days(histories)
    began, count = time.process_time(), 0
    for history in histories:
        found = candidates.look(history, days, terms, Counter())
        count += 0 if found is None else found.day.size
    rate = count / (time.process_time() - began)
    name = "backtest: symbol-days of 13 structures, held and managed"
    return fact(name, f"{rate:.0f} a second and core", "140 or more")


def _beside_optopsy() -> list[Row]:
    name = "backtest: short puts on quotes of SPX, January and February 2018"
    days = list(read_days([SHARED / CHAINS], rate=walk.RATES))
    columns = _columns(days)
    try:
        with foreign("optopsy", WORKS) as peer, tempfile.TemporaryDirectory() as folder:
            peer.load(**columns)
            file = Path(folder) / "found.npy"
            seconds = peer.seconds("short_puts", *columns, keep=file)
            theirs, version = np.load(file), peer.version("optopsy")
    except (subprocess.SubprocessError, OSError, KeyError) as exc:
        return [{"name": name, "failed": f"optopsy cannot be run: {exc!r}"}]
    tables = {
        table.day: quoted.searched(table.day, table.chains, {}, Settings(), None, False).quotes[0]
        for table in days
    }
    began = time.perf_counter()
    ours = _ours(theirs, tables)
    spent = time.perf_counter() - began
    apart = float(np.nanmax(np.abs(ours - theirs[:, 3])))
    told = f"{theirs.shape[0]} trades, {apart:.1e} apart a share, {seconds / spent:.1f} x as fast"
    return [fact(name, f"{told} as optopsy {version}", "the same P&L")]


def _columns(days: Any) -> dict[str, np.ndarray]:
    """Puts of all days, a row each."""
    parts: dict[str, list[np.ndarray]] = {}
    for table in days:
        for chain in table.chains:
            rows = ~chain.is_call
            size = int(rows.sum())
            for key, values in (
                ("quote_day", np.full(size, np.datetime64(table.day, "D").astype(np.int64))),
                ("expiry", chain["expiry"][rows].astype(np.int64)),
                ("strike", chain["strike"][rows]),
                ("bid", np.nan_to_num(chain["bid"][rows])),
                ("ask", np.nan_to_num(chain["ask"][rows])),
                ("spot", np.full(size, chain.spot.price)),
            ):
                parts.setdefault(key, []).append(values)
    return {key: np.concatenate(values) for key, values in parts.items()}


def _ours(trades: np.ndarray, tables: dict[Any, DayQuotes]) -> np.ndarray:
    """What our marks say the same trades brought, currency a share."""
    to_day = partial(np.asarray, dtype="datetime64[D]")
    opened, expiry = (to_day(trades[:, place].astype(np.int64)) for place in (0, 1))
    contract = quoted.number_of(expiry, trades[:, 2], np.zeros(len(trades), dtype=np.bool_))
    mids = np.full((2, len(trades)), np.nan)
    for row, when in enumerate((opened, expiry - LAST_DTE)):
        for day in np.unique(when):
            chosen = np.flatnonzero(when == day)
            if day.item() in tables:
                mids[row, chosen] = tables[day.item()].of(contract[chosen]).mid
    return np.asarray(mids[0] - mids[1])
