"""The rows of a chain's CSV file, whoever wrote it, as option quotes."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from tomic import dates
from tomic.errors import BadFile, DataError
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus, SpotSource
from tomic.models.documents import first_fault

_ALIASES = {"type": "right", "impliedvolatility": "iv", "closemid": "close"}
_REQUIRED = ("expiry", "strike", "right")
_PRICES = ("bid", "ask", "last", "close", "gamma", "vega")
_SIGNED = ("theta", "paritydeviation")
_ROUNDING = 1e-6
"""How far beyond its bounds rounding brings a Greek: a delta of -1.000000000000001."""
_COUNTS = ("volume", "openinterest", "conid")
_ABSENT = frozenset({"", "nan", "none", "null"})

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is known about a whole file; None where nobody said."""

    symbol: str | None = None
    as_of: dt.datetime | None = None
    spot: float | None = None
    spot_source: SpotSource | None = None
    data_type: DataType | None = None
    rate: float | None = None
    div_yield: float | None = None
    sec_type: Literal["STK", "IND"] | None = None
    con_id: int | None = None
    currency: str | None = None
    time_zone: str | None = None
    trading_class: str | None = None
    multiplier: int | None = None

    def otherwise(self, other: FileFacts) -> FileFacts:
        """Return these facts, and those of *other* where they say nothing."""
        mine = {name: value for name, value in asdict(self).items() if value is not None}
        return FileFacts(**{**asdict(other), **mine})


def read_rows(path: Path, text: str) -> tuple[FileFacts, list[OptionQuote]]:
    """
    Read a CSV text into what it says of itself and its options; the last of a repeated one wins.

    Column names may be written ``OpenInterest`` or ``open_interest``; unknown ones are ignored.
    Blanks, negative prices and impossible Greeks are missing.

    Raises:
        BadFile: No option chain, or a row that cannot be read; *path* is for the message.
    """
    stated: FileFacts | None = None
    quotes: dict[tuple[dt.date, float, str], OptionQuote] = {}
    for line, cells in _lines(path, text):
        try:
            if stated is None:
                stated = _facts(cells)
            quote = _quote(cells)
        except ValidationError as exc:
            raise BadFile(f"{path} line {line}: {first_fault(exc)}") from exc
        except (DataError, ValueError) as exc:
            raise BadFile(f"{path} line {line}: {exc}") from exc
        quotes[quote.expiry, quote.strike, quote.right] = quote
    if stated is None:
        raise BadFile(f"{path} holds no options")
    return stated, list(quotes.values())


def _lines(path: Path, text: str) -> Iterator[tuple[int, Cells]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [_canonical(name) for name in next(reader, [])]
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise BadFile(f"{path} is not an option chain: no column {' or '.join(missing)}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise BadFile(
                    f"{path} line {reader.line_num} has {len(row)} cells where the header has "
                    f"{len(header)}; the file is damaged or cut short"
                )
            yield reader.line_num, dict(zip(header, row, strict=True))
    except csv.Error as exc:
        raise BadFile(f"{path} line {reader.line_num} is not CSV: {exc}") from exc


def _canonical(name: str) -> str:
    plain = re.sub(r"[\s_]", "", name).lower()
    return _ALIASES.get(plain, plain)


def _facts(cells: Cells) -> FileFacts:
    """Read the columns that are the same in every row of our own files."""
    as_of, con_id = _text(cells, "asof"), _number(cells, "underlyingconid")
    multiplier = _number(cells, "multiplier")
    spot_source, data_type = _text(cells, "spotsource"), _text(cells, "datatype")
    sec_type = _text(cells, "sectype")
    return FileFacts(
        symbol=_text(cells, "symbol"),
        as_of=_moment(as_of) if as_of else None,
        spot=_number(cells, "spot"),
        spot_source=SpotSource(spot_source) if spot_source else None,
        data_type=DataType(data_type) if data_type else None,
        rate=_number(cells, "rate"),
        div_yield=_number(cells, "divyield"),
        sec_type="IND" if sec_type == "IND" else "STK" if sec_type else None,
        con_id=int(con_id) if con_id is not None else None,
        currency=_text(cells, "currency"),
        time_zone=_text(cells, "timezone"),
        trading_class=_text(cells, "tradingclass"),
        multiplier=int(multiplier) if multiplier is not None else None,
    )


def _quote(cells: Cells) -> OptionQuote:
    expiry = dates.parse_expiry(cells["expiry"])
    strike = _number(cells, "strike")
    right = cells["right"].strip().upper()
    if right not in ("C", "P", "CALL", "PUT"):
        raise ValueError(f"type {cells['right']!r} is neither C nor P")
    if strike is None or strike <= 0.0:
        raise ValueError(f"strike {cells['strike']!r} is not a price")
    numbers: dict[str, Any] = {name: _not_negative(cells, name) for name in _PRICES}
    numbers |= {name: _number(cells, name) for name in _SIGNED}
    counts = {name: _count(cells, name) for name in _COUNTS}
    numbers["iv"] = _not_negative(cells, "iv") or None
    numbers["delta"] = _delta(cells)
    quoted_at = _text(cells, "quotedat")
    return OptionQuote(
        expiry=expiry,
        dte=0,  # counted from the time of the whole chain, when that is known
        strike=strike,
        right="C" if right[0] == "C" else "P",
        parity_deviation=numbers.pop("paritydeviation"),
        volume=counts["volume"],
        open_interest=counts["openinterest"],
        con_id=counts["conid"],
        quoted_at=_moment(quoted_at) if quoted_at else None,
        **numbers,
        **_labels(cells, numbers),
    )


def _delta(cells: Cells) -> float | None:
    """Delta; IB computes -1.000000000000001 deep in the money, and what is further off is none."""
    delta = _number(cells, "delta")
    if delta is None or abs(delta) > 1.0 + _ROUNDING:
        return None
    return max(-1.0, min(delta, 1.0))


def _labels(cells: Cells, numbers: Mapping[str, float | None]) -> dict[str, Any]:
    """Status and sources: as written, or read off the numbers of a file that has none."""
    # Some exports of the original program have a Status column too, with words of its own.
    if "greekssource" in cells:
        source = _text(cells, "quotesource")
        return {
            "status": RowStatus(cells["status"]),
            "quote_source": QuoteSource(source) if source else None,
            "greeks_source": _text(cells, "greekssource") or "none",
        }
    greeks = all(numbers[name] is not None for name in ("iv", "delta", "gamma", "vega", "theta"))
    if numbers["bid"] is None or numbers["ask"] is None:
        status = RowStatus.NO_QUOTE
    else:
        status = RowStatus.OK if greeks else RowStatus.NO_GREEKS
    return {
        "status": status,
        "quote_source": QuoteSource.REPLAY,
        "greeks_source": "ib" if greeks else "none",
    }


def _moment(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return moment


def _text(cells: Cells, name: str) -> str | None:
    return cells.get(name, "").strip() or None


def _number(cells: Cells, name: str) -> float | None:
    text = cells.get(name, "").strip()
    if text.lower() in _ABSENT:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is not a number") from None
    return value if math.isfinite(value) else None


def _not_negative(cells: Cells, name: str) -> float | None:
    """What cannot be below zero; a hair below it, as IB's gammas far in the money are, is zero."""
    value = _number(cells, name)
    return max(value, 0.0) if value is not None and value >= -_ROUNDING else None


def _count(cells: Cells, name: str) -> int | None:
    value = _not_negative(cells, name)
    # Beyond 2**53 a float no longer counts, and beyond 2**63 no column holds it.
    return None if value is None or value > 2.0**53 else int(value)
