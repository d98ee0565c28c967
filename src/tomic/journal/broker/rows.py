"""Rows of a broker's file, of which level they are, and what is read from them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from tomic.errors import TomicError
from tomic.journal import executions
from tomic.journal.broker.cells import Refused
from tomic.journal.executions import Executed
from tomic.models import settles_in_cash
from tomic.models.documents import first_fault
from tomic.models.journal import Action, CashFlow, CashKind, ContractChange

EVENING = dt.time(16, 20)
"""When IB books expiries, exercises and assignments, New York."""
_SHOWN = 8
_MOST_SHARED = 20_000


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row as it stands in its file."""

    line: int
    columns: str
    """What names its columns: both together can be read again."""
    text: str
    reason: str = ""
    """Why it is not an execution; empty where it is one."""


class Stored(NamedTuple):
    """An execution that is stored already, as far as a row has to agree with it to be that one."""

    con_id: int
    quantity: float
    price: float
    account: str
    lacks: tuple[str, ...] = ()
    """What the reports of it did not tell: a row that tells it is read."""


@dataclass(frozen=True, slots=True)
class BrokerFile:
    """What a file holds."""

    kind: str
    executions: tuple[Executed, ...] = ()
    cash_flows: tuple[CashFlow, ...] = ()
    """Dividends, interest, settlements in cash."""
    contract_changes: tuple[ContractChange, ...] = ()
    """Splits and the like."""
    known: tuple[str, ...] = ()
    """Numbers of executions that are stored already, and of which the file tells nothing new."""
    odd: tuple[FileRow, ...] = ()
    """Rows that should have been one of these, and are not."""
    rows: tuple[FileRow, ...] = ()
    """The row of each execution."""
    flow_rows: tuple[FileRow, ...] = ()
    """The row of each flow."""
    other_assets: Mapping[str, int] = field(default_factory=dict)
    """Rows of other kinds of assets, by the name of the kind in the file."""
    other_levels: Mapping[str, int] = field(default_factory=dict)
    """Rows that repeat others, in parts or in sum, by their level of detail."""
    other_rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that hold no trade, by what they are."""
    notes: tuple[str, ...] = ()
    """What was not told by the file but taken for granted, and what it lacks."""

    @property
    def left_out(self) -> int:
        """How many rows are of other kinds of assets."""
        return sum(self.other_assets.values())

    def say(self) -> Iterator[str]:
        """In words: how many rows were left out and why, then the notes."""
        if self.left_out:
            yield f"{_rows(self.other_assets)} of other instruments left out"
        if self.other_levels:
            why = (
                "repeat others"
                if self.executions or self.known
                else "are of levels that are not read"
            )
            yield f"{_rows(self.other_levels)} left out: they {why}"
        if self.other_rows:
            yield f"{_rows(self.other_rows)} without trades left out"
        yield from self.notes


def _rows(counts: Mapping[str, int]) -> str:
    """How many rows, and of which kinds: ``3 rows (FOP 2, CASH 1)``."""
    total = sum(counts.values())
    shown = [f"{name} {count}" for name, count in list(counts.items())[:_SHOWN]]
    kinds = ", ".join([*shown, "…"] if len(counts) > len(shown) else shown)
    return f"{total} {'row' if total == 1 else 'rows'} ({kinds})"


_Item = TypeVar("_Item")


def drained(items: list[_Item]) -> Iterator[_Item]:
    """Each of a list, which it leaves: tens of thousands of rows are let go as they are read."""
    items.reverse()
    while items:
        yield items.pop()


class Shared:
    """Each text of a file once: most cells say what those above them say."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def all(self, cells: Iterable[str]) -> list[str]:
        """The same cells, equal ones one object; numbers that never return are not kept."""
        texts = self._texts
        if len(texts) < _MOST_SHARED:
            return [texts.setdefault(cell, cell) for cell in cells]
        return [texts.get(cell, cell) for cell in cells]


# Made for every row: what is frozen takes three times as long to make.
@dataclass(slots=True)
class Line:
    """One line of a file, its cells, and what names its columns."""

    number: int
    text: str
    row: list[str]
    heading: str

    def kept(self, reason: str = "") -> FileRow:
        """As it is kept."""
        return FileRow(self.number, self.heading, self.text, reason)


@dataclass(slots=True)
class Reported:
    """A row of a stock or an option, and how it is read."""

    place: Callable[[str], FileRow]
    """The row as it is kept, with a reason."""
    level: str
    group: tuple[str, ...]
    """Rows of which one level alone counts."""
    read: Callable[[], Executed | None] | None
    """None for a row of another kind of asset; gives None where it was read already."""
    asset: str = ""


def on_future() -> Executed:
    """
    What is read from the row of an option on a future.

    Raises:
        Refused: Always; so the row is kept with its reason.
    """
    raise Refused(executions.ON_FUTURE)


_Report = TypeVar("_Report", Executed, CashFlow, ContractChange)


class Reader:
    """Gathers what the rows of a file hold."""

    def __init__(self, levels: tuple[str, ...], stored: Mapping[str, Stored] | None = None) -> None:
        self._levels = levels
        self.stored: Mapping[str, Stored] = stored or {}
        """Executions that need not be read again, by their numbers."""
        self.known: dict[str, None] = {}
        """Those of them that the file has."""
        self.executions: list[Executed] = []
        self.rows: list[FileRow] = []
        self.flows: list[CashFlow] = []
        self.flow_rows: list[FileRow] = []
        self.changes: list[ContractChange] = []
        self.odd: list[FileRow] = []
        self.assets: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self.notes: dict[str, None] = {}

    def take(self, reported: Iterable[Reported]) -> None:
        """
        Read executions of one level of detail: of orders and their parts only one may count.

        The levels are in order of preference; a row that names none counts always.
        """
        kept = list(reported)
        there: dict[tuple[str, ...], set[str]] = {}
        for row in kept:
            there.setdefault(row.group, set()).add(row.level)
        best = {
            group: next((level for level in self._levels if level in levels), None)
            for group, levels in there.items()
        }
        for row in drained(kept):
            if row.level not in ("", best[row.group]):
                self.levels[row.level] += row.read is not None
            elif row.read is None:
                self.assets[row.asset] += 1
            elif (execution := self.attempt(row.read, row.place)) is not None:
                self.executions.append(execution)
                self.rows.append(row.place(""))

    def recognise(self, number: str) -> None:
        """Note an execution that is stored already."""
        if number in self.known:
            self.levels["told twice"] += 1
        self.known[number] = None

    def attempt(
        self, read: Callable[[], _Report | None], place: Callable[[str], FileRow]
    ) -> _Report | None:
        """What a row says; a row without sense is kept with its reason, and costs no other."""
        try:
            value = read()
            if value is not None and (reason := executions.fault(value)):
                raise Refused(reason)
        except ValidationError as exc:
            self.odd.append(place(first_fault(exc)))
        # Whatever a row says, it is kept with its reason and the others are read.
        except (TomicError, ValueError, ArithmeticError) as exc:
            self.odd.append(place(str(exc)))
        else:
            return value
        return None

    def file(self, kind: str) -> BrokerFile:
        """Everything that was read; what two sections of one file tell counts once."""
        self._keep_each_once()
        self._miss_settlements(self.executions)
        return BrokerFile(
            kind,
            executions=tuple(executions.numbered(self.executions)),
            known=tuple(self.known),
            cash_flows=tuple(self.flows),
            contract_changes=tuple(dict.fromkeys(self.changes)),
            odd=tuple(sorted(self.odd, key=lambda row: row.line)),
            rows=tuple(self.rows),
            flow_rows=tuple(self.flow_rows),
            other_assets=dict(+self.assets),
            other_levels=dict(+self.levels),
            other_rows=dict(+self.others),
            notes=tuple(self.notes),
        )

    def _keep_each_once(self) -> None:
        kept: list[tuple[Executed, FileRow]] = []
        by_number: dict[str, list[Executed]] = {}
        for execution, row in zip(self.executions, self.rows, strict=True):
            others = by_number.setdefault(execution.exec_id, []) if execution.exec_id else []
            if any(_is_told_twice(execution, other) for other in others):
                self.levels["told twice"] += 1
                continue
            others.append(execution)
            kept.append((execution, row))
        self.executions = [execution for execution, _ in kept]
        self.rows = [row for _, row in kept]

    def _miss_settlements(self, given: Iterable[Executed]) -> None:
        """Say which options were settled in cash without the file telling at what."""
        settled = {
            (flow.symbol, flow.contract) for flow in self.flows if flow.kind is CashKind.SETTLEMENT
        }
        lacking = Counter(
            execution.symbol
            for execution in given
            if execution.action is Action.ASSIGN
            and not execution.contract.is_stock
            and execution.price == 0.0
            and settles_in_cash(execution.symbol, execution.contract.trading_class)
            and (execution.symbol, execution.contract) not in settled
        )
        for symbol, count in lacking.items():
            self.notes[
                f"{count} settlements of {symbol} in cash without their amount: include Option "
                "Exercises, Assignments and Expirations"
            ] = None


def _is_told_twice(execution: Executed, other: Executed) -> bool:
    return (execution.symbol, execution.quantity, execution.contract) == (
        other.symbol,
        other.quantity,
        other.contract,
    )
