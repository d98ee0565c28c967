"""Settings as text: a commented TOML file, one value as TOML, one value in words of JSON."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import inspect
import json
import os
import shutil
import tempfile
import textwrap
import tomllib
from collections.abc import Iterator, MutableMapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from tomic.config import loading
from tomic.config.section import Section, duration_text
from tomic.config.settings import Settings
from tomic.errors import ConfigError
from tomic.models.documents import to_document

_WIDTH = 98
_HEAD = """\
Settings of TOMIC: every key with its default. Delete what you do not change.
A value here yields to an environment variable such as TOMIC_IB__PORT and to an option of the
command. Relative paths are relative to this file. "none" switches off a key that allows it.
"""
_EXAMPLES = {"strategies": '[strategies.iron_condor]\ndte = [30, 45]\ngates = ["iv_rank >= 0.4"]\n'}
"""Shown, commented out, for tables that are empty by default."""


def render(settings: Settings) -> str:
    """*settings* as a commented TOML file that reads back to the same settings."""
    lines = [_comment(_HEAD), ""]
    notes = _notes(Settings)
    for section in Settings.model_fields:
        value = getattr(settings, section)
        lines += _table((section,), value, notes.get(section, ""))
    return "\n".join(lines).rstrip("\n") + "\n"


def plain(value: Any) -> Any:
    """*value* of a setting in words of JSON: None, numbers, texts, lists and objects."""
    if isinstance(value, BaseModel):
        return to_document(value, exclude_unset=True)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, dt.timedelta):
        return duration_text(value)
    return value.as_posix() if isinstance(value, Path) else value


def fingerprint(settings: Settings) -> str:
    """Eight hex digits that differ whenever a setting does, for logs and exported headers."""
    return hashlib.sha256(render(settings).encode()).hexdigest()[:8]


def toml_text(value: Any) -> str:
    """*value* as TOML writes it on one line; None is the text "none"."""
    if value is None:
        return '"none"'
    if isinstance(value, str):
        # A literal text keeps the backslashes of a regular expression readable.
        literal = "\\" in value and "'" not in value and value.isprintable()
        return f"'{value}'" if literal else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_text, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_bare(key)} = {toml_text(inner)}" for key, inner in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return repr(value) if isinstance(value, float) else json.dumps(value)


def _table(path: tuple[str, ...], value: Any, note: str) -> list[str]:
    """Lines of one table: its header, its keys with their comments, then its inner tables."""
    if isinstance(value, Section):
        children = value.shown()
        notes = {} if value.says_only_changes else _notes(type(value))
        note = note or ("" if value.says_only_changes else _first_paragraph(type(value)))
    else:
        children, notes = value, {}
    keys = {name: inner for name, inner in children.items() if not _is_inner(inner)}
    lines: list[str] = []
    if note:
        lines.append(_comment(note))
    if keys or not children:
        lines.append(f"[{'.'.join(map(_bare, path))}]")
    for name, inner in keys.items():
        lines += [_comment(notes[name])] if name in notes else []
        lines.append(f"{_bare(name)} = {_value(plain(inner))}")
    if not children and path[0] in _EXAMPLES:
        lines.append(_comment(_EXAMPLES[path[0]]))
    lines += [""] if lines else []
    for name, inner in children.items():
        if name not in keys:
            lines += _table((*path, name), inner, notes.get(name, ""))
    return lines


def _is_inner(value: Any) -> bool:
    return isinstance(value, (BaseModel, dict))


def _value(value: Any) -> str:
    """*value* on one line, or a long list wrapped over several."""
    line = toml_text(value)
    if not isinstance(value, list) or len(line) <= _WIDTH - 20:
        return line
    parts = [f"{toml_text(part)}," for part in value]
    rows = [""]
    for part in parts:
        if rows[-1] and len(rows[-1]) + len(part) >= _WIDTH - 4:
            rows.append("")
        rows[-1] = f"{rows[-1]} {part}".strip()
    return "\n".join(["[", *(f"    {row}" for row in rows), "]"])


def _comment(text: str) -> str:
    wrapped = [
        part for line in text.splitlines() for part in textwrap.wrap(line, _WIDTH - 2) or [""]
    ]
    return "\n".join(f"# {line}".rstrip() for line in wrapped)


def _bare(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else f'"{key}"'


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


@cache
def _notes(model: type[BaseModel]) -> dict[str, str]:
    """Field → the docstring under it or above it in a base; empty without the source at hand."""
    ours = [base for base in model.__bases__ if base.__module__.startswith("tomic.")]
    notes = {name: note for base in ours for name, note in _notes(base).items()}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, SyntaxError):
        return notes
    for field_and_below in pairwise(cast("ast.ClassDef", tree.body[0]).body):
        match field_and_below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(note))),
            ):
                notes[name] = " ".join(note.split())
    return notes


def write_defaults(file: Path) -> None:
    """Write the commented default file; ConfigError when *file* exists or cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            try:
                stream.write(render(Settings()).encode())
                stream.flush()
            except BaseException:
                # Half a file would be read as one whose other keys have their defaults.
                file.unlink(missing_ok=True)
                raise
    except FileExistsError as exc:
        reason = "exists already; `tomic config set KEY VALUE` changes it"
        raise ConfigError(f"{file}: {reason}", file=str(file)) from exc
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror or exc}", file=str(file)) from exc


def set_key(key: str, text: str, path: Path | str | None = None) -> tuple[Path, Any]:
    """
    Change one key of the configuration file, comments kept; validated before it is written.

    Args:
        key: Dotted, for example "ib.port".
        text: As TOML writes it; quotes around a text may be left out.
        path: File to change; else the one in effect, else a new ``./tomic.toml``.

    Returns:
        The file that was changed and the value that it now has.

    Raises:
        ConfigError: The key is unknown, the value out of bounds, or the file cannot be written.
    """
    try:
        f"{key}{text}".encode()
    except UnicodeEncodeError as exc:
        raise ConfigError(f"{key!a}: key or value is not UTF-8; type it again", key=key) from exc
    keys = tuple(part.strip() for part in key.split("."))
    if len(keys) < 2 and loading.is_table(keys):
        raise ConfigError(f"{key}: a table; name a key of it, such as {key}.KEY", key=key)
    file = loading.config_file(path) or loading.PROJECT_FILE
    before = loading.read_text(file) if loading.is_file(file) else ""
    value, after = _first_valid(file, before, keys, text, path)
    _replace(file, after)
    return file, value


def _first_valid(
    file: Path, before: str, keys: tuple[str, ...], text: str, path: Path | str | None
) -> tuple[Any, str]:
    """The reading of *text* that the settings accept, and the file's text with it."""
    refusal: ConfigError | None = None
    for value in _readings(text):
        after = _changed(before, file, keys, value)
        try:
            layers = loading.read_layers(path, edited=(file, loading.parse_toml(after, file)))
            loading.build(layers)
            # As well where a variable or another file hides what this one says of the key.
            loading.build([*layers, loading.alone(layers, file, keys)])
        except ConfigError as exc:
            refusal = refusal or exc
        else:
            return value, after
    assert refusal is not None
    raise refusal


def _readings(text: str) -> Iterator[Any]:
    """What *text* can mean: a TOML value, else the bare text."""
    try:
        tree = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError) as exc:
        if text.lstrip().startswith(("[", "{")):
            raise ConfigError(
                f"{text}: not a TOML value; numbers need a digit before the dot"
            ) from exc
    else:
        if tree.keys() == {"value"}:
            yield tree["value"]
    yield text


def _changed(before: str, file: Path, keys: tuple[str, ...], value: Any) -> str:
    """*before* with one key set, everything else as it was."""
    import tomlkit

    wanted = loading.parse_toml(before, file)
    _put(wanted, keys, value)
    document = tomlkit.parse(before)
    node = cast("MutableMapping[str, Any]", document)
    for depth, part in enumerate(keys[:-1]):
        if part not in node:
            node[part] = tomlkit.table(is_super_table=depth < len(keys) - 2)
        node = node[part]
    old = node.get(keys[-1])
    if isinstance(old, MutableMapping) and isinstance(value, dict):
        for gone in [name for name in old if name not in value]:
            del old[gone]
        for name, inner in value.items():
            old[name] = inner
    else:
        node[keys[-1]] = value
    after = tomlkit.dumps(document)
    if loading.parse_toml(after, file) != wanted:
        raise ConfigError(f"{file}: {'.'.join(keys)} cannot be changed here; edit the file")
    return after


def _put(tree: dict[str, Any], keys: tuple[str, ...], value: Any) -> None:
    for count, part in enumerate(keys[:-1], start=1):
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{'.'.join(keys[:count])}: a key, not a table", key=".".join(keys))
    tree[keys[-1]] = value


def _replace(file: Path, text: str) -> None:
    """Write *text* under a temporary name and rename it, so that no half file is ever seen."""
    try:
        target = file.resolve()
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
            if target.exists():
                shutil.copymode(target, name)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, RuntimeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise ConfigError(f"{file}: {reason}", file=str(file)) from exc
