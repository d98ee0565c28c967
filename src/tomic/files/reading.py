"""Reading chains back: our CSV and JSON files, the original's, and others with such columns."""

from __future__ import annotations

import csv
import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from tomic import dates, models, outside, valuation
from tomic._keywords import suggests
from tomic.chain import Chain, Fetch
from tomic.config.market import DEFAULT_INDICES, MarketSettings
from tomic.disk import parse_foreign_json, read_text
from tomic.errors import BadFile, DataError, MissingSpot, UsageError
from tomic.files.writing import SCHEMA
from tomic.models.documents import first_fault

if TYPE_CHECKING:
    import pandas as pd

ABSENT = frozenset({"", "nan", "none", "null"})
"""How a cell without a number is written, in lower case."""

_REQUIRED = ("expiry", "strike", "right")
_ALIASES = {
    "type": "right",
    "optiontype": "right",
    "putcall": "right",
    "callput": "right",
    "expiration": "expiry",
    "expirationdate": "expiry",
    "lastprice": "last",
    "impliedvolatility": "iv",
    "impliedvol": "iv",
    "closemid": "close",
}
_PRICES = ("bid", "ask", "last", "close", "gamma", "vega")
_SIGNED = ("theta", "paritydeviation")
_COUNTS = ("volume", "openinterest", "conid")
_INDICES = frozenset({*DEFAULT_INDICES, "DJX", "OEX", "XEO"})
_ABROAD = frozenset({"FTA", "EUREX"})
_US_MULTIPLIER = 100
_SEC_TYPES: Mapping[str, Literal["STK", "IND", "FUT"]] = {"IND": "IND", "FUT": "FUT"}
_ROUNDING = 1e-6
"""How far beyond its bounds rounding brings a Greek: a delta of -1.000000000000001."""

_NAME = re.compile(
    r"(?:^|_)(?:(?P<symbol>[A-Z0-9]{1,12}(?:[. ][A-Z0-9]{1,4})?(?:@[A-Z][A-Z0-9.]{1,14})?)_)?"
    r"(?P<day>\d{8})(?!\d)"
    r"(?:_(?P<time>\d{4}(?:\d\d)?)(?P<zone>[A-Za-z]{1,4})?(?:_(?P<micros>\d{6}))?(?!\w))?",
    re.ASCII,
)
# Zones are not part of the original's names, and its author lives in the Netherlands.
_HOME = "Europe/Amsterdam"
_ZONES = {
    "utc": "UTC",
    "gmt": "UTC",
    "z": "UTC",
    "est": "America/New_York",
    "edt": "America/New_York",
    "et": "America/New_York",
    "cet": _HOME,
    "cest": _HOME,
}

Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FileName:
    """What the name of a chain file says; None where it says nothing."""

    symbol: str | None = None
    day: dt.date | None = None
    moment: dt.datetime | None = None
    """Aware."""


def parse_file_name(name: str) -> FileName:
    """
    Read symbol and time from names such as ``option_chain_SPY_20250519_202601_000000.csv``.

    A zone may follow the time (``_2026utc``), else it is Amsterdam's, where the original wrote
    its files; a name without time, or with an unknown zone, gives only the day.
    """
    stem = name.rpartition("/")[2].rpartition("\\")[2]
    match = _NAME.search(stem.rpartition(".")[0] or stem)
    if match is None:
        return FileName()
    symbol = match["symbol"] and match["symbol"].replace(" ", ".")
    try:
        day = dt.datetime.strptime(match["day"], "%Y%m%d").date()
    except ValueError:
        return FileName(symbol)
    zone = _ZONES.get((match["zone"] or "cet").lower())
    if match["time"] is None or zone is None:
        return FileName(symbol, day)
    text = match["time"].ljust(6, "0") + (match["micros"] or "").ljust(6, "0")
    try:
        clock = dt.datetime.strptime(text, "%H%M%S%f").time()
    except ValueError:
        return FileName(symbol, day)
    return FileName(symbol, day, dt.datetime.combine(day, clock, ZoneInfo(zone)))


def with_zone(moment: dt.datetime) -> tuple[dt.datetime, tuple[str, ...]]:
    """
    Return an aware *moment*, and a note when its zone had to be assumed: this computer's.

    Raises:
        UsageError: There is no such time on this computer.
    """
    if moment.tzinfo is not None:
        return moment, ()
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError) as exc:
        raise UsageError(f"{moment} is not a time that this computer knows: {exc}") from exc
    return local, (f"{moment} has no time zone; taken as this computer's, {local}",)


@suggests
def load_chain(
    path: Path | str | pd.DataFrame,
    *,
    symbol: str | None = None,
    as_of: dt.datetime | None = None,
    spot: float | None = None,
    rate: float | None = None,
) -> Chain:
    """
    Read a chain from a CSV file or a JSON document.

    Our own files say everything themselves. Others are the original program's CSV files and
    those with columns named alike (expiry, strike, right or type, bid, ask, implied_volatility,
    ...). Of these the symbol and the time come from the arguments or the file's name (a time
    without zone is Amsterdam's, a name with only a day means that day's close), and the spot is
    drawn from put-call parity: ``spot.source`` is then ``parity``, and ``div_yield`` the yield
    that leads to the forwards. IV and Greeks that such a file lacks are computed from its quotes
    and marked ``local``. The last row of a repeated contract wins; blanks and negative prices
    are missing.

    Args:
        path: The file; or a DataFrame, as `Chain.from_frame` takes it.
        symbol: Which symbol, when the file and its name do not say, or the file holds several.
        as_of: Goes before what the file says. Without a zone it is this computer's time, which
            a note of the chain then says.
        spot: Currency per share; goes before what the file says, as ``close``.
        rate: Fraction per year; goes before what the file says. Default: ``market.rate`` of the
            settings.

    Raises:
        BadFile: Missing, unreadable, or not a chain; also when no symbol or time is known.
        InvalidSymbol: *symbol* is not one.
        MissingSpot: No spot in the file, none given, and no pair to draw it from.
        UsageError: *as_of* is not a time, or *path* not one path.
    """
    if not isinstance(path, str | Path):
        if hasattr(path, "columns"):
            return Chain.from_frame(path, symbol=symbol, as_of=as_of, spot=spot, rate=rate)
        raise UsageError(f"load_chain reads one file, got {path!r}; read several one by one")
    if as_of is not None and not isinstance(as_of, dt.datetime):
        raise UsageError(f"as_of needs a datetime, got {as_of!r}")
    chain, is_ours = _read(Path(path), symbol, as_of, spot, rate)
    return complete(Path(path), chain, is_ours=is_ours)


def complete(path: Path, chain: Chain, *, is_ours: bool) -> Chain:
    """
    The chain with what it lacks of volatilities and Greeks, unless we wrote it ourselves.

    Raises:
        MissingSpot: It has none, and no pair to draw it from.
    """
    if not math.isfinite(chain.spot.price):
        raise MissingSpot(f"{path} has no spot and no quoted pair to draw it from; pass the spot")
    return chain if is_ours else valuation.with_local_greeks(valuation.label_frozen(chain))


def read_chain(path: Path, *, symbol: str | None = None, as_of: dt.datetime | None = None) -> Chain:
    """
    As `load_chain`, but only the spot is computed; it is NaN where nothing implies it.

    Raises:
        BadFile: Missing, unreadable, or not a chain; also when no symbol or time is known.
        InvalidSymbol: *symbol* is not one.
    """
    return _read(path, symbol, as_of)[0]


def _read(
    path: Path,
    symbol: str | None,
    as_of: dt.datetime | None,
    spot: float | None = None,
    rate: float | None = None,
) -> tuple[Chain, bool]:
    """The chain with its spot, and whether we wrote the file."""
    return chain_of_text(
        path, read_chain_text(path), symbol=symbol, as_of=as_of, spot=spot, rate=rate
    )


def chain_of_text(
    path: Path,
    text: str,
    *,
    symbol: str | None = None,
    as_of: dt.datetime | None = None,
    spot: float | None = None,
    rate: float | None = None,
) -> tuple[Chain, bool]:
    """
    The chain in *text* with its spot, NaN where nothing implies it, and whether we wrote it.

    Args:
        path: What messages call it; its name may say symbol and time.
        symbol, as_of, spot, rate: As of `load_chain`.

    Raises:
        BadFile: Not a chain; also when no symbol or time is known.
    """
    moment, notes = (None, ()) if as_of is None else with_zone(as_of)
    asked = FileFacts(
        symbol=models.normalize_symbol(symbol) if symbol is not None else None,
        as_of=moment,
        spot=spot,
        spot_source=models.SpotSource.CLOSE if spot is not None else None,
        rate=rate,
    )
    if text.lstrip()[:1] in ("{", "["):
        chain, is_ours = _from_document(path, text, asked), True
    else:
        chain, is_ours = _from_csv(path, text, asked)
    if notes:
        chain = replace(chain, notes=(*chain.notes, *notes))
    return chain if math.isfinite(chain.spot.price) else _with_parity_spot(chain), is_ours


def read_chain_text(path: Path) -> str:
    """
    The text of a file.

    Raises:
        BadFile: It cannot be read, or is not text.
    """
    try:
        return read_text(path)
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror or type(exc).__name__}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(
            f"{path} is not a text file: byte {exc.start} is not UTF-8; a chain is CSV or JSON"
        ) from exc


def _with_parity_spot(chain: Chain) -> Chain:
    """
    Draw the two nearest parity forwards back to today: ``ln F`` is a line in time.

    With one expiry the growth is its rate, so the yield is 0; without any pair the spot stays
    missing.
    """
    nearest = sorted((tau, forward) for forward, tau in valuation.forwards(chain).values())[:2]
    if not nearest:
        return chain
    (near_tau, near), (far_tau, far) = nearest[0], nearest[-1]
    growth = math.log(far / near) / (far_tau - near_tau) if far_tau > near_tau else chain.rate
    price = near * math.exp(-growth * near_tau)
    spot = chain.spot.model_copy(update={"price": price, "source": models.SpotSource.PARITY})
    return replace(chain, spot=spot, div_yield=chain.rate - growth)


# -- JSON documents ------------------------------------------------------------------------


def _from_document(path: Path, text: str, asked: FileFacts) -> Chain:
    try:
        content = parse_foreign_json(text)
    except ValueError as exc:
        raise BadFile(
            f"{path} is not a {SCHEMA} document: damaged or cut short ({exc}); export it again"
        ) from exc
    try:
        documents = content if isinstance(content, list) else [content]
        return _from_parts(_pick(path, documents, asked.symbol), asked)
    except ValidationError as exc:
        raise BadFile(f"{path} is not a {SCHEMA} document: {first_fault(exc)}") from exc
    except KeyError as exc:
        raise BadFile(f"{path} is not a {SCHEMA} document: {exc.args[0]} is missing") from exc
    except (ValueError, TypeError, AttributeError, OverflowError) as exc:
        raise BadFile(f"{path} is not a {SCHEMA} document: {exc}") from exc


def _from_parts(document: dict[str, Any], asked: FileFacts) -> Chain:
    meta = document["meta"]
    moment = asked.as_of or dt.datetime.fromisoformat(meta["as_of"])
    price = asked.spot if asked.spot is not None else meta["spot"]
    return Chain.from_quotes(
        [models.OptionQuote.model_validate(row) for row in document["rows"]],
        underlying=models.Underlying(symbol=meta["symbol"], **meta["underlying"]),
        spot=models.Spot(
            price=math.nan if price is None else price,
            source=asked.spot_source or meta["spot_source"],
            data_type=meta["data_type"],
            as_of=moment,
        ),
        as_of=moment,
        rate=meta["rate"] if asked.rate is None else asked.rate,
        # Before carries were stated, 0 stood for a yield that nobody knew.
        div_yield=meta["div_yield"] if "carries" in meta else meta["div_yield"] or None,
        carries=_stated(asked, map(models.Carry.model_validate, meta.get("carries", ()))),
        data_type=models.DataType(meta["data_type"]),
        notes=tuple(meta["notes"]),
        fetch=Fetch(
            seconds=meta["seconds"],
            messages=meta["messages"],
            # Older documents said it the other way round, under a name that meant something else.
            cut_short=meta["cut_short"] if "cut_short" in meta else not meta["complete"],
        ),
        multiplier=meta["multiplier"],
        trading_class=meta["trading_class"],
    )


def _stated(asked: FileFacts, carries: Iterable[models.Carry]) -> tuple[models.Carry, ...]:
    """What a file states of its expiries, unless another time, spot or rate was asked for."""
    changed = (asked.as_of, asked.spot, asked.rate) != (None, None, None)
    return () if changed else tuple(carries)


def _pick(path: Path, documents: Sequence[Any], symbol: str | None) -> dict[str, Any]:
    for document in documents:
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise BadFile(f"{path} has schema {schema}; this version reads {SCHEMA}")
    chains: dict[str, dict[str, Any]] = {each["meta"]["symbol"]: each for each in documents}
    if symbol is None and len(chains) == 1:
        return next(iter(chains.values()))
    if symbol in chains:
        return chains[symbol]
    listed = ", ".join(chains) or "no chain"
    raise BadFile(f"{path} holds {listed}" + (f", not {symbol}" if symbol else "; pass a symbol"))


# -- CSV files -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What is known about a whole file; None where nobody said."""

    symbol: str | None = None
    as_of: dt.datetime | None = None
    spot: float | None = None
    spot_source: models.SpotSource | None = None
    data_type: models.DataType | None = None
    rate: float | None = None
    div_yield: float | None = None
    sec_type: Literal["STK", "IND", "FUT"] | None = None
    stock_type: str | None = None
    con_id: int | None = None
    currency: str | None = None
    time_zone: str | None = None
    trading_class: str | None = None
    multiplier: int | None = None

    def otherwise(self, other: FileFacts) -> FileFacts:
        """Return these facts, and those of *other* where they say nothing."""
        mine = {name: value for name, value in asdict(self).items() if value is not None}
        return FileFacts(**{**asdict(other), **mine})


def _from_csv(path: Path, text: str, asked: FileFacts) -> tuple[Chain, bool]:
    stated, quotes, carries = _read_rows(path, text)
    if asked.symbol and stated.symbol and asked.symbol != stated.symbol:
        raise BadFile(f"{path} holds {stated.symbol}, not {asked.symbol}")
    named = parse_file_name(path.name)
    facts = asked.otherwise(stated).otherwise(FileFacts(symbol=named.symbol))
    underlying = _underlying(path, facts)
    as_of = facts.as_of or _named_moment(path, named, underlying)
    chain = Chain.from_quotes(
        quotes,
        underlying=underlying,
        spot=models.Spot(
            price=math.nan if facts.spot is None else facts.spot,
            source=facts.spot_source or models.SpotSource.CLOSE,
            data_type=facts.data_type or models.DataType.LIVE,
            as_of=as_of,
        ),
        as_of=as_of,
        rate=MarketSettings().rate if facts.rate is None else facts.rate,
        # Before carries were stated, 0 stood for a yield that nobody knew.
        div_yield=facts.div_yield if carries else facts.div_yield or None,
        carries=_stated(asked, carries),
        multiplier=_multiplier(path, underlying, facts),
        trading_class=facts.trading_class or "",
    )
    return chain, stated.data_type is not None


def _underlying(path: Path, facts: FileFacts) -> models.Underlying:
    if facts.symbol is None:
        raise BadFile(f"{path} does not say whose chain it is; pass its symbol")
    return models.Underlying(
        symbol=facts.symbol,
        con_id=0 if facts.con_id is None else facts.con_id,
        sec_type=facts.sec_type or ("IND" if facts.symbol in _INDICES else "STK"),
        stock_type=facts.stock_type or "",
        currency=facts.currency or _american(path, facts, "Currency", "USD"),
        time_zone=facts.time_zone or _american(path, facts, "TimeZone", "America/New_York"),
    )


def _american(path: Path, facts: FileFacts, column: str, value: str) -> str:
    """What holds for every American symbol, in files that say nothing; elsewhere they must."""
    if facts.symbol is not None and _is_abroad(facts.symbol):
        raise BadFile(
            f"{path} does not say the {column} of {facts.symbol}, which does not trade in New "
            f"York; add a column {column}"
        )
    return value


def _is_abroad(symbol: str) -> bool:
    return "@" in symbol or DEFAULT_INDICES.get(symbol, "").rpartition("@")[2] in _ABROAD


def _multiplier(path: Path, underlying: models.Underlying, facts: FileFacts) -> int:
    """What the file says, else the American 100; a file of another market must say it."""
    if facts.multiplier is not None:
        return facts.multiplier
    if underlying.currency == "USD" and not _is_abroad(underlying.symbol):
        return _US_MULTIPLIER
    raise BadFile(
        f"{path} does not say the Multiplier of {underlying.symbol}, which does not trade in New "
        "York; add a column Multiplier"
    )


def _named_moment(path: Path, named: FileName, underlying: models.Underlying) -> dt.datetime:
    if named.moment is not None:
        return named.moment
    if named.day is not None:
        return dates.closing_moment(named.day, underlying=underlying)
    raise BadFile(f"{path} does not say when it was recorded; pass the time as as_of (--as-of)")


def _read_rows(
    path: Path, text: str
) -> tuple[FileFacts, list[models.OptionQuote], list[models.Carry]]:
    """
    Read a CSV text into what it says of itself, of its options and of its expiries.

    The last row of a repeated option wins.

    Column names may be written ``OpenInterest`` or ``open_interest``; unknown ones are ignored.
    Blanks, negative prices and impossible Greeks are missing.

    Raises:
        BadFile: No option chain, or a row that cannot be read; *path* is for the message.
    """
    stated: FileFacts | None = None
    quotes: dict[tuple[dt.date, float, str], models.OptionQuote] = {}
    carries: dict[dt.date, models.Carry] = {}
    for line, cells in _lines(path, text):
        try:
            if stated is None:
                stated = _facts(cells)
            quote = _quote(cells)
            if quote.expiry not in carries and (carry := _carry(cells, quote.expiry)):
                carries[quote.expiry] = carry
        except ValidationError as exc:
            raise BadFile(f"{path} line {line}: {first_fault(exc)}") from exc
        except (DataError, ValueError) as exc:
            raise BadFile(f"{path} line {line}: {exc}") from exc
        quotes[quote.expiry, quote.strike, quote.right] = quote
    if stated is None:
        raise BadFile(f"{path} holds no options")
    return stated, list(quotes.values()), list(carries.values())


def table_rows(where: Path | str, text: str) -> Iterator[tuple[int, list[str]]]:
    """
    Yield the header, its names as `column_name` spells them, then every row, with line numbers.

    Raises:
        BadFile: Not CSV, or without the columns of a chain; *where* begins the message.
    """
    reader = csv.reader(outside.table_lines(text, newline=""), strict=True)
    try:
        header = [column_name(name) for name in next(reader, [])]
        missing = [name for name in _REQUIRED if name not in header]
        if missing:
            raise BadFile(f"{where} is not an option chain: no column {' or '.join(missing)}")
        yield reader.line_num, header
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as exc:
        raise BadFile(f"{where} line {reader.line_num} is not CSV: {exc}") from exc


def column_name(name: str) -> str:
    """One spelling for ``OpenInterest``, ``open_interest`` and the other names of a column."""
    plain = re.sub(r"[\s_]", "", name).lower()
    return _ALIASES.get(plain, plain)


def _lines(path: Path, text: str) -> Iterator[tuple[int, Cells]]:
    rows = table_rows(path, text)
    _, header = next(rows)
    for line, row in rows:
        if len(row) != len(header):
            raise BadFile(
                f"{path} line {line} has {len(row)} cells where the header has "
                f"{len(header)}; the file is damaged or cut short"
            )
        yield line, dict(zip(header, row, strict=True))


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
        spot_source=models.SpotSource(spot_source) if spot_source else None,
        data_type=models.DataType(data_type) if data_type else None,
        rate=_number(cells, "rate"),
        div_yield=_number(cells, "divyield"),
        sec_type=_SEC_TYPES.get(sec_type or "", "STK") if sec_type else None,
        stock_type=_text(cells, "stocktype"),
        con_id=int(con_id) if con_id is not None else None,
        currency=_text(cells, "currency"),
        time_zone=_text(cells, "timezone"),
        trading_class=_text(cells, "tradingclass"),
        multiplier=int(multiplier) if multiplier is not None else None,
    )


def _quote(cells: Cells) -> models.OptionQuote:
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
    return models.OptionQuote(
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


def _carry(cells: Cells, expiry: dt.date) -> models.Carry | None:
    """What one of our own files states of an expiry; None in any other."""
    if not _text(cells, "ratesource"):
        return None
    fields: dict[str, Any] = {
        "forward": _number(cells, "forward"),
        "forward_source": _text(cells, "forwardsource"),
        "forward_error": _number(cells, "forwarderror"),
        "pairs": _number(cells, "pairs"),
        "rate": _number(cells, "impliedrate"),
        "rate_source": _text(cells, "ratesource"),
        "rate_error": _number(cells, "rateerror"),
        "discount": _number(cells, "discount"),
    }
    return models.Carry(expiry=expiry, **fields)


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
            "status": models.RowStatus(cells["status"]),
            "quote_source": models.QuoteSource(source) if source else None,
            "greeks_source": _text(cells, "greekssource") or "none",
        }
    greeks = all(numbers[name] is not None for name in ("iv", "delta", "gamma", "vega", "theta"))
    if numbers["bid"] is None or numbers["ask"] is None:
        status = models.RowStatus.NO_QUOTE
    else:
        status = models.RowStatus.OK if greeks else models.RowStatus.NO_GREEKS
    return {
        "status": status,
        "quote_source": models.QuoteSource.REPLAY,
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
    if text.lower() in ABSENT:
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
