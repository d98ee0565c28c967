"""
The original program's ``journal.json``: entries in, and out again with every field they came with.

Its figures keep their meaning: premiums are currency per share of one structure, volatilities and
ranks were percentages, Greeks count the multiplier except for delta. Its typed results stand beside
what the prices say; where both are known, the prices win and the difference is reported.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tomic import dates
from tomic.errors import BadFile, DataError, InvalidSymbol, UsageError
from tomic.journal import campaign
from tomic.models import journal as nouns, normalize_symbol
from tomic.models.documents import first_fault

_DAY_FIRST = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", re.ASCII)
_NOON = dt.time(12, 0)
_PERCENT_FROM = 1.5
"""A volatility above this is in percent: an IV of 1.5 % is far less likely than one of 150 %."""


def text_of(document: Mapping[str, Any], name: str) -> str:
    """A field as text, empty where it is missing."""
    value = document.get(name)
    return "" if value is None else str(value).strip()


def number_of(value: object) -> float | None:
    """A number, also one written as text or with a decimal comma; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%").replace(",", "."))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def percent_of(value: object) -> float | None:
    """A percentage as a fraction."""
    number = number_of(value)
    return None if number is None else round(number / 100.0, 9)


def volatility_of(value: object) -> float | None:
    """A volatility as a fraction; later versions of the original wrote some as fractions."""
    number = number_of(value)
    if number is None or number <= 0.0:
        return None
    return round(number / 100.0, 9) if number > _PERCENT_FROM else number


def rank_of(value: object) -> float | None:
    """A rank or percentile as a fraction; from 0 to 1 it is one already."""
    number = number_of(value)
    if number is None:
        return None
    return round(number / 100.0, 9) if abs(number) > 1.0 else number


def moment_of(value: object, name: str) -> dt.datetime:
    """Noon in New York of a day; a time of its own is kept."""
    text = str(value or "").strip()
    match = _DAY_FIRST.fullmatch(text)
    try:
        if match is not None:
            day = dt.date(int(match[3]), int(match[2]), int(match[1]))
        elif len(text) > len("2025-05-19") and not text.isdigit():
            moment = dt.datetime.fromisoformat(text)
            return moment if moment.tzinfo else moment.replace(tzinfo=dates.NEW_YORK)
        else:
            day = dates.parse_expiry(text)
    except (ValueError, DataError) as exc:
        raise BadFile(f"{name} {text!r} is not a date such as 2025-05-19") from exc
    return dt.datetime.combine(day, _NOON, dates.NEW_YORK)


_NUMBER = r"(\d+(?:[.,]\d+)?)"
_BELOW = re.compile(rf"\bonder\s*~?\s*\$?\s*{_NUMBER}", re.IGNORECASE)
_ABOVE = re.compile(rf"\bboven\s*~?\s*\$?\s*{_NUMBER}", re.IGNORECASE)
_DOLLARS = re.compile(rf"\$\s*{_NUMBER}")
_DAYS = re.compile(r"\b(\d+)\s*dagen\b", re.IGNORECASE)
_RULE_COLUMNS: dict[str, tuple[str, Callable[[float], float]]] = {
    "spot_below": ("spot_below", float),
    "spot_above": ("spot_above", float),
    "profit_target": ("target_profit_pct", lambda percent: percent / 100.0),
    "min_dte": ("days_before_expiry", int),
    "max_days_in_trade": ("max_days_in_trade", int),
}


def exit_rules(document: Mapping[str, Any]) -> tuple[nouns.ExitRules, list[str]]:
    """
    Exit rules from the table ``ExitRules``, the Dutch text ``Exitstrategie`` and ``StopPct``.

    ``onder ~N`` and ``boven ~N`` are levels of the underlying, ``$N`` the price to close at, ``N
    dagen`` the days left. The table wins over the text.

    Returns:
        The rules, and what in the text says something that no rule was made of.
    """
    text = text_of(document, "Exitstrategie")
    values, notes = _from_text(text, number_of(document.get("Premium")))
    stop = number_of(document.get("StopPct"))
    if stop:
        values["stop"] = stop / 100.0
    table = document.get("ExitRules") or {}
    for name, (column, convert) in _RULE_COLUMNS.items():
        if (number := number_of(table.get(column))) is not None:
            values[name] = convert(number)
    return nouns.ExitRules.model_validate(values), notes


def _from_text(text: str, premium: float | None) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    notes: list[str] = []
    rest = text

    def take(pattern: re.Pattern[str]) -> float | None:
        nonlocal rest
        match = pattern.search(rest)
        if match is None:
            return None
        rest = rest[: match.start()] + " " + rest[match.end() :]
        return float(match[1].replace(",", "."))

    if (below := take(_BELOW)) is not None:
        values["spot_below"] = below
    if (above := take(_ABOVE)) is not None:
        values["spot_above"] = above
    if (target := take(_DOLLARS)) is not None:
        if premium and abs(premium) > target:
            values["profit_target"] = round((abs(premium) - target) / abs(premium), 6)
        else:
            notes.append(f"exit at ${target:g} needs a premium above it; no profit target was set")
    if (days := take(_DAYS)) is not None:
        values["min_dte"] = int(days)
    if text and (not values or re.search(r"\d", rest)):
        notes.append(f"exit text not fully understood: {text!r}")
    return values, notes


_STATUS = {
    "open": nouns.EntryStatus.OPEN,
    "gesloten": nouns.EntryStatus.CLOSED,
    "closed": nouns.EntryStatus.CLOSED,
    "gecanceld": nouns.EntryStatus.CANCELLED,
    "cancelled": nouns.EntryStatus.CANCELLED,
}
_OUT = {
    nouns.EntryStatus.OPEN: "Open",
    nouns.EntryStatus.CLOSED: "Gesloten",
    nouns.EntryStatus.CANCELLED: "Gecanceld",
}
_CENT = 0.005
_MOST_DIGITS = 15
"""Of a TradeID that is kept as the number of its entry."""


@dataclass(frozen=True, slots=True)
class Read:
    """One entry of the file: what it became, and what could not be taken over."""

    entry: nouns.JournalEntry | None
    trade_id: str
    notes: tuple[str, ...]


def is_legacy(documents: object) -> bool:
    """Whether a JSON document is a journal of the original: a list of tables with TradeID."""
    return (
        isinstance(documents, list)
        and bool(documents)
        and all(
            isinstance(document, dict) and ("TradeID" in document or "Symbool" in document)
            for document in documents
        )
    )


def read(documents: Sequence[Mapping[str, Any]]) -> list[Read]:
    """
    Read the entries of a ``journal.json``; one that cannot be read costs only itself.

    An entry's id is its TradeID. Every field stays in ``original``, whatever it is.
    """
    return [_read(document) for document in documents]


def _read(document: Mapping[str, Any]) -> Read:
    trade_id = str(document.get("TradeID", "")).strip()
    notes: list[str] = []
    try:
        entry = _entry(document, notes)
    # A file edited by hand may hold anything anywhere.
    except (
        DataError, InvalidSymbol, UsageError, ValueError,
        AttributeError, TypeError, LookupError, ArithmeticError,
    ) as exc:  # fmt: skip
        text = first_fault(exc) if isinstance(exc, ValidationError) else str(exc).splitlines()[0]
        return Read(None, trade_id, (f"not imported: {text}",))
    is_number = trade_id.isascii() and trade_id.isdigit() and len(trade_id) <= _MOST_DIGITS
    number = int(trade_id) if is_number else None
    return Read(entry.model_copy(update={"id": number}), trade_id, tuple(notes))


def _entry(document: Mapping[str, Any], notes: list[str]) -> nouns.JournalEntry:
    opened = moment_of(document.get("DatumIn"), "DatumIn")
    closed = moment_of(document["DatumUit"], "DatumUit") if text_of(document, "DatumUit") else None
    status = _STATUS.get(text_of(document, "Status").lower() or "open")
    if status is None:
        raise BadFile(f"Status {document.get('Status')!r} is none of {', '.join(_OUT.values())}")
    fills = _fills(document)
    trades = _trades(
        document, fills, opened, closed if status is nouns.EntryStatus.CLOSED else None
    )
    rules, rule_notes = exit_rules(document)
    notes += rule_notes
    if fills and not trades and status is not nouns.EntryStatus.CANCELLED:
        notes.append("no premium, so its legs and P&L are not known; they are kept in `original`")
    entry = nouns.JournalEntry(
        symbol=normalize_symbol(text_of(document, "Symbool")),
        strategy=strategy_name(text_of(document, "Type")),
        status=status,
        opened_at=opened,
        closed_at=None if status is nouns.EntryStatus.OPEN else closed or opened,
        trades=trades,
        rules=rules,
        context=_context(document, opened, trades),
        snapshots=tuple(_snapshots(document)),
        plan=text_of(document, "Plan"),
        reason=text_of(document, "Reden"),
        tags=tuple(filter(None, [text_of(document, "Richting").lower()])),
        notes=tuple(_notes(document, opened, closed)),
        stated=_stated(document),
        original=dict(document),
    )
    notes += _result_notes(entry)
    return entry


def strategy_name(text: str) -> str:
    """``Iron Condor`` and ``iron-condor`` as ``iron_condor``."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


# -- trades ----------------------------------------------------------------------------------


def _fills(document: Mapping[str, Any]) -> tuple[nouns.Fill, ...]:
    common = text_of(document, "Expiry")
    fills = []
    for leg in document.get("Legs") or ():
        kind, action = str(leg.get("type", "")).upper(), str(leg.get("action", "")).upper()
        if not kind.startswith(("C", "P")) or action not in ("BUY", "SELL"):
            raise BadFile(f"a leg must be CALL or PUT and BUY or SELL, got {kind} {action}")
        size = number_of(leg.get("qty", 1))
        if not size:
            raise BadFile(f"a leg needs a quantity, got {leg.get('qty')!r}")
        expiry = str(leg.get("expiry") or leg.get("Expiry") or common)
        con_id = leg.get("conId")
        fills.append(
            nouns.Fill(
                expiry=dates.parse_expiry(expiry),
                strike=number_of(leg.get("strike")),
                right="C" if kind.startswith("C") else "P",
                con_id=int(con_id) if con_id else None,
                quantity=abs(size) if action == "BUY" else -abs(size),
            )
        )
    return tuple(fills)


def _trades(
    document: Mapping[str, Any],
    fills: tuple[nouns.Fill, ...],
    opened: dt.datetime,
    closed: dt.datetime | None,
) -> tuple[nouns.Trade, ...]:
    paid = number_of(document.get("Premium"))
    paid = number_of(document.get("EntryPrice")) if paid is None else paid
    if not fills or paid is None:
        return ()
    structures = campaign.count_structures(fills)
    opening = nouns.Trade(
        at=opened,
        action=nouns.Action.OPEN,
        fills=fills,
        price=_signed(paid, fills),
        structures=structures,
        spot=number_of(document.get("Spot")),
    )
    back = number_of(document.get("ExitPrice"))
    if closed is None or back is None:
        return (opening,)
    reverse = tuple(fill.model_copy(update={"quantity": -fill.quantity}) for fill in fills)
    # The original's result is entry less exit, whichever way the money went.
    price = -math.copysign(back, opening.price or 1.0) if back >= 0.0 else back
    at = max(closed, opened)
    return opening, nouns.Trade(
        at=at, action=nouns.Action.CLOSE, fills=reverse, price=price, structures=structures
    )


def _signed(price: float, fills: Sequence[nouns.Fill]) -> float:
    """Its premiums carry no sign where the structure tells; a debit may be written either way."""
    if price < 0.0:
        return price
    try:
        return campaign.signed_price(f"{price!r}", fills)
    except UsageError:
        return price


def _stated(document: Mapping[str, Any]) -> nouns.Stated | None:
    result, days = number_of(document.get("Resultaat")), number_of(document.get("DaysInTrade"))
    rom = number_of(document.get("ReturnOnMargin"))
    if result is None and rom is None and days is None:
        return None
    return nouns.Stated(
        result=result,
        rom=None if rom is None else rom / 100.0,
        days=None if days is None else int(days),
    )


def _result_notes(entry: nouns.JournalEntry) -> list[str]:
    stated = entry.stated.result if entry.stated else None
    computed = campaign.result(entry)
    if entry.status is not nouns.EntryStatus.CLOSED:
        return []
    if computed is None:
        return ["closed without prices or a result: it counts in no statistics"]
    if campaign.held(entry) or not entry.trades:
        return ["no exit price: the typed result is used"]
    if stated is not None and abs(stated - computed) > _CENT:
        count = entry.trades[0].structures
        return [
            f"typed result {stated:g}, computed {computed:.2f} for {count} structures; "
            "computed counts"
        ]
    return []


# -- what was known ----------------------------------------------------------------------------


def _context(
    document: Mapping[str, Any], opened: dt.datetime, trades: Sequence[nouns.Trade]
) -> nouns.Context:
    return nouns.Context(
        as_of=opened,
        source="import",
        spot=number_of(document.get("Spot")),
        iv=volatility_of(document.get("IV_Entry")),
        iv_rank=rank_of(document.get("IV_Rank")),
        iv_percentile=rank_of(document.get("IV_Percentile")),
        hv30=volatility_of(document.get("HV_Entry")),
        vix=percent_of(document.get("VIX")),
        atr14=number_of(document.get("ATR_14")),
        skew=percent_of(document.get("Skew")),
        margin=number_of(document.get("InitMargin")) or None,
        **_greeks(document.get("Greeks_Entry") or {}),
    )


def _greeks(table: Mapping[str, Any]) -> dict[str, Any]:
    """Its Greeks count the multiplier, except for delta."""
    greeks = {name: number_of(table.get(name.title())) for name in ("gamma", "vega", "theta")}
    delta = number_of(table.get("Delta"))
    return {"delta": None if delta is None else 100.0 * delta, **greeks}


def _snapshots(document: Mapping[str, Any]) -> list[nouns.Snapshot]:
    snapshots = []
    for row in document.get("Snapshots") or ():
        snapshots.append(
            nouns.Snapshot(
                at=moment_of(row.get("date"), "date of a snapshot"),
                spot=number_of(row.get("spot")),
                data_type="import",
                iv30=volatility_of(row.get("iv30")),
                iv_rank=rank_of(row.get("iv_rank")),
                hv30=volatility_of(row.get("hv30")),
                vix=percent_of(row.get("vix")),
                atr14=number_of(row.get("atr14")),
                skew=percent_of(row.get("skew")),
                note=str(row.get("note") or ""),
                **_greeks(row.get("Greeks") or {}),
            )
        )
    return snapshots


def _notes(
    document: Mapping[str, Any], opened: dt.datetime, closed: dt.datetime | None
) -> list[nouns.Note]:
    words = (("Opmerkingen", opened), ("Evaluatie", closed or opened))
    return [nouns.Note(at=at, text=text) for name, at in words if (text := text_of(document, name))]


# -- out again ---------------------------------------------------------------------------------


def write(entry: nouns.JournalEntry) -> dict[str, Any]:
    """
    The entry as the original wrote it: every field it came with, computed ones up to date.
    """
    opening = entry.trades[0] if entry.trades else None
    result = campaign.result(entry)
    document: dict[str, Any] = dict(entry.original or {})
    document["TradeID"] = str(entry.id) if entry.id is not None else document.get("TradeID", "")
    document["DatumIn"] = entry.opened_at.date().isoformat()
    document["DatumUit"] = entry.closed_at.date().isoformat() if entry.closed_at else None
    document["Symbool"] = entry.symbol
    document.setdefault("Type", entry.strategy)
    document["Status"] = _OUT[entry.status]
    document["Plan"], document["Reden"] = entry.plan, entry.reason
    if opening is not None:
        document |= _opening_fields(entry, opening)
    if result is not None:
        document["Resultaat"] = round(result, 2)
        document["DaysInTrade"] = campaign.days_in_trade(entry, dt.date.max)
        if entry.context.margin:
            document["ReturnOnMargin"] = round(100.0 * result / entry.context.margin, 2)
    return document


def _opening_fields(entry: nouns.JournalEntry, opening: nouns.Trade) -> dict[str, Any]:
    expiry = campaign.opening_expiry(entry)
    per_share = campaign.structure_multiplier(opening.fills) * opening.structures
    price = round(campaign.cash(opening) / per_share, 4)
    fields: dict[str, Any] = {"Premium": price, "EntryPrice": price}
    if expiry is not None:
        fields["Expiry"] = expiry.isoformat()
    if entry.status is nouns.EntryStatus.CLOSED and not campaign.held(entry):
        back = sum(campaign.cash(trade) for trade in entry.trades[1:])
        fields["ExitPrice"] = round(-back / per_share, 4) + 0.0
    if entry.original is None:
        fields["Legs"] = [
            {
                "strike": fill.strike,
                "type": "CALL" if fill.is_call else "PUT",
                "action": "BUY" if fill.quantity > 0 else "SELL",
                "qty": abs(int(fill.quantity)),
                "expiry": fill.expiry.isoformat() if fill.expiry else None,
                **({"conId": fill.con_id} if fill.con_id else {}),
            }
            for fill in opening.fills
            if not fill.is_stock
        ]
    return fields
