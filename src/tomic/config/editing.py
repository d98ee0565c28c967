"""Changes to the configuration file: a first one written, one key set, comments kept."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, cast

from tomic.config.faults import is_table
from tomic.config.loading import (
    PROJECT_FILE,
    Tree,
    build,
    config_file,
    is_file,
    parse_toml,
    read_layers,
    read_text,
)
from tomic.config.settings import Settings
from tomic.config.text import render
from tomic.errors import ConfigError


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
    if len(keys) < 2 and is_table(keys):
        raise ConfigError(f"{key}: a table; name a key of it, such as {key}.KEY", key=key)
    file = config_file(path) or PROJECT_FILE
    before = read_text(file) if is_file(file) else ""
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
            build(read_layers(path, edited=(file, parse_toml(after, file))))
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
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        if text.lstrip().startswith(("[", "{")):
            raise ConfigError(
                f"{text}: no TOML value; numbers need a digit before the dot"
            ) from exc
    else:
        if tree.keys() == {"value"}:
            yield tree["value"]
    yield text


def _changed(before: str, file: Path, keys: tuple[str, ...], value: Any) -> str:
    """*before* with one key set, everything else as it was."""
    import tomlkit

    wanted = parse_toml(before, file)
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
    if parse_toml(after, file) != wanted:
        raise ConfigError(f"{file}: {'.'.join(keys)} cannot be changed here; edit the file")
    return after


def _put(tree: Tree, keys: tuple[str, ...], value: Any) -> None:
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
