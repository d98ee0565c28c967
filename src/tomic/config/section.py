"""What every settings section has in common: frozen, strict about names, documented by field."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)

from tomic.errors import InvalidSymbol
from tomic.models.market import normalize_symbol

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_NUMBER_KINDS = (int, float)


class Section(BaseModel):
    """
    One table of the configuration file.

    The text "none", or an empty one, switches off a key that may be absent, because TOML and
    environment variables have no word for that.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    says_only_changes: ClassVar[bool] = False
    """Whether keys that were not given mean "as elsewhere" and are not shown."""

    tables: ClassVar[type[Section] | None] = None
    """Of what kind tables inside it are whose names the user chooses; None where there are none."""

    def shown(self) -> dict[str, Any]:
        """Keys to show, with their values."""
        names = type(self).model_fields
        given = self.model_fields_set if self.says_only_changes else set(names)
        return {name: getattr(self, name) for name in names if name in given}

    @model_validator(mode="before")
    @classmethod
    def _as_files_say_it(cls, data: Any) -> Any:
        """Take "none" for None, and refuse `port = true`, which would quietly become port 1."""
        if not isinstance(data, dict):
            return data
        for key, value in data.items():
            field = cls.model_fields.get(key)
            if isinstance(value, bool) and field and field.annotation in _NUMBER_KINDS:
                raise ValueError(f"{key} must be a number, got {str(value).lower()}")
        return {
            key: None if value in ("none", "") and _may_be_none(cls, key) else value
            for key, value in data.items()
        }


def _may_be_none(section: type[Section], key: str) -> bool:
    field = section.model_fields.get(key)
    return field is not None and type(None) in getattr(field.annotation, "__args__", ())


def _split_commas(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def symbol_of(value: str) -> str:
    """*value* as a symbol is written; ValueError where it is none."""
    try:
        return normalize_symbol(value)
    except InvalidSymbol as exc:
        raise ValueError(str(exc)) from exc


def _parse_duration(value: Any) -> Any:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value!r} is not a duration; write 90s, 15m, 2h or 1d")
        return dt.timedelta(seconds=float(match[1]) * _UNIT_S[match[2]])
    return value


def duration_text(value: dt.timedelta) -> str:
    """The shortest of 90s, 15m, 2h, 1d that says exactly *value*."""
    seconds = value.total_seconds()
    for unit, size in _UNIT_S.items():
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def _not_empty(value: tuple[Any, ...]) -> tuple[Any, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


NotEmpty = AfterValidator(_not_empty)
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(gt=0.0, le=86400.0)]
Days = Annotated[int, Field(ge=0, le=3650)]
Amount = Annotated[float, Field(ge=0.0)]
Symbol = Annotated[str, AfterValidator(symbol_of)]
Symbols = Annotated[tuple[Symbol, ...], BeforeValidator(_split_commas)]
"""A list of ticker symbols; one text with commas will do as well."""
Names = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
"""A list of names; one text with commas will do as well."""
Duration = Annotated[
    dt.timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(duration_text, return_type=str),
    Field(ge=dt.timedelta(0)),
]
"""A span of time; in files a text such as 90s, 15m, 2h or 1d, or a number of seconds."""


class _Located:
    """Marks a path that is relative to the configuration file which names it."""


def _expand(value: Path) -> Path:
    try:
        return value.expanduser() if value.parts[:1] == ("~",) else value
    except RuntimeError as exc:
        raise ValueError("no such home folder; write the whole path") from exc


Location = Annotated[Path, AfterValidator(_expand), _Located()]
"""A file or folder; when relative, relative to the configuration file that names it."""


def is_location(section: type[BaseModel], key: str) -> bool:
    """Whether *key* of *section* holds a path that belongs to the file which names it."""
    field = section.model_fields.get(key)
    if field is None:
        return False
    marks = list(field.metadata)
    for member in getattr(field.annotation, "__args__", ()):
        marks += getattr(member, "__metadata__", ())
    return any(isinstance(mark, _Located) for mark in marks)
