"""Reading chains back: our CSV and JSON files, the original's, and other recorded ones."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tomic import dates, recorded
from tomic.bounded import parse_json, read_text
from tomic.chain import Chain, Fetch
from tomic.config.market import DEFAULT_INDICES, MarketSettings
from tomic.errors import BadFile, MissingSpot, UsageError
from tomic.export.document import SCHEMA
from tomic.export.rows import FileFacts, read_rows
from tomic.models import DataType, OptionQuote, Spot, SpotSource, Underlying, normalize_symbol
from tomic.models.documents import first_fault
from tomic.valuation import label_frozen


def load_chain(
    path: Path | str,
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
    that leads to the forwards. The last row of a repeated contract wins; blanks and negative
    prices are missing.

    Args:
        path: The file.
        symbol: Which symbol, when the file and its name do not say, or the file holds several.
        as_of: Aware; goes before what the file says.
        spot: Currency per share; goes before what the file says, as ``close``.
        rate: Fraction per year; goes before what the file says. Nobody said: the settings'
            default.

    Raises:
        BadFile: Missing, unreadable, or not a chain; also when no symbol or time is known.
        InvalidSymbol: *symbol* is not one.
        MissingSpot: No spot in the file, none given, and no pair to draw it from.
        UsageError: *as_of* is no time with a zone, or *path* not one path.
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"load_chain reads one file, got {path!r}; read several one by one")
    if as_of is not None and not isinstance(as_of, dt.datetime):
        raise UsageError(f"as_of needs a datetime with a time zone, got {as_of!r}")
    if as_of is not None and as_of.tzinfo is None:
        raise UsageError(f"as_of needs a time zone, got {as_of.isoformat()}; add one as in +00:00")
    path = Path(path)
    asked = FileFacts(
        symbol=normalize_symbol(symbol) if symbol is not None else None,
        as_of=as_of,
        spot=spot,
        spot_source=SpotSource.CLOSE if spot is not None else None,
        rate=rate,
    )
    text = _read(path)
    if text.lstrip()[:1] in ("{", "["):
        return _from_document(path, text, asked)
    return _from_csv(path, text, asked)


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror or type(exc).__name__}") from exc
    except UnicodeDecodeError as exc:
        raise BadFile(f"{path} is not a text file: byte {exc.start} is not UTF-8") from exc


def _from_csv(path: Path, text: str, asked: FileFacts) -> Chain:
    stated, quotes = read_rows(path, text)
    if asked.symbol and stated.symbol and asked.symbol != stated.symbol:
        raise BadFile(f"{path} holds {stated.symbol}, not {asked.symbol}")
    named = recorded.parse_file_name(path.name)
    facts = asked.otherwise(stated).otherwise(FileFacts(symbol=named.symbol))
    underlying = _underlying(path, facts)
    as_of = facts.as_of or _named_moment(path, named, underlying)
    chain = Chain.from_quotes(
        quotes,
        underlying=underlying,
        spot=Spot(
            price=math.nan if facts.spot is None else facts.spot,
            source=facts.spot_source or SpotSource.PARITY,
            data_type=facts.data_type or DataType.LIVE,
            as_of=as_of,
        ),
        as_of=as_of,
        rate=MarketSettings().rate if facts.rate is None else facts.rate,
        div_yield=0.0 if facts.div_yield is None else facts.div_yield,
        multiplier=100 if facts.multiplier is None else facts.multiplier,
        trading_class=facts.trading_class or "",
    )
    if facts.data_type is None:
        chain = label_frozen(chain)
    return _with_parity_spot(path, chain) if facts.spot is None else chain


def _underlying(path: Path, facts: FileFacts) -> Underlying:
    if facts.symbol is None:
        raise BadFile(f"{path} does not say whose chain it is; pass its symbol")
    return Underlying(
        symbol=facts.symbol,
        con_id=0 if facts.con_id is None else facts.con_id,
        sec_type=facts.sec_type or ("IND" if facts.symbol in DEFAULT_INDICES else "STK"),
        currency=facts.currency or "USD",
        time_zone=facts.time_zone or "America/New_York",
    )


def _named_moment(path: Path, named: recorded.FileName, underlying: Underlying) -> dt.datetime:
    if named.moment is not None:
        return named.moment
    if named.day is not None:
        return dates.expiry_moment(named.day, underlying=underlying)
    raise BadFile(f"{path} does not say when it was recorded; pass the time, as in --as-of")


def _with_parity_spot(path: Path, chain: Chain) -> Chain:
    found = recorded.parity_spot(
        chain["tau"], chain["strike"], chain.is_call, chain.mid, chain.rate
    )
    if found is None:
        raise MissingSpot(f"{path} has no spot and no quoted pair to draw it from; pass the spot")
    known = {"price": found.spot, "data_type": chain.data_type}
    spot = chain.spot.model_copy(update=known)
    return replace(chain, spot=spot, div_yield=found.div_yield)


def _from_document(path: Path, text: str, asked: FileFacts) -> Chain:
    try:
        whole = parse_json(text)
        documents = whole if isinstance(whole, list) else [whole]
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
        [OptionQuote.model_validate(row) for row in document["rows"]],
        underlying=Underlying(symbol=meta["symbol"], **meta["underlying"]),
        spot=Spot(
            price=math.nan if price is None else price,
            source=asked.spot_source or meta["spot_source"],
            data_type=meta["data_type"],
            as_of=moment,
        ),
        as_of=moment,
        rate=meta["rate"] if asked.rate is None else asked.rate,
        div_yield=meta["div_yield"],
        data_type=DataType(meta["data_type"]),
        notes=tuple(meta["notes"]),
        fetch=Fetch(seconds=meta["seconds"], messages=meta["messages"], complete=meta["complete"]),
        multiplier=meta["multiplier"],
        trading_class=meta["trading_class"],
    )


def _pick(path: Path, documents: Sequence[Any], symbol: str | None) -> dict[str, Any]:
    for document in documents:
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise BadFile(f"{path} has schema {schema}; this version reads {SCHEMA}")
    held: dict[str, dict[str, Any]] = {one["meta"]["symbol"]: one for one in documents}
    if symbol is None and len(held) == 1:
        return next(iter(held.values()))
    if symbol in held:
        return held[symbol]
    listed = ", ".join(held) or "no chain"
    raise BadFile(f"{path} holds {listed}" + (f", not {symbol}" if symbol else "; pass a symbol"))
