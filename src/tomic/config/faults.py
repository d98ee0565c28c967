"""What a validation error means to the person who wrote the file: table, key, reason, remedy."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from tomic.config.settings import Settings

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One thing that is wrong with one key or table."""

    path: Path
    """Keys from the root, for example ("ib", "prot")."""
    table: Path
    """The tables among them."""
    reason: str
    meant: Path = ()
    """Path of the key that was probably meant."""

    @property
    def in_file(self) -> str:
        """As a file shows it: ``[ib] prot: unknown key; did you mean port?``."""
        key = ".".join(self.path[len(self.table) :])
        place = f"[{'.'.join(self.table)}]" if self.table else ""
        where = " ".join(part for part in (place, key) if part)
        return f"{where}: {self.reason}{self._hint()}"

    @property
    def in_variable(self) -> str:
        """As an environment variable shows it, whose name stands before this."""
        meant = "__".join(self.meant).upper()
        reason = self.reason.replace("unknown table", "unknown section")
        return f"{reason}; did you mean TOMIC_{meant}?" if meant else reason

    def _hint(self) -> str:
        if not self.meant:
            return ""
        if len(self.meant) == 1:
            return f"; did you mean [{self.meant[0]}]?"
        if self.meant[:-1] == self.path[:-1]:
            return f"; did you mean {self.meant[-1]}?"
        return f"; did you mean [{'.'.join(self.meant[:-1])}] {self.meant[-1]}?"


def explain(exc: ValidationError) -> list[ConfigFault]:
    """The faults behind *exc*, in its order."""
    return [_fault(dict(error)) for error in exc.errors(include_url=False)]


def unknown(path: Path, *, named_table: bool) -> ConfigFault:
    """The fault of a key or table that does not exist, with what was probably meant."""
    above, model = _tables(path[:-1])
    known = tuple(model.model_fields) if model else ()
    near = difflib.get_close_matches(path[-1], known, n=1)
    meant: Path = (*path[:-1], near[0]) if near else ()
    if not meant or not (above or named_table):
        meant = _elsewhere(path[-1])
    if named_table:
        return ConfigFault(path, path, "unknown table", meant)
    return ConfigFault(path, above, "unknown key", meant)


def is_table(path: Path) -> bool:
    """Whether *path* names a table of the file, not a key in one."""
    return len(_tables(path)[0]) == len(path)


def _fault(error: dict[str, Any]) -> ConfigFault:
    path = tuple(str(part) for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        return unknown(path, named_table=isinstance(error["input"], dict))
    table, _ = _tables(path)
    return ConfigFault(path, table, _reason(error))


def _reason(error: dict[str, Any]) -> str:
    kind, given = error["type"], error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "must be a table"
    if kind == "missing":
        return "must be given"
    message = error["msg"].replace("Input should be", "must be").replace("String should", "must")
    message = message.partition(", unable to parse")[0]
    text = f"{message[:1].lower()}{message[1:]}"
    return f"{text}, got {given!r}" if isinstance(given, (str, int, float)) else text


def _tables(path: Path) -> tuple[Path, type[BaseModel] | None]:
    """The leading parts of *path* that are tables, and the section that the last one is."""
    table: list[str] = []
    kind: Any = Settings
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            info = kind.model_fields.get(part)
            inner: Any = info.annotation if info else None
        elif getattr(kind, "__origin__", None) is dict:
            inner = kind.__args__[1]
        else:
            break
        if not _is_table_type(inner):
            break
        table.append(part)
        kind = inner
    section = isinstance(kind, type) and issubclass(kind, BaseModel)
    return tuple(table), kind if section else None


def _is_table_type(kind: Any) -> bool:
    if getattr(kind, "__origin__", None) is dict:
        return True
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _elsewhere(key: str) -> Path:
    """Where a key of this name, or nearly, does exist."""
    places: dict[str, Path] = {}
    _collect(Settings, (), places)
    near = difflib.get_close_matches(key, places, n=1, cutoff=0.8)
    return places[near[0]] if near else ()


def _collect(model: type[BaseModel], above: Path, places: dict[str, Path]) -> None:
    for name, info in model.model_fields.items():
        places.setdefault(name, (*above, name))
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            _collect(kind, (*above, name), places)
