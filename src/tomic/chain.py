"""An option chain: columns of equal length, one row per contract, and a header."""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from tomic import dates
from tomic._drawing import draw, filed
from tomic._keywords import suggests
from tomic._typing import BoolArray, FloatArray
from tomic.models import (
    Carry,
    DataType,
    ExerciseStyle,
    OptionQuote,
    QuoteSource,
    RowStatus,
    Spot,
    Underlying,
)

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Mapping[str, str] = {
    "con_id": "int64",
    "expiry": "datetime64[D]",
    "dte": "int64",
    "tau": "float64",
    "strike": "float64",
    "right": "<U1",
    "bid": "float64",
    "ask": "float64",
    "last": "float64",
    "close": "float64",
    "iv": "float64",
    "delta": "float64",
    "gamma": "float64",
    "vega": "float64",
    "theta": "float64",
    "volume": "float64",
    "open_interest": "float64",
    "parity_deviation": "float64",
    "status": "<U18",
    "quote_source": "<U7",
    "greeks_source": "<U5",
    "quoted_at": "datetime64[us]",
}
"""Every column and its dtype; con_id 0, NaN, '' and NaT stand for missing."""

_INTEGRAL = ("volume", "open_interest")
_REAL = tuple(name for name, kind in COLUMNS.items() if kind == "float64" and name != "tau")


@dataclass(frozen=True, slots=True)
class Fetch:
    """What it took to fetch a chain."""

    seconds: float = 0.0
    messages: int = 0
    peak_lines: int = 0
    retried: int = 0
    cut_short: bool = False
    """Whether a deadline, a lost line or an interrupt ended the run before its end."""
    sampled: bool = False
    """Whether only some of the options that were of use were asked for: a part by design."""


@dataclass(frozen=True, eq=False)
class Chain:
    """
    A validated option chain. Rows are ordered by expiry, strike and right, each pair once.

    ``chain["bid"]`` is a read-only array; `to_frame` gives the same data as a DataFrame, on demand,
    because most uses never need pandas. Every requested contract keeps its row,
    whatever became of it: see the ``status`` column.

    Attributes:
        rate: ``market.rate``, fraction a year: what counts where the options imply no rate.
        div_yield: Of the underlying, fraction a year; None where nobody said, and never 0 for that.
        carries: Forward and discount factor by expiry, of the quotes as they were when they were
            stated; `tomic.valuation.carries` computes those of a chain that has none.

    Raises:
        ValueError: A column is missing, unknown, of another length, or a contract occurs twice.
    """

    underlying: Underlying
    spot: Spot
    as_of: dt.datetime
    rate: float
    div_yield: float | None
    data_type: DataType
    columns: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...] = ()
    fetch: Fetch = field(default_factory=Fetch)
    multiplier: int = 100
    trading_class: str = ""
    carries: tuple[Carry, ...] = ()

    def __post_init__(self) -> None:
        if set(self.columns) != set(COLUMNS):
            wrong = sorted(set(self.columns) ^ set(COLUMNS))
            raise ValueError(f"columns missing or unknown: {', '.join(wrong)}")
        arrays = {name: np.asarray(self.columns[name], dtype=COLUMNS[name]) for name in COLUMNS}
        sizes = {len(array) for array in arrays.values()}
        if len(sizes) > 1:
            raise ValueError(f"columns differ in length: {sorted(sizes)}")
        order = np.lexsort((arrays["right"], arrays["strike"], arrays["expiry"]))
        arrays = {name: array[order] for name, array in arrays.items()}
        for array in arrays.values():
            array.setflags(write=False)
        same = (
            (arrays["expiry"][1:] == arrays["expiry"][:-1])
            & (arrays["strike"][1:] == arrays["strike"][:-1])
            & (arrays["right"][1:] == arrays["right"][:-1])
        )
        if same.any():
            row = int(np.flatnonzero(same)[0])
            raise ValueError(
                f"contract occurs twice: {arrays['expiry'][row]} {arrays['strike'][row]:g}"
                f"{arrays['right'][row]}"
            )
        object.__setattr__(self, "columns", arrays)

    @classmethod
    def from_quotes(
        cls,
        quotes: Iterable[OptionQuote],
        *,
        underlying: Underlying,
        spot: Spot,
        as_of: dt.datetime,
        rate: float,
        div_yield: float | None = None,
        data_type: DataType | None = None,
        notes: tuple[str, ...] = (),
        fetch: Fetch | None = None,
        multiplier: int = 100,
        trading_class: str = "",
        carries: Iterable[Carry] = (),
    ) -> Chain:
        """Build a chain from rows; ``dte`` and ``tau`` are computed from *as_of*."""
        rows = list(quotes)
        cells: dict[str, list[Any]] = {
            name: [math.nan if (v := getattr(row, name)) is None else v for row in rows]
            for name in _REAL
        }
        cells |= {
            "con_id": [row.con_id or 0 for row in rows],
            "expiry": [row.expiry for row in rows],
            "right": [row.right for row in rows],
            "status": [row.status.value for row in rows],
            "quote_source": [row.quote_source.value if row.quote_source else "" for row in rows],
            "greeks_source": [row.greeks_source for row in rows],
            "quoted_at": [_naive_utc(row.quoted_at) for row in rows],
        }
        columns: dict[str, NDArray[Any]] = {
            name: np.array(values, dtype=COLUMNS[name]) for name, values in cells.items()
        }
        day = dates.local_date(as_of, underlying.time_zone)
        expiry = columns["expiry"]
        settlement = partial(
            dates.expiry_moment, underlying=underlying, trading_class=trading_class
        )
        moments = {name: settlement(name.item()) for name in np.unique(expiry)}
        days = {name: (moment.date() - day).days for name, moment in moments.items()}
        years = {name: dates.years_until(as_of, moment) for name, moment in moments.items()}
        columns["dte"] = np.array([days[name] for name in expiry], dtype="int64")
        columns["tau"] = np.array([years[name] for name in expiry], dtype="float64")
        return cls(
            underlying=underlying,
            spot=spot,
            as_of=as_of,
            rate=rate,
            div_yield=div_yield,
            data_type=data_type or spot.data_type,
            columns=columns,
            notes=notes,
            fetch=fetch or Fetch(),
            multiplier=multiplier,
            trading_class=trading_class,
            carries=tuple(carries),
        )

    @classmethod
    @suggests
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        symbol: str | None = None,
        as_of: dt.datetime | dt.date | str | None = None,
        spot: float | None = None,
        rate: float | None = None,
    ) -> Chain:
        """
        A chain of the rows of a DataFrame: ``strike``, ``right``, ``bid``, ``ask`` and ``expiry``
        are enough.

        Names of columns as most programs write them are understood (``impliedVolatility``,
        ``openInterest``, ``lastPrice``, ``expiration``, ``type``, ``is_call``), and so are names of
        contracts (``contractSymbol``, as of yfinance). IV and Greeks that are missing are computed
        from the quotes. A frame of `to_frame` says itself what the arguments say.

        Args:
            frame: A row a contract; it is not changed.
            symbol: Of the underlying, such as ``"SPY"``.
            as_of: When it was quoted; a day means its close.
            spot: Currency per share; by default drawn from put-call parity.
            rate: Fraction a year; by default ``market.rate`` of the settings' defaults.

        Raises:
            BadFile: A column is missing, a cell cannot be read, or symbol or time are not known.
            MissingSpot: No spot is known, and no pair of call and put implies it.
            UsageError: *frame* is no DataFrame, or *as_of* no time.
        """
        made: Chain = filed(
            "frames", "chain_of_frame", frame, symbol=symbol, as_of=as_of, spot=spot, rate=rate
        )
        return made

    def to_csv(self, path: Path | str | None = None) -> str:
        """
        The chain as CSV, as `tomic chain` exports it and `load_chain` reads it back.

        Args:
            path: File to write too.

        Raises:
            BadFile: The file cannot be written.
        """
        return self._written("to_csv_text", self, path)

    def to_json(self, path: Path | str | None = None) -> str:
        """The chain as a document ``tomic.chain/1`` with every row; otherwise as `to_csv`."""
        return self._written("to_json", [self], path)

    @staticmethod
    def _written(how: str, what: Any, path: Path | str | None) -> str:
        text: str = filed("writing", how, what)
        if path is not None:
            filed("writing", "write_text", Path(path), text)
        return text

    def __len__(self) -> int:
        return len(self.columns["strike"])

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self.columns[name]
        except (KeyError, TypeError):
            raise self._no_column(name) from None

    def __getattr__(self, name: str) -> Any:
        # Only what is no attribute comes here.
        if name in COLUMNS:
            raise AttributeError(f"a chain has columns, not attributes: write chain[{name!r}]")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @staticmethod
    def _no_column(name: object) -> KeyError:
        near = difflib.get_close_matches(str(name).lower(), COLUMNS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COLUMNS)}"
        return KeyError(f"{name!r:.40} is no column of a chain; {hint}")

    @property
    def symbol(self) -> str:
        """Symbol of the underlying."""
        return self.underlying.symbol

    @property
    def exercise_style(self) -> ExerciseStyle:
        """When options of its class may be exercised."""
        return self.underlying.exercise_style_of(self.trading_class)

    @property
    def is_american(self) -> bool:
        """Whether its options may be exercised early."""
        return self.exercise_style is ExerciseStyle.AMERICAN

    @property
    def is_call(self) -> BoolArray:
        """True for calls."""
        return cast(BoolArray, self.columns["right"] == "C")

    @property
    def mid(self) -> FloatArray:
        """Mean of bid and ask, NaN where either is missing."""
        return cast(FloatArray, 0.5 * (self.columns["bid"] + self.columns["ask"]))

    @property
    def expiries(self) -> tuple[dt.date, ...]:
        """Expiries present, ascending."""
        return tuple(day.item() for day in np.unique(self.columns["expiry"]))

    def named(self, expiry: dt.date) -> dt.date | None:
        """
        The expiry of this chain that *expiry* names; None where there is none.

        A class that settles at the open is listed by its last trading day at IB, and named by the
        day of its settlement in most files and by most people.
        """
        if expiry in self.expiries:
            return expiry
        settled = partial(
            dates.settlement_day,
            trading_class=self.trading_class,
            symbol=self.symbol if self.underlying.settles_in_cash else "",
        )
        return next((day for day in self.expiries if settled(day) == settled(expiry)), None)

    @property
    def counts(self) -> dict[str, int]:
        """Status to number of rows, only those present."""
        return dict(Counter(self.columns["status"].tolist()))

    @property
    def gaps(self) -> dict[str, int]:
        """Status to number of rows, everything but ``ok``."""
        return {name: n for name, n in sorted(self.counts.items()) if name != RowStatus.OK}

    @property
    def completeness(self) -> float:
        """
        Share of ``ok`` among the contracts that exist and whose delta is wanted; 0 for none.

        A contract outside the range of deltas was answered; it is left out because not wanted. Of
        an expiry that is listed some contract exists: where none of it is known, all are missing.
        """
        counts, status, expiry = self.counts, self.columns["status"], self.columns["expiry"]
        known = status != RowStatus.UNKNOWN_CONTRACT
        unlisted = int((~known & np.isin(expiry, expiry[known])).sum())
        wanted = len(self) - unlisted - counts.get(RowStatus.DELTA_OUT_OF_RANGE, 0)
        return counts.get(RowStatus.OK, 0) / wanted if wanted else 0.0

    @property
    def unknown_expiries(self) -> tuple[dt.date, ...]:
        """Expiries that the class lists, and of which the gateway knows none of the contracts."""
        known = self.columns["status"] != RowStatus.UNKNOWN_CONTRACT
        all_known = self.columns["expiry"][known]
        return tuple(day for day in self.expiries if np.datetime64(day, "D") not in all_known)

    @property
    def is_final(self) -> bool:
        """Whether asking again would not bring any further row."""
        return all(RowStatus(name).is_final for name in self.counts)

    @property
    def unanswered(self) -> dict[str, int]:
        """Status to number of rows that time, a lost line or a subscription left without answer."""
        return {name: n for name, n in self.gaps.items() if not RowStatus(name).is_final}

    @property
    def is_cut(self) -> bool:
        """
        Whether a part is missing that the market may have: rows without an answer, or a run that
        a deadline, a lost line or an interrupt ended.

        What IB says does not exist or is not quoted does not count as missing.
        """
        return self.fetch.cut_short or not self.is_final

    @property
    def cut(self) -> str:
        """What is missing from a chain that `is_cut`, in words; empty when it is complete."""
        missing = self.unanswered
        if not missing:
            return "out of time" if self.fetch.cut_short else ""
        late = "out of time" if self.fetch.cut_short else "no answer"
        words = {RowStatus.TIMEOUT: late, RowStatus.NOT_SUBSCRIBED: "not subscribed"}
        named = {words.get(RowStatus(name), name): n for name, n in missing.items()}
        reasons = ", ".join(f"{word} {n}" if len(named) > 1 else word for word, n in named.items())
        return f"{sum(missing.values())} of {len(self)} options missing: {reasons}"

    @property
    def frame(self) -> pd.DataFrame:
        """As `to_frame`: a DataFrame of the caller's own, made anew each time."""
        return self.to_frame()

    def to_frame(self) -> pd.DataFrame:
        """
        The columns as a DataFrame, a row a contract; ``quoted_at`` in UTC.

        It is the caller's own: what is done to it changes neither the chain nor the next frame.
        """
        import pandas as pd

        frame = pd.DataFrame({name: self.columns[name].copy() for name in COLUMNS})
        frame["quoted_at"] = frame["quoted_at"].dt.tz_localize("UTC")
        # So that `from_frame` makes a chain of it, or of some of its rows, again.
        frame.attrs.update(
            symbol=self.symbol,
            as_of=self.as_of,
            spot=self.spot.price,
            spot_source=self.spot.source.value,
            rate=self.rate,
            data_type=self.data_type.value,
            multiplier=self.multiplier,
        )
        return frame

    def where(self, keep: BoolArray) -> Chain:
        """Return the chain with only the rows where *keep* is true."""
        return replace(self, columns={name: array[keep] for name, array in self.columns.items()})

    def with_columns(self, **columns: NDArray[Any]) -> Chain:
        """Return the chain with some columns replaced; the others are shared."""
        return replace(self, columns={**self.columns, **columns})

    def updated(self, fresh: Chain) -> Chain:
        """Return the chain with the rows of *fresh* in place of its own, at the newer spot."""
        rows = {(row.expiry, row.strike, row.right): row for row in self.rows()}
        rows |= {(row.expiry, row.strike, row.right): row for row in fresh.rows()}
        note = f"quotes of {self.as_of:%H:%M:%S} UTC but for {len(fresh)} options"
        return Chain.from_quotes(
            rows.values(),
            underlying=fresh.underlying,
            spot=fresh.spot,
            as_of=fresh.as_of,
            rate=self.rate,
            div_yield=self.div_yield,
            data_type=fresh.data_type,
            notes=(*self.notes, note),
            multiplier=self.multiplier,
            trading_class=self.trading_class,
        )

    def rows(self) -> Iterator[OptionQuote]:
        """Yield each row as a model, ``None`` where a number is missing."""
        lists = {name: array.tolist() for name, array in self.columns.items()}
        for index in range(len(self)):
            yield self._row({name: values[index] for name, values in lists.items()})

    @staticmethod
    def _row(cells: dict[str, Any]) -> OptionQuote:
        for name in _REAL:
            if math.isnan(cells[name]):
                cells[name] = None
        for name in _INTEGRAL:
            if cells[name] is not None:
                cells[name] = int(cells[name])
        stamp: dt.datetime | None = cells["quoted_at"]
        return OptionQuote.model_construct(
            con_id=cells["con_id"] or None,
            expiry=cells["expiry"],
            dte=cells["dte"],
            strike=cells["strike"],
            right=cast(Literal["C", "P"], cells["right"]),
            **{name: cells[name] for name in _REAL if name != "strike"},
            status=RowStatus(cells["status"]),
            quote_source=QuoteSource(cells["quote_source"]) if cells["quote_source"] else None,
            greeks_source=cells["greeks_source"],
            quoted_at=stamp.replace(tzinfo=dt.UTC) if stamp is not None else None,
        )

    def plot_smile(self, expiry: dt.date | None = None, **options: Any) -> Any:
        """
        Draw quotes and fitted smile of one expiry; see `tomic.report.pictures.chain_smile`.

        Returns matplotlib axes; needs matplotlib, the extra ``plot``.
        """
        return draw("chain_smile", self, expiry, **options)

    def plot_term_structure(self, **options: Any) -> Any:
        """Draw at-the-money volatility by expiry; see `tomic.report.pictures`."""
        return draw("chain_term_structure", self, **options)

    def _repr_html_(self) -> str:
        title = (
            f"<b>{self.symbol}</b> {self.spot.price:g} · {self.data_type.value} · "
            f"{self.as_of:%Y-%m-%d %H:%M:%S %Z} · {self.completeness:.0%} complete"
        )
        return (
            f"<p>{title}</p>{self.frame.drop(columns=['con_id', 'quoted_at']).to_html(max_rows=40)}"
        )


def _naive_utc(stamp: dt.datetime | None) -> dt.datetime | None:
    return stamp.astimezone(dt.UTC).replace(tzinfo=None) if stamp is not None else None
