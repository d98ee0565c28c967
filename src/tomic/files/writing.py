"""
Chains and snapshots written: the original's CSV files, and documents of schema ``tomic.chain/1``.

The CSV files have the original program's columns in its order, then what it left unsaid. In a
document absent numbers are null, never NaN.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tomic import outside
from tomic._version import __version__
from tomic.chain import Chain
from tomic.disk import write_text
from tomic.figures import columns
from tomic.models import Carry, OptionQuote, RowStatus, VolSnapshot
from tomic.models.documents import finite, to_document as model_document

CHAIN_HEADER = (
    "Expiry", "Type", "Strike", "Bid", "Ask", "Close", "IV", "Delta", "Gamma", "Vega", "Theta",
    "Volume", "OpenInterest", "ParityDeviation",
)  # fmt: skip
"""The original's columns of a chain."""

CHAIN_EXTRA = (
    "Status", "QuoteSource", "GreeksSource", "Spot", "SpotSource", "AsOf", "DataType", "Rate",
    "DivYield", "Last", "ConId", "QuotedAt", "Symbol", "SecType", "UnderlyingConId", "Currency",
    "TimeZone", "TradingClass", "Multiplier", "Forward", "ForwardSource", "ForwardError", "Pairs",
    "Discount", "ImpliedRate", "RateSource", "RateError", "StockType",
)  # fmt: skip
"""Ours: with these, `load_chain` needs nothing but the file."""

SNAPSHOT_HEADER = (
    "Symbol", "SpotPrice", "HV_30", "ATR_14", "VIX", "Skew", "Term_M1_M2", "Term_M1_M3",
    "IV_Rank", "Implied_Volatility", "IV_Percentile", "Avg_Parity_Deviation",
)  # fmt: skip
"""The original's columns of a symbol's other data; volatilities and ranks in per cent."""

SNAPSHOT_EXTRA = (
    "AsOf", "SpotSource", "DataType", "HV_20", "HV_60", "HV_90", "HV_252", "IV_Days",
    "Next_Earnings", "Next_Dividend", "Dividend_Amount", "Sources",
)  # fmt: skip

OVERVIEW_NAME = "Overzicht_Marktkenmerken.csv"
"""The other data of several symbols, a row each."""

LEFT_OUT = (RowStatus.DELTA_OUT_OF_RANGE, RowStatus.UNKNOWN_CONTRACT)
"""What the mission calls invalid: not in the CSV, but counted."""

_VOLATILITY = {
    "HV_30": "hv30", "ATR_14": "atr14", "VIX": "vix", "Skew": "skew", "Term_M1_M2": "term_m1_m2",
    "Term_M1_M3": "term_m1_m3", "IV_Rank": "iv_rank", "Implied_Volatility": "iv30",
    "IV_Percentile": "iv_percentile", "HV_20": "hv20", "HV_60": "hv60", "HV_90": "hv90",
    "HV_252": "hv252",
}  # fmt: skip
"""Columns that are a figure of a snapshot."""

SCHEMA = "tomic.chain/1"

ROW_FIELDS = (
    "con_id", "expiry", "dte", "strike", "right", "bid", "ask", "last", "close", "iv", "delta",
    "gamma", "vega", "theta", "volume", "open_interest", "parity_deviation", "status",
    "quote_source", "greeks_source", "quoted_at",
)  # fmt: skip
"""Fields of a row, in order."""

Cell = str | int
Snapshots = Iterable[tuple[VolSnapshot | None, Chain | None]]


def left_out(chain: Chain) -> dict[str, int]:
    """Return status to number of the rows that the CSV does not hold."""
    counts = chain.counts
    return {status.value: counts[status] for status in LEFT_OUT if status in counts}


def to_csv_text(chain: Chain) -> str:
    """
    Return the chain as CSV, by expiry, strike and right.

    IV and Greeks have six significant digits where the original had three decimals, so that
    reading the file back gives the same chain for every practical purpose; prices have all theirs.
    """
    shared = _shared_cells(chain)
    carried = {carry.expiry: _carry_cells(carry) for carry in chain.carries}
    rows = (
        _chain_cells(row, shared | carried.get(row.expiry, _NO_CARRY))
        for row in chain.rows()
        if row.status not in LEFT_OUT
    )
    return _csv_text((*CHAIN_HEADER, *CHAIN_EXTRA), rows)


def write_chain(chain: Chain, folder: Path | str, *, stamp: dt.datetime) -> Path:
    """
    Write ``option_chain_<SYMBOL>_<stamp>.csv`` into ``folder/YYYYMMDD``; see `left_out`.

    *stamp* is written as it stands, without its zone; the column AsOf has the time with it.

    Raises:
        BadFile: The folder cannot be written.
    """
    return write_text(_path(folder, "option_chain", chain.symbol, stamp), to_csv_text(chain))


def write_snapshot(
    snapshot: VolSnapshot | None, chain: Chain | None, folder: Path | str, *, stamp: dt.datetime
) -> Path:
    """
    Write ``other_data_<SYMBOL>_<stamp>.csv``, one row, into ``folder/YYYYMMDD``.

    What is unknown stays empty; the spot comes from the chain where the snapshot lacks it.

    Raises:
        BadFile: The folder cannot be written.
        ValueError: Neither a snapshot nor a chain.
    """
    cells = _snapshot_cells(snapshot, chain)
    path = _path(folder, "other_data", str(cells["Symbol"]), stamp)
    return write_text(path, _snapshot_text([cells]))


def write_overview(snapshots: Snapshots, folder: Path | str, *, stamp: dt.datetime) -> Path | None:
    """
    Write `OVERVIEW_NAME`, a row per symbol, into ``folder/YYYYMMDD``; None for fewer than two.

    Raises:
        BadFile: The folder cannot be written.
    """
    rows = {str(cells["Symbol"]): cells for cells in (_snapshot_cells(*pair) for pair in snapshots)}
    if len(rows) < 2:
        return None
    return write_text(
        Path(folder) / f"{stamp:%Y%m%d}" / OVERVIEW_NAME, _snapshot_text(rows.values())
    )


def to_snapshots_csv(snapshots: Snapshots) -> str:
    """Return the other data of symbols as CSV, a row each, as `write_overview` writes them."""
    return _snapshot_text(_snapshot_cells(*pair) for pair in snapshots)


def _path(folder: Path | str, kind: str, symbol: str, stamp: dt.datetime) -> Path:
    return Path(folder) / f"{stamp:%Y%m%d}" / f"{kind}_{symbol}_{stamp:%Y%m%d_%H%M%S_%f}.csv"


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([outside.cell(cell) for cell in row] for row in rows)
    return out.getvalue()


def _chain_cells(row: OptionQuote, shared: Mapping[str, Cell]) -> list[Cell]:
    cells: dict[str, Cell] = {
        **shared,
        "Expiry": f"{row.expiry:%Y%m%d}",
        "Type": row.right,
        "Strike": _price(row.strike),
        "Bid": _price(row.bid),
        "Ask": _price(row.ask),
        "Close": _price(row.close),
        "IV": _digits(row.iv),
        "Delta": _digits(row.delta),
        "Gamma": _digits(row.gamma),
        "Vega": _digits(row.vega),
        "Theta": _digits(row.theta),
        "Volume": _whole(row.volume),
        "OpenInterest": _whole(row.open_interest),
        "ParityDeviation": _price(row.parity_deviation, 4),
        "Status": row.status.value,
        "QuoteSource": row.quote_source.value if row.quote_source else "",
        "GreeksSource": row.greeks_source,
        "Last": _price(row.last),
        "ConId": _whole(row.con_id),
        "QuotedAt": row.quoted_at.isoformat() if row.quoted_at else "",
    }
    return [cells[name] for name in (*CHAIN_HEADER, *CHAIN_EXTRA)]


_NO_CARRY: dict[str, Cell] = dict.fromkeys(
    ("Forward", "ForwardSource", "ForwardError", "Pairs", "Discount", "ImpliedRate", "RateSource",
     "RateError"),
    "",
)  # fmt: skip


def _carry_cells(carry: Carry) -> dict[str, Cell]:
    return {
        "Forward": "" if carry.forward is None else repr(carry.forward),
        "ForwardSource": carry.forward_source,
        "ForwardError": _digits(carry.forward_error),
        "Pairs": carry.pairs,
        "Discount": repr(carry.discount),
        "ImpliedRate": repr(carry.rate),
        "RateSource": carry.rate_source,
        "RateError": _digits(carry.rate_error),
    }


def _shared_cells(chain: Chain) -> dict[str, Cell]:
    underlying = chain.underlying
    return {
        "Spot": _price(chain.spot.price),
        "SpotSource": chain.spot.source.value,
        "AsOf": chain.as_of.isoformat(),
        "DataType": chain.data_type.value,
        "Rate": _digits(chain.rate),
        "DivYield": _digits(chain.div_yield),
        "Symbol": chain.symbol,
        "SecType": underlying.sec_type,
        "UnderlyingConId": underlying.con_id,
        "Currency": underlying.currency,
        "TimeZone": underlying.time_zone,
        "TradingClass": chain.trading_class,
        "Multiplier": chain.multiplier,
        "StockType": underlying.stock_type,
    }


def _snapshot_text(rows: Iterable[Mapping[str, Cell]]) -> str:
    header = (*SNAPSHOT_HEADER, *SNAPSHOT_EXTRA)
    return _csv_text(header, ([row.get(name, "") for name in header] for row in rows))


def _snapshot_cells(snapshot: VolSnapshot | None, chain: Chain | None) -> dict[str, Cell]:
    if chain is not None:
        cells: dict[str, Cell] = {
            "Symbol": chain.symbol,
            "SpotPrice": _price(chain.spot.price),
            "Avg_Parity_Deviation": _price(_average_parity_deviation(chain), 4),
            "AsOf": chain.as_of.isoformat(),
            "SpotSource": chain.spot.source.value,
            "DataType": chain.data_type.value,
        }
    elif snapshot is not None:
        cells = {"Symbol": snapshot.symbol, "AsOf": snapshot.as_of.isoformat()}
    else:
        raise ValueError("a snapshot or a chain is needed, got neither")
    if snapshot is not None:
        cells |= _volatility_cells(snapshot)
        if snapshot.spot is not None:
            cells.setdefault("SpotPrice", _price(snapshot.spot))
    return cells


def _volatility_cells(snapshot: VolSnapshot) -> dict[str, Cell]:
    return {
        **{name: _figure(snapshot, field) for name, field in _VOLATILITY.items()},
        "IV_Days": _whole(snapshot.iv_days),
        "Next_Earnings": snapshot.next_earnings.isoformat() if snapshot.next_earnings else "",
        "Next_Dividend": snapshot.next_dividend.isoformat() if snapshot.next_dividend else "",
        "Dividend_Amount": _price(snapshot.dividend_amount),
        "Sources": " ".join(f"{name}={where}" for name, where in sorted(snapshot.sources.items())),
    }


def _average_parity_deviation(chain: Chain) -> float | None:
    """Mean over the strikes of the first expiry; call and put of a strike carry the same one."""
    first = chain["expiry"] == chain["expiry"].min() if len(chain) else np.zeros(0, dtype=bool)
    strike, deviation = chain["strike"][first], chain["parity_deviation"][first]
    known = np.isfinite(deviation)
    by_strike = dict(zip(strike[known].tolist(), deviation[known].tolist(), strict=True))
    return math.fsum(by_strike.values()) / len(by_strike) if by_strike else None


def _price(value: float | None, decimals: int = 6) -> str:
    return "" if value is None or not math.isfinite(value) else repr(round(float(value), decimals))


def _digits(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.6g}"


def _whole(value: int | None) -> Cell:
    return "" if value is None else value


def _figure(snapshot: VolSnapshot, field: str) -> str:
    """A figure as tables show it: fractions in per cent."""
    value: float | None = getattr(snapshot, field)
    (figure,) = columns(field)
    return "" if value is None else _price(figure.factor * value, 4)


# -- documents -----------------------------------------------------------------------------


def to_document(chain: Chain) -> dict[str, Any]:
    """Return the whole chain, every row whatever its status, as JSON-ready values."""
    return {"schema": SCHEMA, "meta": _meta(chain), "rows": [_row(row) for row in chain.rows()]}


def to_json(chains: Sequence[Chain], *, as_array: bool = False) -> str:
    """
    Return one document for one chain, an array of documents for several or none.

    *as_array* makes it an array for one too, as when only one of several symbols had a chain.
    """
    documents = [to_document(chain) for chain in chains]
    whole = documents[0] if len(documents) == 1 and not as_array else documents
    return json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def ndjson_rows(chain: Chain) -> Iterator[dict[str, Any]]:
    """Yield the document's rows, each with its symbol first."""
    for row in chain.rows():
        yield {"symbol": chain.symbol, **_row(row)}


def to_ndjson(chain: Chain) -> str:
    """Return `ndjson_rows` as text, a row per line."""
    return "".join(
        json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in ndjson_rows(chain)
    )


def _meta(chain: Chain) -> dict[str, Any]:
    fetch, underlying = chain.fetch, chain.underlying
    return {
        "symbol": chain.symbol,
        "spot": finite(chain.spot.price),
        "spot_source": chain.spot.source.value,
        "data_type": chain.data_type.value,
        "as_of": chain.as_of.isoformat(),
        "rate": finite(chain.rate),
        "div_yield": finite(chain.div_yield),
        "carries": [model_document(carry) for carry in chain.carries],
        "expiries": [day.isoformat() for day in chain.expiries],
        "requested": len(chain),
        "ok": chain.counts.get(RowStatus.OK, 0),
        "gaps": chain.gaps,
        "completeness": chain.completeness,
        "complete": chain.completeness == 1.0 and not fetch.cut_short,
        "cut_short": fetch.cut_short,
        "seconds": round(fetch.seconds, 3),
        "messages": fetch.messages,
        "messages_per_second": (
            round(fetch.messages / fetch.seconds, 1) if fetch.seconds > 0.0 else None
        ),
        "trading_class": chain.trading_class,
        "multiplier": chain.multiplier,
        "underlying": {
            "con_id": underlying.con_id,
            "sec_type": underlying.sec_type,
            "exchange": underlying.exchange,
            "primary_exchange": underlying.primary_exchange,
            "currency": underlying.currency,
            "name": underlying.name,
            "time_zone": underlying.time_zone,
            **{
                name: f"{value}"
                for name in ("ticker", "local_symbol", "expiry", "stock_type")
                if (value := getattr(underlying, name))
            },
        },
        "notes": list(chain.notes),
        "version": __version__,
    }


def _row(row: OptionQuote) -> dict[str, Any]:
    cells: dict[str, Any] = {name: getattr(row, name) for name in ROW_FIELDS}
    cells["expiry"] = row.expiry.isoformat()
    cells["status"] = row.status.value
    cells["quote_source"] = row.quote_source.value if row.quote_source else None
    cells["quoted_at"] = row.quoted_at.isoformat() if row.quoted_at else None
    return cells
