"""
Tables of option quotes of many days, as data sellers write them, read as chains by column mapping.

Known are the columns of historicaloptiondata.com and its kin (``underlying``, ``underlying_last``,
``optionroot``, ``type``, ``expiration``, ``quotedate``, ``strike``, ``bid``, ``ask``, ...); a file
may be a CSV, gzipped, or several in a tar archive.
"""

from __future__ import annotations

import csv
import datetime as dt
import functools
import io
import lzma
import math
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tomic import dates, disk, models, outside, valuation
from tomic.chain import Chain
from tomic.errors import BadFile, TomicError
from tomic.files.reading import ABSENT, load_chain

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "symbol": ("underlying", "underlyingsymbol", "symbol"),
    "spot": ("underlyinglast", "underlyingprice", "spot"),
    "name": ("optionroot", "optionsymbol", "contractsymbol"),
    "right": ("type", "right", "optiontype"),
    "expiry": ("expiration", "expiry", "expirationdate"),
    "day": ("quotedate", "date", "datadate"),
    "strike": ("strike", "strikeprice"),
    "bid": ("bid",),
    "ask": ("ask",),
    "volume": ("volume",),
    "open_interest": ("openinterest",),
}
"""What is needed, and the names of columns that mean it, without case and underscores."""
OPTIONAL = frozenset({"name", "volume", "open_interest"})
MOST = 200_000_000
"""Bytes of a table, unpacked; a month of all options of an index has half of that."""
_MOST_IN_ALL = 2_000_000_000
"""Bytes of all tables of an archive."""
SUFFIXES = (".csv", ".csv.gz", ".tar.xz", ".tar.gz", ".tar", ".json")
_CLASS = re.compile(r"([A-Z.]+)\d{6}[CP]")
_FORMS = ("%m/%d/%Y", "%Y-%m-%d", "%Y%m%d")


class DayTable(NamedTuple):
    """The chains of one day, of any symbols and trading classes."""

    day: dt.date
    chains: tuple[Chain, ...]


class _Key(NamedTuple):
    day: dt.date
    symbol: str
    trading_class: str


def read_days(
    paths: Sequence[Path], *, rate: Mapping[int, float], symbols: Sequence[str] = ()
) -> Iterator[DayTable]:
    """
    The chains of *paths* day by day, ascending; own exports and tables of sellers alike.

    Of several own exports of a symbol and day the last counts.

    Args:
        paths: Files, or folders of them.
        rate: Interest by calendar year, fraction a year, for expiries that imply none.
        symbols: Only these; all where empty.

    Raises:
        BadFile: A file cannot be read, or is neither a chain nor such a table.
    """
    chains: dict[_Key, Chain] = {}
    for path in _files(paths):
        for chain in _chains(path, rate):
            day = dates.local_date(chain.as_of, chain.underlying.time_zone)
            if not symbols or chain.symbol in symbols:
                chains[_Key(day, chain.symbol, chain.trading_class)] = chain
    for day in sorted({key.day for key in chains}):
        own = [chain for key, chain in sorted(chains.items()) if key.day == day]
        yield DayTable(day, tuple(own))


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        try:
            inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        except OSError as exc:
            raise BadFile(f"{path}: {(exc.strerror or str(exc)).lower()}") from exc
        known = [each for each in inside if each.name.endswith(SUFFIXES)]
        if not known:
            raise BadFile(f"{path}: no file of {', '.join(SUFFIXES)} there")
        found += known
    return found


def _chains(path: Path, rate: Mapping[int, float]) -> list[Chain]:
    """Own export or table of a seller, whichever it is."""
    try:
        for text in _texts(path):
            return _of_tables(path, _texts(path), rate) if _is_table(text) else [load_chain(path)]
    except (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError) as exc:
        raise BadFile(f"{path}: {str(exc).lower() or type(exc).__name__}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path}: no text in UTF-8") from exc
    except csv.Error as exc:
        raise BadFile(f"{path}: no CSV ({exc})") from exc
    raise BadFile(f"{path}: nothing in it")


def _texts(path: Path) -> Iterator[str]:
    """The text of a file, or of each member of an archive in the order of names."""
    content = disk.read_bytes(path, MOST)
    if ".tar" in path.suffixes:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in sorted(_members(path, archive), key=lambda each: each.name):
                inside = archive.extractfile(member)
                if inside is not None:
                    yield inside.read().decode("utf-8-sig")
    elif path.suffix == ".gz":
        yield disk.unzipped(path, content, MOST).decode("utf-8-sig")
    else:
        yield content.decode("utf-8-sig")


def _members(path: Path, archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Files of an archive; the sizes that it tells are judged before anything is unpacked."""
    whole = 0
    # A hole in a file takes no room in the archive.
    for member in archive:
        if member.size > MOST or member.issparse():
            raise BadFile(f"{path}: {member.name} is longer than {MOST / 1e6:g} MB")
        whole += member.size
        if whole > _MOST_IN_ALL:
            raise BadFile(f"{path}: unpacks to more than {_MOST_IN_ALL / 1e9:g} GB")
        if member.isfile():
            yield member


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace(" ", "")


def _places(header: Sequence[str]) -> dict[str, int]:
    plain = [_plain(name) for name in header]
    return {
        what: plain.index(next(name for name in names if name in plain))
        for what, names in COLUMNS.items()
        if any(name in plain for name in names)
    }


def _is_table(text: str) -> bool:
    """Whether the first line has the columns of a table of many days."""
    header = next(csv.reader(io.StringIO(text[:4096])), [])
    return {"symbol", "day", "spot", "expiry", "strike"} <= _places(header).keys()


class _Line(NamedTuple):
    spot: float
    quote: models.OptionQuote


def _of_tables(path: Path, texts: Iterator[str], rate: Mapping[int, float]) -> list[Chain]:
    rows: dict[_Key, dict[tuple[dt.date, float, str], _Line]] = {}
    for text in texts:
        reader = csv.reader(outside.table_lines(text), skipinitialspace=True)
        places = _places(next(reader))
        lacking = COLUMNS.keys() - places.keys() - OPTIONAL
        if lacking:
            raise BadFile(f"{path}: no column for {', '.join(sorted(lacking))}")
        for cells in reader:
            if any(cells):
                key, row = _row(f"{path}:{reader.line_num}", cells, places)
                quote = row.quote
                # Of a repeated option the last row counts, as in chains.
                rows.setdefault(key, {})[quote.expiry, quote.strike, quote.right] = row
    return [_chain(path, key, list(found.values()), rate) for key, found in sorted(rows.items())]


def _row(where: str, cells: Sequence[str], places: Mapping[str, int]) -> tuple[_Key, _Line]:
    try:
        told = {what: cells[place].strip() for what, place in places.items()}
        bid, ask = _number(told["bid"]), _number(told["ask"])
        listed = _CLASS.match(told.get("name", ""))
        own = told["symbol"].upper()
        trading_class = listed[1] if listed else own
        terms = models.INDEX_CLASSES.get(trading_class) or models.INDEX_CLASSES.get(own)
        day, expiry = _day(told["day"]), _day(told["expiry"])
        quote = models.OptionQuote(
            expiry=expiry,
            dte=max((expiry - day).days, 0),
            strike=float(told["strike"]),
            right="C" if told["right"].upper().startswith("C") else "P",
            bid=bid if bid is not None and bid >= 0.0 else None,
            ask=ask if ask is not None and ask > 0.0 else None,
            volume=_count(told.get("volume")),
            open_interest=_count(told.get("open_interest")),
            status=models.RowStatus.OK,
        )
        spot = float(told["spot"])
        key = _Key(day, terms.symbol if terms else own, trading_class)
    except (ValueError, IndexError) as exc:
        raise BadFile(f"{where}: no quote of an option ({exc!s:.80})") from exc
    if not 0.0 < spot < math.inf:
        raise BadFile(f"{where}: a price of the underlying of {spot:g}")
    return key, _Line(spot, quote)


def _chain(path: Path, key: _Key, rows: Sequence[_Line], rate: Mapping[int, float]) -> Chain:
    is_index = key.symbol in {terms.symbol for terms in models.INDEX_CLASSES.values()}
    underlying = models.Underlying(
        symbol=key.symbol, con_id=0, sec_type="IND" if is_index else "STK"
    )
    try:
        as_of = dates.closing_moment(key.day, underlying=underlying)
        year = min(rate, key=lambda each: abs(each - key.day.year))
        chain = Chain.from_quotes(
            [row.quote for row in rows],
            underlying=underlying,
            spot=models.Spot(
                price=rows[-1].spot,
                source=models.SpotSource.CLOSE,
                data_type=models.DataType.LIVE,
                as_of=as_of,
            ),
            as_of=as_of,
            rate=rate[year],
            trading_class=key.trading_class,
        )
        return valuation.with_local_greeks(chain)
    except (ValueError, TomicError) as exc:
        raise BadFile(f"{path}: the chain of {key.symbol} on {key.day}: {exc}") from exc


@functools.lru_cache(maxsize=1024)
def _day(text: str) -> dt.date:
    """A day in one of the known forms; thousands of options share it, and `strptime` is slow."""
    for form in _FORMS:
        try:
            return dt.datetime.strptime(text[:10], form).date()
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no date")


def _number(text: str) -> float | None:
    return None if text.lower() in ABSENT else float(text)


def _count(text: str | None) -> int | None:
    value = _number(text) if text is not None else None
    return None if value is None or value < 0.0 else int(value)
