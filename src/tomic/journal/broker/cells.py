"""
Cells of brokers' files as values: numbers, days, moments, codes and contracts.

How a file writes numbers and days is decided from the whole of it (`Habits.of`), never from one
cell: ``04/11/2025`` is another day here than there, and ``1,250`` another price.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

from pydantic import ValidationError

from tomic import dates
from tomic.errors import DataError, InvalidSymbol
from tomic.models import INDEX_CLASSES, normalize_symbol
from tomic.models.documents import first_fault
from tomic.models.journal import Action, Contract

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
ABSENT = frozenset({"", "-", "--", "N/A", "NA", "MULTI"})
"""What IB writes where there is nothing to say."""
_MOST_CACHED = 20_000

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"([-+]?\d{1,3}(?:,\d{3})+)(\.\d*)?", re.ASCII)
_BLANKS = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019](?=\d{3}(?!\d))")
"""Between thousands, as French and Swiss spreadsheets write them."""
_FORMULA = re.compile(r'="(.*)"')
"""How a spreadsheet is kept from reading a text as a number."""
_COMMA_DECIMAL = re.compile(
    r"[-+]?(?:\d{1,3}(?:\.\d{3})+,\d+|0?,\d+|0\d*,\d+|\d+,(?:\d{1,2}|\d{4,})|\d{4,},\d+)", re.ASCII
)
_POINT_DECIMAL = re.compile(
    r"[-+]?(?:\d{1,3}(?:,\d{3})+\.\d+|0?\.\d+|0\d*\.\d+|\d+\.(?:\d{1,2}|\d{4,})|\d{4,}\.\d+)",
    re.ASCII,
)

_DAY = (
    r"(?:(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})"
    r"|(?P<y2>\d{4})[-/.](?P<m2>\d{1,2})[-/.](?P<d2>\d{1,2})"
    r"|(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<y3>YEAR)"
    r"|(?P<d4>\d{1,2})[- ]?(?P<month>[A-Za-z]{3})[- ]?(?P<y4>YEAR))"
)
_CLOCK = (
    r"(?:(?:\s*[;,T]\s*|\s+|)(?P<hour>\d{1,2}):?(?P<minute>\d{2})(?::?(?P<second_>\d{2})(?:\.\d+)?)?"
    r"(?:\s?(?P<half>[AaPp][Mm])(?![A-Za-z]))?\s*(?P<zone>\(?[A-Za-z][A-Za-z_/]*\)?|[-+]\d{2}:?\d{2})?)?"
)
_MOMENTS = tuple(
    re.compile((_DAY + _CLOCK).replace("YEAR", year), re.ASCII) for year in (r"\d{4}", r"\d{2}")
)
_ORDERED = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/]\d{2,4}(?!\d*[-/])", re.ASCII)
_OFFSET = re.compile(r"([-+])(\d{2}):?(\d{2})", re.ASCII)
_ASK_FOR_ISO = "choose yyyyMMdd or yyyy-MM-dd as the date format of the query"

_LISTED = re.compile(r"(?P<root>[A-Z0-9. ]{1,8}?) *(?P<day>\d{6})(?P<right>[CP])(?P<strike>\d{8})")
"""Symbol of an American option: 21 characters in OCC's form."""
_WORDED = re.compile(
    r"(?P<root>\S+(?: \S{1,3})?) +(?P<day>\d{1,2}[A-Z]{3}\d{2}) +(?P<strike>\d+(?:[.,]\d+)?) +"
    r"(?P<right>[CP])(?: ?\([^)]*\))?"
)
"""As statements write it: ``SPY 20JUN25 560 P``."""
_EUROPEAN = re.compile(
    r"(?P<right>[CP]) +(?P<root>[A-Z0-9]+) +(?P<day>\d{8}) +(?P<strike>\d+(?:\.\d+)?)(?: ?[A-Z])?"
)
"""Of Eurex and Euronext: ``P OESX 20261218 5200 M``."""


class Refused(ValueError):
    """A cell cannot be what its column says."""


def short(text: str) -> str:
    """A text as a message can hold it."""
    return text if len(text) <= 40 else f"{text[:37]}..."


# -- how a file writes ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Habits:
    """How a file writes its numbers and days."""

    decimal: Literal[".", ",", ""] = "."
    """Empty where the file shows both, or where nothing in it tells."""
    day_first: bool | None = None
    """Whether ``04/11/2025`` is in November; None where the file does not tell."""
    clashes: bool = False
    """Whether some of its days can only be read one way and some only the other."""

    @classmethod
    def of(
        cls,
        *,
        separator: str,
        numbers: Iterable[str],
        days: Iterable[str],
        listed: Iterable[tuple[str, str]] = (),
    ) -> Habits:
        """
        Habits from every cell of a file.

        Args:
            separator: Between its columns; empty where it has none. Only what is parted by
                semicolons or tabs can have a decimal comma: commas between columns come from IB
                itself, which always writes a point.
            listed: Symbol and expiry of options; the symbol tells which of its numbers is the day.
        """
        decimal: Literal[".", ",", ""] = "." if separator in (",", "") else _decimal(numbers)
        day_first, month_first = _day_orders(days)
        for symbol, expiry in listed:
            match, parts = _LISTED.fullmatch(symbol.strip()), _ORDERED.match(expiry)
            if match is None or parts is None or parts[1].zfill(2) == parts[2].zfill(2):
                continue
            day_first |= match["day"][4:] == parts[1].zfill(2)
            month_first |= match["day"][4:] == parts[2].zfill(2)
        clashes = day_first and month_first
        told = None if day_first == month_first else day_first
        return cls(decimal, told, clashes)

    def number(self, text: str) -> float:
        """A number. Refused where it is none, or where it can be two."""
        if self.decimal == "." and (value := plain_number(text)) is not None:
            return value
        plain = self._plain(text)
        if not _NUMBER.fullmatch(plain):
            raise Refused(f"{short(text)!r} is no number")
        return float(plain)

    def _plain(self, text: str) -> str:
        text = _BLANKS.sub("", text)
        if self.decimal == "," or (not self.decimal and _COMMA_DECIMAL.fullmatch(text)):
            if text.count(",") <= 1 and "." not in text.partition(",")[2]:
                return text.replace(".", "").replace(",", ".") if "," in text else _point(text)
            return text
        if not self.decimal and _GROUPED.fullmatch(text) and "." not in text:
            with_comma = text.replace(",", ".", 1)
            raise Refused(
                f"{text!r} can be {with_comma} or {text.replace(',', '')}; save the file as the "
                "broker sent it"
            )
        match = _GROUPED.fullmatch(text)
        return match[1].replace(",", "") + (match[2] or "") if match else text

    def moment(self, text: str) -> dt.datetime:
        """A moment; New York's where no zone is named, midnight where there is no time."""
        day, clock, zone = self._parts(text)
        return dt.datetime.combine(day, clock, zone)

    def day(self, text: str) -> dt.date:
        """The day of a moment, or alone."""
        return _day_of(self, text)

    def has_time(self, text: str) -> bool:
        """Whether a time stands behind the day."""
        return any(match["hour"] is not None for match in _matches(text))

    def _parts(self, text: str) -> tuple[dt.date, dt.time, dt.tzinfo]:
        for match in _matches(text):
            zone = _zone(match["zone"], text)
            try:
                return self._day(match), _clock(match), zone
            except _Ambiguous as exc:
                raise Refused(str(exc)) from exc
            except ValueError:
                continue
        raise Refused(f"{short(text)!r} is no time such as 2025-05-19, 10:31:02")

    def _day(self, match: re.Match[str]) -> dt.date:
        if match["y"]:
            return dt.date(int(match["y"]), int(match["m"]), int(match["d"]))
        if match["y2"]:
            return dt.date(int(match["y2"]), int(match["m2"]), int(match["d2"]))
        if match["month"]:
            month = MONTHS.index(match["month"].upper()) + 1
            return dt.date(_year(match["y4"]), month, int(match["d4"]))
        first, second, year = int(match["first"]), int(match["second"]), _year(match["y3"])
        day_first = True if match["sign"] == "." else self.day_first
        if first == second:
            return dt.date(year, first, second)
        if self.clashes and match["sign"] != ".":
            raise _Ambiguous(
                f"{match[0]!r} is no certain day: the file writes some days first and some months "
                f"first; {_ASK_FOR_ISO}"
            )
        if day_first is None:
            raise _Ambiguous(
                f"{match[0]!r} can be two days, and nothing in the file tells which; {_ASK_FOR_ISO}"
            )
        return dt.date(year, second, first) if day_first else dt.date(year, first, second)


class _Ambiguous(ValueError):
    """A day that can be two."""


# A file of 50,000 rows asks for the same few numbers and expiries over and over, and whether a
# moment has a time before it is read.


@lru_cache(maxsize=_MOST_CACHED)
def plain_number(text: str) -> float | None:
    """A number with a decimal point and nothing between thousands; None where it is none."""
    return float(text) if _NUMBER.fullmatch(text) else None


@lru_cache(maxsize=8)
def _matches(text: str) -> tuple[re.Match[str], ...]:
    """How a text can be read as a day or a moment."""
    return tuple(match for pattern in _MOMENTS if (match := pattern.fullmatch(text)) is not None)


@lru_cache(maxsize=1000)
def _day_of(habits: Habits, text: str) -> dt.date:
    return habits._parts(text)[0]


def _decimal(numbers: Iterable[str]) -> Literal[".", ",", ""]:
    comma = point = False
    for text in numbers:
        comma = comma or _COMMA_DECIMAL.fullmatch(text) is not None
        point = point or _POINT_DECIMAL.fullmatch(text) is not None
    if comma == point:
        return ""
    return "," if comma else "."


def _point(text: str) -> str:
    """A number without a comma in a file of decimal commas: its points are between thousands."""
    return re.sub(r"(?<=\d)\.(?=\d{3}(?:\.|$))", "", text)


def _day_orders(days: Iterable[str]) -> tuple[bool, bool]:
    day_first = month_first = False
    for text in days:
        match = _ORDERED.match(text)
        if match is not None:
            day_first |= int(match[1]) > 12
            month_first |= int(match[2]) > 12
    return day_first, month_first


def _year(text: str) -> int:
    return int(text) if len(text) == 4 else 2000 + int(text)


def _clock(match: re.Match[str]) -> dt.time:
    hour = int(match["hour"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + 12 * (match["half"].lower() == "pm")
    return dt.time(hour, int(match["minute"] or 0), int(match["second_"] or 0))


def _zone(name: str | None, text: str) -> dt.tzinfo:
    name = (name or "").strip("()")
    if not name:
        return dates.NEW_YORK
    if match := _OFFSET.fullmatch(name):
        offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return dt.timezone(-offset if match[1] == "-" else offset)
    try:
        return dates.zone(name)
    except DataError as exc:
        raise Refused(f"{short(text)!r} is in a time zone that is not known: {name}") from exc


# -- rows ----------------------------------------------------------------------------------------


def _bare(text: str) -> str:
    """A cell without blanks around it, and without a spreadsheet's formula."""
    text = text.strip()
    if text[:1] == "=" and (formula := _FORMULA.fullmatch(text)) is not None:
        return formula[1].strip()
    return text


# Made for every row: what is frozen takes three times as long to make.
@dataclass(slots=True)
class Cells:
    """One row by the names of its columns."""

    row: Sequence[str]
    columns: Mapping[str, int]
    habits: Habits = field(default=Habits(), compare=False)

    def text(self, *names: str) -> str:
        """The first of these columns that says something."""
        columns, row = self.columns, self.row
        for name in names:
            place = columns.get(name)
            if place is None or place >= len(row):
                continue
            text = row[place]
            # Most cells are a word or a whole number, with nothing around it.
            if not text.isalnum():
                text = _bare(text)
            if text not in ABSENT:
                return text
        return ""

    def number(self, *names: str) -> float | None:
        """The number in the first of these columns that says something; None where none does."""
        text = self.text(*names)
        if not text:
            return None
        habits = self.habits
        if habits.decimal == "." and (value := plain_number(text)) is not None:
            return value
        try:
            return habits.number(text)
        except Refused as exc:
            raise Refused(f"{names[0]} {exc}") from exc

    def whole(self, *names: str) -> int | None:
        """A whole number; None where there is none, or 0."""
        value = self.number(*names)
        if value is None or value == 0.0:
            return None
        if value != value // 1.0:
            raise Refused(f"{names[0]} {short(self.text(*names))!r} is no whole number")
        return int(value)

    def required(self, *names: str) -> float:
        """A number that must be there."""
        value = self.number(*names)
        if value is None:
            raise Refused(f"{names[0]} is missing")
        return value


# -- codes and contracts -------------------------------------------------------------------------


@lru_cache(maxsize=1000)
def marks(codes: str) -> frozenset[str]:
    """Codes of a row one by one; case matters."""
    return frozenset(mark for mark in re.split(r"[;,\s]+", codes) if mark)


def action(codes: frozenset[str]) -> Action | None:
    """What else than a trade the codes name."""
    if "Ep" in codes:
        return Action.EXPIRE
    return Action.ASSIGN if codes & {"A", "Ex", "GEA", "AEx", "MEx"} else None


def opens(codes: frozenset[str]) -> bool | None:
    """Whether a row opens (True) or closes (False); None where it does both or nothing is said."""
    return None if ("O" in codes) == ("C" in codes) else "O" in codes


@lru_cache(maxsize=_MOST_CACHED)
def symbol(text: str) -> str:
    """A ticker symbol as we write it. Refused where it is none."""
    try:
        return normalize_symbol(text.strip().replace(" ", "."))
    except InvalidSymbol as exc:
        raise Refused(str(exc)) from exc


class OptionName(NamedTuple):
    """An option as its symbol names it."""

    root: str
    """Its trading class where *is_class*, else that or the underlying."""
    expiry: dt.date
    """The last day of trading, as IB names contracts; symbols tell the day of settlement."""
    strike: float
    right: str
    is_class: bool

    @property
    def trading_class(self) -> str:
        """As TWS writes it: ``BRKB``; empty where the name does not tell."""
        return self.root.replace(" ", "").replace(".", "") if self.is_class else ""

    @property
    def underlying(self) -> str:
        """The index of a class such as SPXW, else the root."""
        terms = INDEX_CLASSES.get(self.root)
        return terms.symbol if terms is not None else self.root


@lru_cache(maxsize=_MOST_CACHED)
def option_name(text: str) -> OptionName | None:
    """Read the symbol of an option in any of IB's forms; None where it is none."""
    text = text.strip().upper()
    for pattern in (_LISTED, _WORDED, _EUROPEAN):
        match = pattern.fullmatch(text if pattern is _LISTED else " ".join(text.split()))
        if match is None:
            continue
        day, root, right = match["day"], match["root"].strip(), match["right"]
        strike = float(match["strike"].replace(",", "."))
        try:
            if pattern is _EUROPEAN:
                expiry = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
                return OptionName(root, expiry, strike, right, True)
            if pattern is _LISTED:
                expiry = dt.date(2000 + int(day[:2]), int(day[2:4]), int(day[4:]))
                strike /= 1000.0
            else:
                expiry = worded_day(day)
        except ValueError:
            return None
        expiry = dates.last_trading_day(expiry, trading_class=root)
        # In a statement's words the root may be the underlying, not the class.
        return OptionName(root, expiry, strike, right, pattern is _LISTED)
    return None


def looks_worded(text: str) -> str:
    """The day in an option's name that has the right shape; empty where there is none."""
    match = _WORDED.fullmatch(" ".join(text.upper().split()))
    return match["day"] if match else ""


def worded_day(text: str) -> dt.date:
    """``20JUN25`` as a day. Refused where it is none."""
    try:
        return dt.date(2000 + int(text[-2:]), MONTHS.index(text[-5:-2]) + 1, int(text[:-5]))
    except ValueError as exc:
        raise Refused(f"{short(text)!r} is no expiry such as 20JUN25") from exc


@lru_cache(maxsize=_MOST_CACHED)
def contract(
    expiry: dt.date | None,
    strike: float | None,
    right: str | None,
    multiplier: int,
    con_id: int | None,
    trading_class: str,
) -> Contract:
    """A contract, made once for all its rows. Refused where it can be none."""
    try:
        return Contract.model_validate(
            {
                "expiry": expiry,
                "strike": strike,
                "right": right,
                "multiplier": multiplier,
                "con_id": con_id,
                "trading_class": trading_class,
            }
        )
    except ValidationError as exc:
        name = f"{strike:g}{right} {expiry}" if strike is not None else "this"
        raise Refused(f"{name} is no option ({first_fault(exc)})") from exc
