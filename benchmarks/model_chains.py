"""Whole chains of the model market and recorded ones, without a gateway between."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import sys
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import (
    DataType,
    OptionParams,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    SpotSource,
    Underlying,
)
from tomic.selection import DEFAULT_CLASS, Wanted
from tomic.sim.market.model import ModelMarket
from tomic.sim.market.prices import Slice
from tomic.strategies import windows
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.windows import Window

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from support import recorded_chains


def listed(
    market: ModelMarket, symbol: str, templates: Sequence[Template], settings: Settings
) -> tuple[Chain, Window]:
    """Every option of the windows of *templates* with its quote, and the windows."""
    board, catalogue = market.board, market.board.catalogue
    instrument = catalogue.instrument(symbol)
    assert instrument is not None
    usual = DEFAULT_CLASS.get(symbol, symbol)
    rule = next((one for one in instrument.classes if one.name == usual), instrument.classes[0])
    state, now = board.setting(instrument), market.now()
    expiries = catalogue.expiries(rule, instrument)
    strikes = {day: catalogue.strikes(instrument, rule, day) for day in expiries}
    params = OptionParams(
        exchange="SMART",
        trading_class=rule.name,
        multiplier=int(rule.multiplier),
        expiries=tuple(expiries),
        strikes=tuple(sorted(set().union(*strikes.values()))),
    )
    every, sigma = windows.unthinned(settings.scan), board.level(instrument)[1]
    window = windows.choose(templates, params, state.spot, now.date(), sigma, every)
    slices = {day: board.slice_of(instrument, rule, day)[0] for day in window.expiries}
    rows = [row for day, one in slices.items() for row in _rows(one, day, window.of_expiry(day))]
    underlying = Underlying(
        symbol=symbol,
        con_id=catalogue.underlying_id(symbol),
        sec_type="IND" if instrument.is_index else "STK",
    )
    return chain_of(rows, underlying, state.spot, now, rule.name), window


def spx(most: int = 3) -> Iterator[tuple[str, Chain]]:
    """
    SPXW at the close: the days of 2019, and *most* days of 2018 as far apart as can be.

    Only expiries of 15 to 75 days; volume and open interest are those of the file.
    """
    if not recorded_chains.missing(recorded_chains.SPX_2019):
        with tarfile.open(recorded_chains.DATA / recorded_chains.SPX_2019) as archive:
            for member in sorted(archive.getmembers(), key=lambda one: one.name):
                content = archive.extractfile(member)
                if content is not None:
                    text = io.TextIOWrapper(content, encoding="utf-8", newline="")
                    yield from _days(csv.DictReader(text), 1)
    if not recorded_chains.missing(recorded_chains.SPX_2018):
        path = recorded_chains.DATA / recorded_chains.SPX_2018
        with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield from _days(csv.DictReader(file, skipinitialspace=True), most)


def _days(rows: Iterable[dict[str, str]], most: int) -> Iterator[tuple[str, Chain]]:
    days: dict[dt.date, list[dict[str, object]]] = {}
    spots: dict[dt.date, float] = {}
    for row in rows:
        names = ("quotedate", "expiration")
        day, expiry = (dt.datetime.strptime(row[name], "%m/%d/%Y").date() for name in names)
        if row["optionroot"].startswith("SPXW") and 15 <= (expiry - day).days <= 75:
            spots[day] = float(row["underlying_last"])
            days.setdefault(day, []).append(
                {
                    "expiry": expiry,
                    "strike": float(row["strike"]),
                    "right": "C" if row["type"] == "call" else "P",
                    "bid": float(row["bid"]) or None,
                    "ask": float(row["ask"]) or None,
                    "volume": float(row["volume"]),
                    "open_interest": float(row["openinterest"]),
                }
            )
    step = max(len(days) // most, 1)
    for day in sorted(days)[::step][:most]:
        now = dt.datetime.combine(day, dt.time(21, 0), dt.UTC)
        underlying = Underlying(symbol="SPX", con_id=1, sec_type="IND")
        yield f"SPXW {day}", chain_of(days[day], underlying, spots[day], now, "SPXW")


def chain_of(
    rows: Sequence[dict[str, object]],
    underlying: Underlying,
    spot: float,
    now: dt.datetime,
    trading_class: str,
) -> Chain:
    """A chain of *rows*, which hold columns by name."""
    empty = Chain.from_quotes(
        [],
        underlying=underlying,
        spot=Spot(price=spot, source=SpotSource.LAST, data_type=DataType.LIVE, as_of=now),
        as_of=now,
        rate=0.045,
        trading_class=trading_class,
    )
    quotes = [
        OptionQuote.model_construct(
            **{
                "con_id": None, "dte": 0, "bid": None, "ask": None, "last": None, "close": None,
                "iv": None, "delta": None, "gamma": None, "vega": None, "theta": None,
                "volume": None, "open_interest": None, "parity_deviation": None,
                "status": RowStatus.OK, "quote_source": QuoteSource.LIVE,
                "greeks_source": "ib", "quoted_at": now, **row,
            }
        )
        for row in rows
    ]  # fmt: skip
    return Chain.from_quotes(
        quotes,
        underlying=underlying,
        spot=empty.spot,
        as_of=now,
        rate=empty.rate,
        trading_class=trading_class,
    )


def _rows(one: Slice, day: dt.date, wanted: Iterator[Wanted]) -> Iterator[dict[str, object]]:
    place = {
        (float(strike), "C" if call else "P"): i
        for i, (strike, call) in enumerate(zip(one.strike, one.is_call, strict=True))
    }
    names = ("bid", "ask", "last", "close", "delta", "gamma", "vega", "theta", "volume")
    for option in wanted:
        i = place.get((option.strike, option.right))
        if i is None:
            continue
        figures = {name: float(getattr(one, name)[i]) for name in names}
        yield {
            "expiry": day,
            "strike": option.strike,
            "right": option.right,
            "iv": float(one.sigma[i]),
            "open_interest": float(one.open_interest[i]),
            **{name: None if np.isnan(value) else value for name, value in figures.items()},
        }
