"""
Recorded chains: CSV files of the original program and of our own exports, read row by row.

A file of the original holds neither symbol nor time nor price of the underlying: the time comes
from its name, the price from put-call parity.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from statistics import median
from typing import TypeAlias
from zoneinfo import ZoneInfo

from tomic.bounded import read_text
from tomic.errors import BadFile
from tomic.sim.market import listings, smiles

_ALIASES = {
    "right": "type",
    "impliedvolatility": "iv",
    "closemid": "close",
}
_REQUIRED = ("expiry", "type", "strike", "bid", "ask")
_RIGHTS = {"c": "C", "call": "C", "p": "P", "put": "P"}

# The original wrote local time, and its author lives in the Netherlands.
_HOME = ZoneInfo("Europe/Amsterdam")
_ZONES = {
    "cest": _HOME,
    "cet": _HOME,
    "et": listings.NEW_YORK,
    "edt": listings.NEW_YORK,
    "est": listings.NEW_YORK,
    "utc": ZoneInfo("UTC"),
    "z": ZoneInfo("UTC"),
}
_STAMP = re.compile(r"_(20\d{6}|19\d{6})(?:_(\d{4}|\d{6})([a-z]{0,4})(?=_|$))?")

_Cells: TypeAlias = tuple[int, Mapping[str, str | None]]
"""Number of a line and its cells by the header's names."""

_NEAR_MONEY = 0.03
_PAIRS = 15


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded option; what the file does not say is ``None``."""

    expiry: date
    strike: float
    right: str
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    close: float | None = None
    iv: float | None = None
    delta: float | None = None
    gamma: float | None = None
    vega: float | None = None
    theta: float | None = None
    volume: float | None = None
    open_interest: float | None = None

    @property
    def mid(self) -> float | None:
        """Middle of bid and ask, where both exist."""
        return None if self.bid is None or self.ask is None else 0.5 * (self.bid + self.ask)


@dataclass(frozen=True, slots=True)
class Recording:
    """The rows of one file, by expiry, strike and right, and what the file says about itself."""

    rows: tuple[Row, ...]
    spot: float | None
    as_of: datetime | None
    symbol: str
    """Empty where the file does not say, and so the next."""
    trading_class: str


def read(path: Path) -> Recording:
    """
    Read a recorded chain; of a contract that occurs several times the last row counts.

    Raises:
        BadFile: Missing, not text, without the columns of a chain, empty, or with a cell that is
            no number; the message names line and column.
    """
    try:
        with io.StringIO(read_text(path)) as file:
            lines = csv.DictReader(file, strict=True)
            names = {_column(name): name for name in lines.fieldnames or () if name}
            missing = [name for name in _REQUIRED if name not in names]
            if missing:
                raise BadFile(
                    f"{path} is no option chain, it lacks the columns {', '.join(missing)}; "
                    "give a file that tomic chain or the original program wrote"
                )
            numbered: list[_Cells] = [(lines.line_num, cells) for cells in lines]
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist; check the path of the recorded chain") from None
    except OSError as exc:
        raise BadFile(f"{path} cannot be read: {exc.strerror}; check its permissions") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise BadFile(f"{path} is not a CSV file ({exc}); export the chain again") from exc
    found: dict[tuple[date, float, str], Row] = {}
    for number, cells in numbered:
        row = _row(path, number, names, cells)
        found[row.expiry, row.strike, row.right] = row
    if not found:
        raise BadFile(f"{path} holds no option; export the chain again")
    return Recording(
        rows=tuple(found[key] for key in sorted(found)),
        spot=_price(path, _stated(names, numbered, "spot")),
        as_of=_moment(path, _stated(names, numbered, "asof")),
        symbol=_stated(names, numbered, "symbol"),
        trading_class=_stated(names, numbered, "tradingclass"),
    )


def _column(name: str) -> str:
    plain = name.strip().lower().replace("_", "").replace(" ", "")
    return _ALIASES.get(plain, plain)


def _row(path: Path, line: int, names: Mapping[str, str], cells: Mapping[str, str | None]) -> Row:
    def text(column: str) -> str:
        return (cells.get(names.get(column, "")) or "").strip()

    def number(column: str, lowest: float = -math.inf) -> float | None:
        cell = text(column)
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            raise _bad_cell(path, line, names[column], cell) from None
        return value if math.isfinite(value) and value >= lowest else None

    right = _RIGHTS.get(text("type").lower())
    expiry = _expiry(text("expiry"))
    strike = number("strike")
    if right is None or expiry is None or strike is None or strike <= 0.0:
        wrong = "type" if right is None else "expiry" if expiry is None else "strike"
        raise _bad_cell(path, line, names[wrong], text(wrong))
    return Row(
        expiry=expiry,
        strike=strike,
        right=right,
        # Minus one is how the gateway says that there is no quote.
        bid=number("bid", 0.0),
        ask=number("ask", 0.0),
        last=number("last", 0.0),
        close=number("close", 0.0),
        # A volatility of zero says that none could be computed.
        iv=number("iv", 0.0) or None,
        # Minus two says that there is none; rounding brings others a hair below minus one.
        delta=number("delta", -1.5),
        gamma=number("gamma"),
        vega=number("vega"),
        theta=number("theta"),
        volume=number("volume", 0.0),
        open_interest=number("openinterest", 0.0),
    )


def _bad_cell(path: Path, line: int, column: str, cell: str) -> BadFile:
    return BadFile(
        f"{path}, line {line}: {column} {cell!r} cannot be used; correct the line or export again"
    )


def _expiry(text: str) -> date | None:
    try:
        return datetime.strptime(text.replace("-", ""), "%Y%m%d").date()
    except ValueError:
        return None


def _stated(names: Mapping[str, str], rows: Iterable[_Cells], column: str) -> str:
    """The last value of a column that says the same in every row; empty where there is none."""
    name = names.get(column, "")
    found = ((cells.get(name) or "").strip() for _, cells in rows)
    return next((text for text in reversed(list(found)) if text), "")


def _price(path: Path, text: str) -> float | None:
    try:
        value = float(text or "nan")
    except ValueError:
        raise BadFile(f"{path}: spot {text!r} is no price; correct it or export again") from None
    return value if math.isfinite(value) and value > 0.0 else None


def _moment(path: Path, text: str) -> datetime | None:
    try:
        value = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise BadFile(f"{path}: as-of {text!r} is no time; correct it or export again") from None
    return value.replace(tzinfo=_HOME) if value and value.tzinfo is None else value


def time_in_name(path: Path) -> datetime | None:
    """
    When a file was recorded, from its name: ``…_20250519_202601.csv``, ``…_20250519_2026cest.csv``.

    A time without zone is Dutch local time, as the original wrote it. A date alone means that
    day's close, or noon in New York when nothing trades on it.
    """
    found = None
    for match in _STAMP.finditer(path.stem.lower()):
        found = match
    if found is None:
        return None
    day_text, clock_text, zone = found.groups()
    day = _expiry(day_text)
    if day is None:
        return None
    if clock_text is None or (zone and zone not in _ZONES):
        at = listings.close_time(day) if listings.is_trading_day(day) else time(12, 0)
        return listings.moment(day, at)
    digits = clock_text.ljust(6, "0")
    try:
        at = time(int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        return None
    return datetime.combine(day, at, _ZONES.get(zone, _HOME))


def symbol_in_name(path: Path) -> str:
    """The symbol that stands before the date in a file's name, empty where none does."""
    found = re.search(r"(?:^|_)([A-Z][A-Z0-9]{0,5}(?:[. ][A-Z])?)_\d{8}", path.stem)
    return found.group(1).replace(".", " ") if found else ""


def parity_spot(rows: Iterable[Row], as_of: datetime) -> float | None:
    """
    Price of the underlying that the quotes imply, ``None`` where no pair stands near the money.

    The forward of an expiry is the median of strike + call − put over the pairs nearest the money;
    the logarithms of the two nearest forwards are drawn back to the day itself. With one expiry
    alone the forward is discounted.

    Source: put-call parity, Stoll (1969), "The relationship between put and call option prices".
    """
    by_expiry: dict[date, list[Row]] = {}
    for row in rows:
        by_expiry.setdefault(row.expiry, []).append(row)
    points = []
    for expiry in sorted(by_expiry):
        end = listings.moment(expiry, listings.FULL_CLOSE)
        forward = _forward(by_expiry[expiry])
        if forward is not None and end > as_of:
            points.append((smiles.years(as_of, end), math.log(forward)))
        if len(points) == 2:
            break
    if not points:
        return None
    if len(points) == 1:
        tau, level = points[0]
        return math.exp(level - smiles.RATE * tau)
    (near, first), (far, second) = points
    return math.exp(first - near * (second - first) / (far - near))


def _forward(rows: Iterable[Row]) -> float | None:
    mids: dict[float, dict[str, float]] = {}
    for row in rows:
        mid = row.mid
        # A bid of nothing leaves the middle somewhere in half the ask: no evidence of a price.
        if mid is not None and row.bid:
            mids.setdefault(row.strike, {})[row.right] = mid
    gaps = {k: pair["C"] - pair["P"] for k, pair in mids.items() if len(pair) == 2}
    if not gaps:
        return None
    centre = min(gaps, key=lambda strike: (abs(gaps[strike]), strike))
    if abs(gaps[centre]) > _NEAR_MONEY * centre:
        return None
    near = sorted(gaps, key=lambda strike: (abs(strike - centre), strike))[:_PAIRS]
    return median(k + gaps[k] for k in near if abs(k - centre) <= _NEAR_MONEY * centre)
