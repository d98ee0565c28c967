"""
Trades in the files of Interactive Brokers: activity statements and Flex queries, CSV and XML.

What a file is shows in it, not in its name. A row is read, or kept aside as it stands with the
reason, or counted by what it is; it costs no other row. What is neither a stock nor an option of
one is counted by its kind.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tomic import outside
from tomic.errors import BadFile
from tomic.journal.broker import activity, flex, flexxml, unnamed
from tomic.journal.broker.cells import Cells
from tomic.journal.broker.rows import BrokerFile, FileRow, Line, Shared, Stored, drained

__all__ = ["KINDS", "BrokerFile", "FileRow", "Stored", "parse", "read_again"]

# What a broker's file may be, in words.
KINDS = (
    "an activity statement (CSV, section Trades) or a Flex query of trades (XML, or CSV with its "
    "column headers) with Symbol, DateTime, Quantity and TradePrice"
)
_EXPORT = (
    "export Trades at level Execution, as XML or as CSV with column headers, dates as yyyyMMdd; or "
    "the activity statement as CSV"
)
_LINES = re.compile(r"\r\n|\r|\n")
_DIGIT = re.compile(r"\d", re.ASCII)
"""No name of a column has one, and every row of data has."""
_TABLES = ("HEADER", "DATA")
_FRAMES = ("BOF", "BOA", "BOS", "EOS", "EOA", "EOF", "ACCOUNT")
_SHOWN = 3


def parse(name: str, text: str, stored: Mapping[str, Stored] | None = None) -> BrokerFile:
    """
    Read a broker's file; *name* is put in front of what is wrong.

    Args:
        stored: Executions that are known, by number: a row of a query that tells nothing else is
            recognised before anything is made of it.

    Raises:
        BadFile: No such file; it says which of its lines could not be read.
    """
    text = text.lstrip("\ufeff")
    if text.lstrip()[:1] == "<":
        return flexxml.parse(name, text, stored)
    lines = _LINES.split(text)
    separator = _separator(lines)
    rows = list(_rows(lines, separator))
    if activity.is_statement(rows):
        return activity.read(rows, separator)
    return _parse_query(name, drained(rows), separator, stored)


def read_again(columns: str, rows: Sequence[str]) -> BrokerFile:
    """
    Read rows that were kept, with what names their columns; their lines count from 1.

    Raises:
        BadFile: They can still not be read.
    """
    if columns.startswith("<"):
        return flexxml.read_again(columns, rows)
    above = len(_LINES.split(columns))
    file = parse("", "\n".join((columns, *rows)))

    def moved(kept: Iterable[FileRow]) -> tuple[FileRow, ...]:
        return tuple(replace(row, line=row.line - above) for row in kept)

    return replace(
        file, rows=moved(file.rows), flow_rows=moved(file.flow_rows), odd=moved(file.odd)
    )


def _separator(lines: Sequence[str]) -> str:
    """What parts the columns: what the first lines with any of them have most of."""
    for line in lines[:20]:
        counts = {sign: line.count(sign) for sign in ",;\t"}
        if any(counts.values()):
            return max(counts, key=lambda sign: counts[sign])
    return ","


def _rows(lines: Sequence[str], separator: str) -> Iterator[Line]:
    """Line by line, so that an odd quotation mark costs its own line and no other."""
    heading, shared = lines[0], Shared()
    for number, text in enumerate(lines, start=1):
        try:
            # Of millions of cells the first are enough to say what cannot be used.
            short = text[: outside.LONGEST_LINE]
            row = next(csv.reader([short], delimiter=separator), [])
        except csv.Error:
            # A cell beyond the reader's limit; without its quotation marks it is still a row.
            row = [cell.strip('"') for cell in short.split(separator)]
        if len(row) > 2 and row[1] == "Header":
            heading = text
        yield Line(number, text, shared.all(row), heading)


# -- Flex queries as CSV -------------------------------------------------------------------------


@dataclass(slots=True)
class _Block:
    """Where in a query the next row stands."""

    account: str = ""
    account_line: str = ""
    section: str = ""
    columns: dict[str, int] | None = None
    heading: str = ""
    rows: int = 0


@dataclass(slots=True)
class _Query:
    """What the lines of a query are."""

    rows: list[flex.Row] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    strange: list[Line] = field(default_factory=list)
    """Lines that no names of columns stand above."""
    bare: dict[tuple[str, int], list[tuple[Line, str]]] = field(default_factory=dict)
    """Trades without names of columns, by account and first cell."""
    lacking: tuple[str, ...] = ()
    """Columns that the first names lacked."""
    is_framed: bool = False
    is_ended: bool = False


def _parse_query(
    name: str, lines: Iterable[Line], separator: str, stored: Mapping[str, Stored] | None
) -> BrokerFile:
    query, block = _Query(), _Block()
    for line in lines:
        if any(map(str.strip, line.row)):
            _sort(line, block, query)
    _name_bare_rows(query)
    if query.is_framed and not query.is_ended:
        query.notes["the file has no end record (EOF): it was cut off; download it again"] = None
    _refuse_what_holds_nothing(name, query)
    if query.strange:
        places = ", ".join(str(line.number) for line in query.strange[:_SHOWN])
        more = "" if len(query.strange) <= _SHOWN else " and others"
        query.notes[
            f"{len(query.strange)} rows have no column headers (line {places}{more}) and were left "
            "out; turn on column headers in the query"
        ] = None
    return flex.read(drained(query.rows), separator, notes=query.notes, stored=stored)


def _sort(line: Line, block: _Block, query: _Query) -> None:
    """Take a line for what it is: a record around the data, names of columns, or a row."""
    cells = line.row
    word = cells[0].strip().upper()
    if word in _FRAMES:
        query.is_framed, query.is_ended = True, word == "EOF"
        _frame(word, [cell.strip() for cell in cells], line, block, query.notes)
        return
    first = 2 if word in _TABLES else 0
    if word in _TABLES and len(cells) > 1 and cells[1] != block.section:
        block.section, block.columns = cells[1], None
    names: list[str] = []
    if word == "HEADER" or not _DIGIT.search(line.text):
        names = [flex.plain(cell) for cell in cells[first:]]
    if word == "HEADER" or (word != "DATA" and flex.is_heading(names)):
        block.columns = {label: first + at for at, label in enumerate(names)}
        block.heading = line.text
        query.lacking = query.lacking or tuple(flex.lacking(names))
    elif block.columns is None and block.section == unnamed.TRADES:
        query.bare.setdefault((block.account, first), []).append((line, block.account_line))
        block.rows += 1
    elif block.columns is None:
        query.strange.append(line)
    else:
        block.rows += 1
        query.rows.append(_query_row(line, block))


def _name_bare_rows(query: _Query) -> None:
    """Read trades without names of columns by the type of their values, where these tell."""
    for (account, first), bare_rows in query.bare.items():
        columns = unnamed.columns_of([line.row for line, _ in bare_rows], first)
        if columns is None:
            query.strange += [line for line, _ in bare_rows]
            continue
        query.notes[
            f"{len(bare_rows)} rows have no column headers and were read by the type of their "
            "values; look at the trades, or turn on column headers in the query"
        ] = None
        query.rows += [
            flex.Row(Cells(line.row, columns), line.kept, unnamed.TRADES, account)
            for line, _ in bare_rows
        ]


def _refuse_what_holds_nothing(name: str, query: _Query) -> None:
    rows, lacking = query.rows, query.lacking
    known = {label for row in rows for label in row.own.columns}
    if not rows or "symbol" not in known:
        raise BadFile(_unreadable(name, query.strange, lacking))
    if not any(not tuple(flex.lacking(row.own.columns)) or _tells(row) for row in rows):
        raise BadFile(_unreadable(name, query.strange, lacking))


def _tells(row: flex.Row) -> bool:
    """Whether a row of a query without trades is of a section that is read."""
    return {"type", "amount"} <= row.own.columns.keys() or "actiondescription" in row.own.columns


def _frame(
    word: str, cells: Sequence[str], line: Line, block: _Block, notes: dict[str, None]
) -> None:
    """A record around the data: which account, which section, how many rows it had."""
    value = cells[1] if len(cells) > 1 else ""
    if word in ("BOF", "BOA", "ACCOUNT"):
        account = activity.account_of(value)
        block.account, block.account_line = account, line.text if account else ""
        block.columns = None
    elif word == "BOS":
        block.section, block.columns, block.rows = value, None, 0
    elif word == "EOS":
        told = next((cell for cell in cells[2:] if cell.isdecimal()), "")
        if told and int(told) != block.rows:
            notes[
                f"section {value} says that it has {told} rows, and has {block.rows}; download it "
                "again"
            ] = None
        block.section, block.columns = "", None


def _query_row(line: Line, block: _Block) -> flex.Row:
    heading = block.heading
    if block.account_line:
        heading = f"{block.account_line}\n{heading}" if heading else block.account_line
    kept = line if line.heading == heading else replace(line, heading=heading)
    columns = block.columns or {}
    return flex.Row(Cells(line.row, columns), kept.kept, block.section, block.account)


def _unreadable(name: str, strange: Sequence[Line], lacking: Sequence[str]) -> str:
    message = f"{name}: no trades in it; it can be {KINDS}"
    if lacking:
        return f"{message}; its columns lack {', '.join(lacking)}: {_EXPORT}"
    if not strange:
        return message
    shown = ", ".join(
        f"line {line.number} {line.text[:40]!r}" for line in strange[:_SHOWN] if line.text
    )
    count = "1 line" if len(strange) == 1 else f"{len(strange)} lines"
    return f"{message}; {count} could not be read ({shown}); {_EXPORT}"
