"""
Messages between fields and frozen dataclasses, read from the classes' own annotations.

What the fields of a message are depends on its id and on the negotiated server version; a
:class:`MessageTable` holds one layout per message class of one direction::

    @message(ANSWERS, 93)
    class MarketRule:
        rule_id: int
        steps: tuple[PriceStep, ...]
"""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, Protocol, TypeVar, cast, dataclass_transform

from tomic.wire.framing import Fields, WireError, frame_fields, kind_of

UNSET = 1.7976931348623157e308
"""How TWS writes a number that it has not computed yet."""
_UNSET_TEXT = "1.7976931348623157E308"


def number_text(value: float) -> str:
    """A float as TWS writes it; its unset value in its own spelling."""
    if value == UNSET:
        return _UNSET_TEXT
    return "Infinite" if value == math.inf else repr(float(value))


class Cursor:
    """Reads a field list from left to right for one server version."""

    __slots__ = ("_at", "_fields", "version")

    def __init__(self, parts: Sequence[str], version: int) -> None:
        self._fields, self._at, self.version = parts, 0, version

    def text(self) -> str:
        """The next field as it is."""
        if self._at >= len(self._fields):
            raise WireError(f"a message ends after {len(self._fields)} fields")
        self._at += 1
        return self._fields[self._at - 1]

    def integer(self) -> int:
        """The next field as a whole number; empty counts as zero."""
        text = self.text()
        try:
            return int(text) if text else 0
        except ValueError as exc:
            raise WireError(f"field {self._at} is no whole number: {text[:40]!r}") from exc

    def number(self) -> float:
        """The next field as a number; empty counts as zero, NaN is refused."""
        text = self.text()
        if text == "Infinite":
            return math.inf
        try:
            value = float(text) if text else 0.0
        except ValueError as exc:
            raise WireError(f"field {self._at} is no number: {text[:40]!r}") from exc
        if not math.isfinite(value):
            raise WireError(f"field {self._at} is no finite number: {text[:40]!r}")
        return value

    def flag(self) -> bool:
        """The next field as a yes or no; 1 and true are yes."""
        text = self.text().lower()
        if text not in {"", "0", "1", "true", "false"}:
            raise WireError(f"field {self._at} is neither 0 nor 1: {text[:40]!r}")
        return text in {"1", "true"}

    def count(self) -> int:
        """The next field as the length of a list that follows."""
        number = self.integer()
        if not 0 <= number <= len(self._fields) - self._at:
            raise WireError(f"field {self._at} announces {number} items")
        return number

    def blank(self) -> bool:
        """Whether there is a next field and it is empty."""
        return self._at < len(self._fields) and not self._fields[self._at]

    def rest(self) -> Fields:
        """Everything not read yet."""
        start, self._at = self._at, len(self._fields)
        return tuple(self._fields[start:])


Encode = Callable[[Any, list[str], int], None]
Decode = Callable[[Cursor], Any]


@dataclass(frozen=True, slots=True)
class OnWire:
    """
    Says when a field is sent: ``Annotated[str, OnWire(since=176)]``, with a default for the rest.

    Args:
        since, until: Server versions that know the field; *until* is the first that does not.
        when: Told the fields so far by name; False leaves the field out.
    """

    since: int = 0
    until: int = 9999
    when: Callable[[dict[str, Any]], bool] | None = None


def _scalar(hint: Any) -> tuple[Encode, Decode] | None:
    if hint is str:
        return (lambda value, out, _: out.append(value), Cursor.text)
    if hint is bool:
        return (lambda value, out, _: out.append("1" if value else "0"), Cursor.flag)
    if hint is int:
        return (lambda value, out, _: out.append(str(value)), Cursor.integer)
    if hint is float:
        return (lambda value, out, _: out.append(number_text(value)), Cursor.number)
    return None


def _optional(hint: Any) -> tuple[Encode, Decode]:
    inner = _codec(next(arg for arg in typing.get_args(hint) if arg is not NoneType))
    encode_one, decode_one = inner

    def encode(value: Any, out: list[str], version: int) -> None:
        if value is None:
            out.append("")
        else:
            encode_one(value, out, version)

    def decode(cursor: Cursor) -> Any:
        if cursor.blank():
            cursor.text()
            return None
        return decode_one(cursor)

    return encode, decode


def _listed(hint: Any) -> tuple[Encode, Decode]:
    encode_one, decode_one = _codec(typing.get_args(hint)[0])

    def encode(value: Any, out: list[str], version: int) -> None:
        out.append(str(len(value)))
        for item in value:
            encode_one(item, out, version)

    def decode(cursor: Cursor) -> Any:
        return tuple(decode_one(cursor) for _ in range(cursor.count()))

    return encode, decode


def _codec(hint: Any) -> tuple[Encode, Decode]:
    scalar = _scalar(hint)
    if scalar is not None:
        return scalar
    if typing.get_origin(hint) in (UnionType, typing.Union):
        return _optional(hint)
    if typing.get_origin(hint) is tuple:
        return _listed(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        layout = Layout(hint)
        return layout.encode, layout.decode
    raise TypeError(f"no wire format for {hint}")


@dataclass(frozen=True, slots=True)
class _Part:
    name: str
    encode: Encode
    decode: Decode
    sent: OnWire


def _part(name: str, hint: Any) -> _Part:
    sent = OnWire()
    if typing.get_origin(hint) is typing.Annotated:
        hint, sent = typing.get_args(hint)
    encode, decode = _codec(hint)
    return _Part(name, encode, decode, sent)


class _Plan:
    """The fields of one message class for one server version, in order."""

    __slots__ = ("depends", "encoders", "parts", "values")

    def __init__(self, parts: tuple[_Part, ...]) -> None:
        self.parts = parts
        self.depends = any(part.sent.when is not None for part in parts)
        """Whether what is sent of a field depends on others; of most messages nothing does."""
        self.encoders = tuple(part.encode for part in parts)
        names = tuple(part.name for part in parts)
        # With fewer than two names it gives no tuple.
        self.values: Callable[[Any], tuple[Any, ...]] = (
            attrgetter(*names)
            if len(names) > 1
            else lambda value: tuple(getattr(value, name) for name in names)
        )


class Layout:
    """
    How the fields of one dataclass follow each other, per server version.

    The annotations are read with the first message: a program that starts needs a few of the two
    hundred messages there are, and reading all takes longer than its first chain's answers.
    """

    def __init__(self, cls: type) -> None:
        self._cls = cls
        self._known: dict[int, _Plan] = {}

    @functools.cached_property
    def parts(self) -> tuple[_Part, ...]:
        """
        Every field, whatever the version.

        Raises:
            TypeError: A field has no form on the wire.
        """
        hints = typing.get_type_hints(self._cls, include_extras=True)
        return tuple(_part(item.name, hints[item.name]) for item in fields(self._cls))

    def _of(self, version: int) -> _Plan:
        known = self._known.get(version)
        if known is None:
            parts = self.parts
            known = _Plan(
                tuple(part for part in parts if part.sent.since <= version < part.sent.until)
            )
            self._known[version] = known
        return known

    def encode(self, value: Any, out: list[str], version: int) -> None:
        """Append the fields of *value*."""
        plan = self._of(version)
        if not plan.depends:
            for encode, item in zip(plan.encoders, plan.values(value), strict=True):
                encode(item, out, version)
            return
        by_name = _by_name(value)
        for part in plan.parts:
            when = part.sent.when
            if when is None or when(by_name):
                part.encode(getattr(value, part.name), out, version)

    def decode(self, cursor: Cursor) -> Any:
        """Read one value."""
        values: dict[str, Any] = {}
        for part in self._of(cursor.version).parts:
            when = part.sent.when
            if when is None or when(values):
                values[part.name] = part.decode(cursor)
        return self._cls(**values)


def _by_name(value: Any) -> dict[str, Any]:
    return {item.name: getattr(value, item.name) for item in fields(value)}


class Codec(Protocol):
    """Writes and reads the fields of one message class."""

    def encode(self, value: Any, out: list[str], version: int) -> None:
        """Append the fields of *value*."""

    def decode(self, cursor: Cursor) -> Any:
        """Read one value."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Entry:
    cls: type
    ident: int
    version: str
    version_until: int
    numbered: bool
    codec: Codec

    def own_version(self, server_version: int) -> str:
        """The message's own version number; empty where none is sent."""
        return self.version if server_version < self.version_until else ""


class MessageTable:
    """Message classes of one direction by id, with their layouts."""

    def __init__(self) -> None:
        self._by_class: dict[type, _Entry] = {}
        self._by_id: dict[int, _Entry] = {}

    def add(self, entry: _Entry) -> None:
        """Take a message class in; see :func:`message`."""
        self._by_class[entry.cls] = self._by_id[entry.ident] = entry

    def ids(self) -> frozenset[int]:
        """The message ids of this table."""
        return frozenset(self._by_id)

    def classes(self) -> tuple[type, ...]:
        """The message classes of this table."""
        return tuple(self._by_class)

    def encode(self, message: object, version: int) -> bytes:
        """
        A message as one frame.

        Raises:
            WireError: The class is not in this table, or a text contains NUL.
        """
        return frame_fields(self.fields(message, version))

    def fields(self, message: object, version: int) -> list[str]:
        """
        The fields of a message, its id first.

        Raises:
            WireError: The class is not in this table.
        """
        entry = self._by_class.get(type(message))
        if entry is None:
            raise WireError(f"no such message: {type(message).__name__}")
        out = [str(entry.ident)]
        if own_version := entry.own_version(version):
            out.append(own_version)
        entry.codec.encode(message, out, version)
        return out

    def decode(self, parts: Sequence[str], version: int) -> object:
        """
        A field list as a message; fields after the last known one are ignored.

        Raises:
            WireError: The id is unknown, or the fields do not fit the layout.
        """
        cursor = Cursor(parts, version)
        ident = cursor.integer()
        entry = self._by_id.get(ident)
        if entry is None:
            raise WireError(f"unknown message id {ident}")
        if entry.own_version(version):
            cursor.integer()
        return entry.codec.decode(cursor)

    def id_place(self, parts: Fields, version: int) -> int | None:
        """Which field of a message holds the id of its request; None where no field does."""
        entry = self._by_id.get(kind_of(parts))
        if entry is None or not entry.numbered:
            return None
        place = 2 if entry.own_version(version) else 1
        return place if len(parts) > place else None


@dataclass_transform(frozen_default=True)
def message(
    table: MessageTable,
    ident: int,
    *,
    version: str = "",
    version_until: int = 9999,
    numbered: bool | None = None,
    codec: Codec | None = None,
) -> Callable[[type[T]], type[T]]:
    """
    Make a class a frozen dataclass, and the message *ident* of *table*.

    Args:
        version: The message's own version number, sent after the id; empty when it has none.
        version_until: First server version that no longer sends it.
        numbered: Whether its first field is the id of a request, which a field called ``req_id``
            says by itself.
        codec: Used instead of the layout that the annotations give.
    """

    def register(cls: type[T]) -> type[T]:
        made = dataclass(frozen=True, slots=True)(cls)
        # Not of its annotations, which would have to be read for that.
        names = [item.name for item in fields(cast(Any, made))]
        has_id = names[:1] == ["req_id"]
        is_numbered = has_id if numbered is None else numbered
        layout = codec or Layout(made)
        table.add(_Entry(made, ident, version, version_until, is_numbered, layout))
        return made

    return register


@dataclass(frozen=True, slots=True)
class Numbered:
    """A message that names a request and says no more; its kind is the whole message."""

    req_id: int
