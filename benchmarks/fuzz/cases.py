"""What is tried: commands, files and conditions as data, which a reproduction file keeps."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = "tomic.fuzz/1"


@dataclass(frozen=True, slots=True)
class Command:
    """One command line, without ``tomic``, and what it may end with."""

    words: tuple[str, ...]
    codes: tuple[int, ...] = ()
    """Exit codes that are right here; every documented one when empty."""
    interrupt_after_s: float | None = None
    """Ctrl-C after so many seconds, for a command that would run for ever."""
    signal: str = "INT"
    """The signal instead of Ctrl-C: ``TERM``, ``HUP`` or ``KILL``."""
    deadline_s: float | None = None
    """Seconds after which it hangs, for a command that is known to."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What surrounds a command; the defaults surround it with nothing unusual."""

    env: Mapping[str, str | None] = field(default_factory=dict)
    """Environment variables set, or with None removed."""
    stdout: str = "read"
    """``read``, ``closed``, ``full`` (a device without room) or ``deserted`` (a pipe unread)."""
    stderr: str = "read"
    limits: Mapping[str, int] = field(default_factory=dict)
    """Resource limits by their names, such as FSIZE or NOFILE."""
    modes: Mapping[str, int] = field(default_factory=dict)
    """Permissions of paths in the folder."""
    disk: int = 0
    """Bytes of a file system of its own for the folder, filled; 0 for the usual one."""
    gateway: tuple[str, ...] | None = None
    """Faults of a simulated gateway that the commands are told to connect to."""
    page: str = ""
    """How a server answers that stands for every site: ``web`` or ``flex``, a way, and a seed."""
    cwd: str = "."
    """Where it runs, within the folder; ``deleted`` for one that is gone."""


USUAL = Conditions()


@dataclass(frozen=True, slots=True)
class Case:
    """Commands run one after the other in a folder of their own."""

    kind: str
    """The row of the table that it counts in."""
    name: str
    commands: tuple[Command, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files by path, put over those of the prepared folder."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links by path."""
    bare: bool = False
    """Begin with an empty folder instead of the prepared one."""
    own_process: bool = False
    """Start the interpreter anew instead of forking a warm one."""
    conditions: Conditions = USUAL
    together: int = 0
    """How many of the commands, from the first, run at one moment."""


def to_document(case: Case, **more: Any) -> dict[str, Any]:
    """*case* as JSON, with *more* facts beside it, such as the cause."""
    return {
        "schema": SCHEMA,
        **more,
        "kind": case.kind,
        "name": case.name,
        "commands": [
            {key: value for key, value in asdict(one).items() if value and value != "INT"}
            for one in case.commands
        ],
        "files": {name: _packed(content) for name, content in case.files.items()},
        "links": dict(case.links),
        "bare": case.bare,
        "own_process": case.own_process,
        "together": case.together,
        "conditions": {
            key: value
            for key, value in asdict(case.conditions).items()
            if value != getattr(USUAL, key)
        },
    }


def from_document(document: Mapping[str, Any]) -> Case:
    """
    The case that `to_document` wrote.

    Raises:
        ValueError: Another document.
    """
    if document.get("schema") != SCHEMA:
        raise ValueError(f"not a reproduction of {SCHEMA}")
    return Case(
        kind=document["kind"],
        name=document["name"],
        commands=tuple(
            Command(
                tuple(one["words"]),
                tuple(one.get("codes", ())),
                one.get("interrupt_after_s"),
                one.get("signal", "INT"),
                one.get("deadline_s"),
            )
            for one in document["commands"]
        ),
        files={name: _unpacked(content) for name, content in document.get("files", {}).items()},
        links=document.get("links", {}),
        bare=document.get("bare", False),
        own_process=document.get("own_process", False),
        conditions=_conditions(document.get("conditions", {})),
        together=document.get("together", 0),
    )


def _conditions(given: Mapping[str, Any]) -> Conditions:
    faults = given.get("gateway")
    return Conditions(**{**given, "gateway": None if faults is None else tuple(faults)})


def read(path: Path) -> tuple[Case, dict[str, Any]]:
    """The case of a reproduction file, and the document with all that stands beside it."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return from_document(document), document


def write(path: Path, case: Case, **more: Any) -> None:
    """Write a reproduction file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # ASCII only: words may hold halves of surrogate pairs, as arguments that are no UTF-8 do.
    text = json.dumps(to_document(case, **more), indent=1, ensure_ascii=True)
    path.write_text(text + "\n", encoding="utf-8")


def _packed(content: bytes) -> dict[str, str]:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text.encode() == content and len(content) < 4096:
        return {"text": text}
    # The same bytes again for the same content: no time stamp in the header.
    return {"gzip": base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")}


def _unpacked(content: Mapping[str, str]) -> bytes:
    if "text" in content:
        return content["text"].encode()
    return gzip.decompress(base64.b64decode(content["gzip"]))
