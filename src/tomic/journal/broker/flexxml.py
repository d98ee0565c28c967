"""
Flex queries of Interactive Brokers as XML.

FlexQueryResponse holds FlexStatements, a FlexStatement for each account, in which each section is
an element with a row in each of its children. Attributes are read by name; IB adds some without
notice, which are skipped.

The reader is expat, and nothing of a document is followed: one with a document type is refused,
so that it can define no entities and name no files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from xml.parsers import expat
from xml.sax.saxutils import quoteattr  # nosec B406 # it only writes

from tomic.errors import BadFile
from tomic.journal.broker import activity, flex
from tomic.journal.broker.cells import Cells
from tomic.journal.broker.rows import BrokerFile, FileRow, Shared, Stored

_ROOT, _STATEMENT = "FlexQueryResponse", "FlexStatement"
_ANSWER = "FlexStatementResponse"
_DEEPEST = 12
"""Levels of elements; IB uses five."""
_MOST_ATTRIBUTES = 400
_PIECE = 1 << 20
_TRADES = ("Trades", "TradeConfirms")


class _Refusal(Exception):
    """A document that no Flex query writes."""


@dataclass(slots=True)
class _Document:
    """What has been read of it so far."""

    path: list[str] = field(default_factory=list)
    account: str = ""
    rows: list[flex.Row] = field(default_factory=list)
    columns: dict[tuple[str, ...], dict[str, int]] = field(default_factory=dict)
    shared: Shared = field(default_factory=Shared)
    root: str = ""
    has_statement: bool = False
    answer: dict[str, str] = field(default_factory=dict)
    """What the Flex Web Service says instead of a report."""
    text: list[str] = field(default_factory=list)


def parse(name: str, text: str, stored: Mapping[str, Stored] | None = None) -> BrokerFile:
    """
    Read a Flex query; *name* is put in front of what is wrong.

    Args:
        stored: Executions that are known: a row that tells nothing else is not read.

    Raises:
        BadFile: No Flex query, cut off, or a document that no broker writes.
    """
    document = _read(name, text)
    if document.root != _ROOT or not document.has_statement:
        raise BadFile(_other(name, document))
    notes = () if document.rows else ("no rows in this query's period",)
    return flex.read(document.rows, "", notes=notes, stored=stored)


def read_again(columns: str, rows: Sequence[str]) -> BrokerFile:
    """
    Read rows that were kept, inside what they stood in; their lines count from 1.

    Raises:
        BadFile: They can still not be read.
    """
    ends = [f"</{tag.split()[0]}>" for tag in columns.strip("<>").split("><")]
    text = "\n".join((columns, *rows, "".join(reversed(ends))))
    document = _read("", text)
    moved = [replace(row, place=partial(_moved, row.place)) for row in document.rows]
    return flex.read(moved, "")


def answer(text: str) -> dict[str, str]:
    """
    What the Flex Web Service says instead of a report, by lower-case names of its elements.

    Raises:
        BadFile: It is no such answer, or was cut off.
    """
    document = _read("answer", text)
    if document.root != _ANSWER:
        raise BadFile(_other("answer", document))
    return document.answer


def _moved(place: Callable[[str], FileRow], reason: str) -> FileRow:
    row = place(reason)
    return replace(row, line=row.line - 1)


def _read(name: str, text: str) -> _Document:
    document, text = _Document(), text.lstrip()
    # The text is decoded already; a declaration of how it was encoded no longer holds.
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = partial(_start, document, parser)
    parser.EndElementHandler = partial(_end, document)
    parser.CharacterDataHandler = partial(_characters, document)
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.EntityDeclHandler = _refuse_doctype
    try:
        for start in range(0, len(text), _PIECE):
            parser.Parse(text[start : start + _PIECE].encode("utf-8", "surrogatepass"), False)
        parser.Parse(b"", True)
    except expat.ExpatError as exc:
        reason = expat.ErrorString(exc.code)
        if _is_page(document, text):
            raise BadFile(_other(name, document)) from exc
        raise BadFile(
            f"{name}: line {exc.lineno}: {reason}; the file was cut off or changed, download it "
            "again"
        ) from exc
    except _Refusal as exc:
        raise BadFile(f"{name}: line {parser.CurrentLineNumber}: {exc}") from exc
    return document


def _is_page(document: _Document, text: str) -> bool:
    return document.root.lower() == "html" or "<html" in text[:2000].lower()


def _refuse_doctype(name: str, *_: object) -> None:
    if name.lower() == "html":
        raise _Refusal("this is a page, no Flex query; the address or the login may have failed")
    raise _Refusal("it has a document type, which no Flex query has; it is not read")


def _start(
    document: _Document, parser: expat.XMLParserType, tag: str, attributes: dict[str, str]
) -> None:
    if len(document.path) >= _DEEPEST or len(attributes) > _MOST_ATTRIBUTES:
        raise _Refusal("its elements are deeper or longer than those of a Flex query")
    document.root = document.root or tag
    path = document.path
    if tag == _STATEMENT:
        document.has_statement = True
        document.account = activity.account_of(attributes.get("accountId", ""))
    elif document.has_statement and len(path) >= 2 and path[-1] != _STATEMENT:
        section = path[-1]
        if path[-2] == _STATEMENT or section == tag:
            document.rows.append(_row(document, parser.CurrentLineNumber, section, tag, attributes))
    elif document.has_statement and len(path) and path[-1] == _STATEMENT and attributes:
        # Sections of one row, such as the data of the account, are elements without children.
        document.rows.append(_row(document, parser.CurrentLineNumber, tag, tag, attributes))
    path.append(tag)


def _row(
    document: _Document, line: int, section: str, tag: str, attributes: dict[str, str]
) -> flex.Row:
    names = tuple(attributes)
    columns = document.columns.get(names)
    if columns is None:
        columns = document.columns[names] = {flex.plain(name): at for at, name in enumerate(names)}
    row = document.shared.all(attributes.values())
    level = flex.LEVEL_OF_TAG.get(tag, "") if section in _TRADES else ""
    return flex.Row(
        Cells(row, columns),
        partial(_kept, line, document.account, section, tag, names, row),
        section,
        document.account,
        level,
    )


def _kept(
    line: int,
    account: str,
    section: str,
    tag: str,
    names: Sequence[str],
    row: Sequence[str],
    reason: str,
) -> FileRow:
    """A row as it stands in its file, and the elements around it."""
    around = f"<{_ROOT}><FlexStatements><{_STATEMENT} accountId={quoteattr(account)}><{section}>"
    pairs = zip(names, row, strict=True)
    text = " ".join(f"{name}={quoteattr(value, _ENTITIES)}" for name, value in pairs)
    return FileRow(line, around, f"<{tag} {text}/>", reason)


_ENTITIES = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def _end(document: _Document, tag: str) -> None:
    if document.root == _ANSWER and (text := "".join(document.text).strip()):
        document.answer[tag.lower()] = text
    document.text.clear()
    document.path.pop()


def _characters(document: _Document, text: str) -> None:
    if document.root == _ANSWER:
        document.text.append(text)


def _other(name: str, document: _Document) -> str:
    if document.root == _ANSWER:
        told = (document.answer.get(part, "") for part in ("status", "errorcode", "errormessage"))
        words = " ".join(part for part in told if part)
        return f"{name}: no report but an answer of the Flex Web Service: {words}"
    if document.root.lower() == "html":
        return f"{name}: a page, no Flex query; the address or the login may have failed"
    return (
        f"{name}: XML of another kind (it begins with {document.root or 'nothing'}); a Flex query "
        f"begins with {_ROOT}"
    )
