"""
Settings from their layers: defaults, user file, project file, environment, command line.

The later wins. The project file is ``--config``, else ``$TOMIC_CONFIG``, else ``./tomic.toml``.
"""

from __future__ import annotations

import difflib
import functools
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource

from tomic import disk
from tomic.config.section import Section, is_location
from tomic.config.settings import Settings
from tomic.errors import BadFile, ConfigError

KeyPath = tuple[str, ...]


_FORECAST = (
    "removed: trades are judged under the market's own density; what you expect yourself goes into "
    "a table [view.SYMBOL]"
)
_MOST = 4_000_000
"""Bytes of a file of settings."""
_LEFT_SCORE = "removed: return on margin and risk-reward are shown, and no longer part of the score"
_NO_SETTING = (
    "a secret is no setting; put it into TOMIC_NOTIFY_URLS or the file of notify.urls_file"
)
_REMOVED: Mapping[KeyPath, str] = {
    ("notify", "urls"): _NO_SETTING,
    ("score", "forecast_hv_weight"): _FORECAST,
    ("score", "forecast_hv"): _FORECAST,
    ("score", "rom_half"): _LEFT_SCORE,
    ("score", "weights", "rom"): _LEFT_SCORE,
    ("score", "weights", "risk_reward"): _LEFT_SCORE,
}
"""Keys of former versions, and what became of them; and where what is no setting belongs."""


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One thing that is wrong with one key or table."""

    path: KeyPath
    """Keys from the root, for example ("ib", "prot")."""
    table: KeyPath
    """The tables among them."""
    reason: str
    meant: KeyPath = ()
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


def unknown(path: KeyPath, *, named_table: bool) -> ConfigFault:
    """The fault of a key or table that does not exist, with what was probably meant."""
    above, model = _tables(path[:-1])
    if path in _REMOVED:
        return ConfigFault(path, above, _REMOVED[path])
    known = tuple(model.model_fields) if model else ()
    near = difflib.get_close_matches(path[-1], known, n=1)
    meant: KeyPath = (*path[:-1], near[0]) if near else ()
    if not meant or not (above or named_table):
        meant = _elsewhere(path[-1])
    if named_table:
        return ConfigFault(path, path, "unknown table", meant)
    return ConfigFault(path, above, "unknown key", meant)


def is_table(path: KeyPath) -> bool:
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


def _tables(path: KeyPath) -> tuple[KeyPath, type[BaseModel] | None]:
    """The leading parts of *path* that are tables, and the section that the last one is."""
    table: list[str] = []
    kind: Any = Settings
    for part in path:
        if _is_section(kind):
            info = kind.model_fields.get(part)
            named = kind.tables if issubclass(kind, Section) else None
            inner: Any = info.annotation if info else named
        else:
            inner = kind.__args__[1]
        if not (_is_section(inner) or getattr(inner, "__origin__", None) is dict):
            break
        table.append(part)
        kind = inner
    return tuple(table), kind if _is_section(kind) else None


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _elsewhere(key: str) -> KeyPath:
    """Where a key of this name, or nearly, does exist."""
    places: dict[str, KeyPath] = {}
    _collect(Settings, (), places)
    near = difflib.get_close_matches(key, places, n=1, cutoff=0.8)
    return places[near[0]] if near else ()


def _collect(model: type[BaseModel], above: KeyPath, places: dict[str, KeyPath]) -> None:
    for name, info in model.model_fields.items():
        places.setdefault(name, (*above, name))
        if _is_section(info.annotation):
            _collect(info.annotation, (*above, name), places)


PREFIX = "TOMIC_"
FILE_VARIABLE = "TOMIC_CONFIG"
SECRET_VARIABLES = frozenset({"TOMIC_FLEX_TOKEN", "TOMIC_NOTIFY_URLS", "TOMIC_NOTIFY__URLS"})
"""Read where they are used: a secret is no setting, or every list of settings would show it."""
_SHORT_VARIABLES = {"TOMIC_FLEX_QUERY": "TOMIC_FLEX__QUERY"}
"""Names beside those of the sections, for what is set together with a secret."""
PROJECT_FILE = Path("tomic.toml")
ARGUMENT = "argument"
DEFAULT = "default"
_MOST_PARTS = 1_000

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source says, and how to name that source to a person."""

    name: str
    data: Tree
    variables: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    """Path of a key → environment variable that gave it; empty for other sources."""

    def depth(self, path: tuple[str, ...]) -> int:
        """How many leading parts of *path* this layer names."""
        node: Any = self.data
        for count, part in enumerate(path):
            if not isinstance(node, dict) or part not in node:
                return count
            node = node[part]
        return len(path)

    def source(self, path: tuple[str, ...]) -> str:
        """The file, the environment variable or the argument that gave *path*."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.variables:
                return self.variables[path[:length]]
        below = [name for key, name in self.variables.items() if key[: len(path)] == path]
        return ", ".join(below) or self.name


class _Environment(EnvSettingsSource):
    """Nested variables, where a list may also be written with commas."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        try:
            read = json.loads(value)
        except (ValueError, RecursionError):
            read = None
        # A text that is also a number or a word of JSON, as 123456 is, stays the text it is.
        if isinstance(read, list | dict | str):
            return read
        return [part.strip() for part in value.split(",") if part.strip()]


def user_config_file() -> Path | None:
    """Where the user's own file lives, whether or not it exists; None without a home folder."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return base / "tomic" / "config.toml"


def project_file(path: Path | str | None = None) -> Path | None:
    """
    The file named by *path* or ``$TOMIC_CONFIG``, else ``./tomic.toml`` where there is one.

    Raises:
        ConfigError: A file was named but does not exist.
    """
    named = path or os.environ.get(FILE_VARIABLE)
    if named:
        file = in_home(Path(named))
        if not is_file(file):
            raise ConfigError(
                f"{file}: no such file; write one with `tomic config init {file}`", file=str(file)
            )
        return file
    return PROJECT_FILE if is_file(PROJECT_FILE) else None


def is_file(file: Path) -> bool:
    """Whether *file* is there; ConfigError when that cannot be determined."""
    try:
        return file.is_file()
    except OSError as exc:
        raise ConfigError(
            f"{file}: cannot be looked at ({exc.strerror or exc}); name another file, or one in a "
            "folder that you may read",
            file=str(file),
        ) from exc


def in_home(path: Path) -> Path:
    """*path* with a leading ~ replaced; ConfigError where that home folder is unknown."""
    try:
        return path.expanduser()
    except RuntimeError as exc:
        raise ConfigError(
            f"{path}: no such home folder; write the whole path", file=str(path)
        ) from exc


def config_file(path: Path | str | None = None) -> Path | None:
    """The strongest configuration file in effect, or None where there is none at all."""
    project = project_file(path)
    if project is not None:
        return project
    user = user_config_file()
    return user if user is not None and is_file(user) else None


def parse_toml(text: str, file: Path) -> Tree:
    """The tables of *text*; ConfigError naming *file* and line when it is not TOML."""
    # The parser's work grows with the square of a key's parts, as does its memory.
    for number, line in enumerate(text.splitlines(), start=1):
        if any(part.count(".") > _MOST_PARTS for part in line.split("=")):
            raise ConfigError(f"{file}: line {number} has a key of too many parts", file=str(file))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        reason = str(exc)
        raise ConfigError(f"{file}: {reason[:1].lower()}{reason[1:]}", file=str(file)) from exc
    except ValueError as exc:
        # Python reads no integer of more than 4,300 digits.
        raise ConfigError(f"{file}: a number has too many digits", file=str(file)) from exc
    except RecursionError as exc:
        raise ConfigError(f"{file}: nested too deep", file=str(file)) from exc


def read_text(file: Path) -> str:
    """Contents of *file*, line ends as they are; ConfigError when it cannot be read as UTF-8."""
    try:
        return disk.read_bytes(file, _MOST).decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file}: not UTF-8 at byte {exc.start}", file=str(file)) from exc
    except OSError as exc:
        raise ConfigError(f"{file}: {exc.strerror or exc}", file=str(file)) from exc
    except BadFile as exc:
        raise ConfigError(str(exc), file=str(file)) from exc


def load_settings(path: Path | str | None = None, **overrides: Mapping[str, Any]) -> Settings:
    """
    Settings from every layer; nothing is remembered between calls.

    Args:
        path: Configuration file; must exist when given.
        overrides: Section → its keys, for example ``chain={"min_dte": 15}``. They win over
            everything. A None counts as not given; the text "none" switches a key off.

    Raises:
        ConfigError: A file is missing or not TOML, or a key is unknown or out of bounds. The
            message names file or variable, table and key.
    """
    return build(read_layers(path, overrides))


def origins(
    path: Path | str | None = None, **overrides: Mapping[str, Any]
) -> dict[str, tuple[Any, str]]:
    """
    Every setting by its dotted key, with its value and where that comes from.

    The origin is "default", a file, an environment variable or "argument".
    Arguments and errors as in `load_settings`.
    """
    layers = read_layers(path, overrides)
    plain = dict(leaves(Settings()))
    result: dict[str, tuple[Any, str]] = {}
    for keys, value in leaves(build(layers)):
        giving = [layer for layer in layers if layer.depth(keys) == len(keys)]
        if not giving and value != plain.get(keys, value):
            # It follows from its neighbours, as a weight that is left out does.
            giving = [layer for layer in layers if layer.depth(keys) == len(keys) - 1]
        origin = giving[-1].source(keys) if giving else DEFAULT
        result[".".join(keys)] = (value, origin)
    return result


def leaves(node: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Keys and value of every setting, depth first, in the order of the sections."""
    if isinstance(node, Section):
        children = node.shown()
    elif isinstance(node, Settings):
        children = {name: getattr(node, name) for name in type(node).model_fields}
    elif isinstance(node, dict) and any(isinstance(value, BaseModel) for value in node.values()):
        children = node
    else:
        yield above, node
        return
    for name, value in children.items():
        yield from leaves(value, (*above, name))


def build(layers: list[Layer]) -> Settings:
    """Join *layers*, the later over the earlier, and validate the result."""
    joined: Tree = {}
    for layer in layers:
        joined = _joined(joined, layer.data)
    try:
        return Settings(**joined)
    except ValidationError as exc:
        raise _config_error(exc, layers) from exc


def read_layers(
    path: Path | str | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    edited: tuple[Path, Tree] | None = None,
) -> list[Layer]:
    """
    What each source says, weakest first.

    *edited* gives a file together with contents that it does not have yet, so that a change
    can be tried before it is written.
    """
    project = project_file(path)
    layers = [Layer(DEFAULT, _default_locations(project))]
    user = user_config_file()
    files = [user] if user is not None and is_file(user) else []
    if project is not None and files and project.samefile(files[0]):
        files = []
    files += [project] if project is not None else []
    if edited is not None and edited[0] not in files:
        files.append(edited[0])
    for file in files:
        data = edited[1] if edited and edited[0] == file else parse_toml(read_text(file), file)
        layers.append(Layer(str(file), _anchored(Settings, data, file.parent)))
    layers.append(_environment())
    given = {
        section: {key: value for key, value in _keys(section, keys).items() if value is not None}
        for section, keys in (overrides or {}).items()
    }
    layers.append(Layer(ARGUMENT, given))
    return layers


def alone(layers: Sequence[Layer], file: Path, keys: KeyPath) -> Layer:
    """What *file* says of one key, and nothing else."""
    (tree,) = (layer.data for layer in layers if layer.name == str(file))
    inner: Any = tree
    for part in keys:
        inner = inner[part]
    for part in reversed(keys):
        inner = {part: inner}
    return Layer(str(file), inner)


def _keys(section: str, given: object) -> Mapping[str, Any]:
    """The keys of a section given as an argument; ConfigError saying how to write anything else."""
    if section in Settings.model_fields:
        if isinstance(given, Section):
            return given.model_dump(exclude_unset=True)
        if isinstance(given, Mapping):
            return given
        kind = Settings.model_fields[section].annotation
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, Section) else {}
        key = next(iter(fields), "key")
        raise ConfigError(
            f"argument {section}={given!r}: a section takes its keys by name, as in "
            f"{section}={{{key!r}: ...}}",
            key=section,
        )
    fault = unknown((section,), named_table=isinstance(given, Mapping))
    if len(fault.meant) == 2:
        table, key = fault.meant
        raise ConfigError(
            f"argument {section}={given!r}: no section of the settings; write "
            f"{table}={{{key!r}: {given!r}}}",
            key=section,
        )
    hint = f"; did you mean {fault.meant[0]}?" if fault.meant else ""
    known = ", ".join(Settings.model_fields)
    raise ConfigError(
        f"argument {section}: no section of the settings, which are {known}{hint}", key=section
    )


def _environment() -> Layer:
    """Variables such as TOMIC_IB__PORT; those that almost name a section are errors."""
    variables: dict[tuple[str, ...], str] = {}
    short: dict[tuple[str, ...], str] = {}
    sections = tuple(Settings.model_fields)
    for name in os.environ:
        if not name.upper().startswith(PREFIX) or name.upper() in SECRET_VARIABLES:
            continue
        if (meant_name := _SHORT_VARIABLES.get(name.upper())) is not None:
            short[tuple(meant_name[len(PREFIX) :].lower().split("__"))] = name
            continue
        keys = tuple(name[len(PREFIX) :].lower().split("__"))
        if keys[0] in sections:
            variables[keys] = name
            continue
        nearly = [section for section in sections if keys[0].startswith(f"{section}_")]
        if nearly:
            meant = (nearly[0], keys[0].removeprefix(f"{nearly[0]}_"), *keys[1:])
            hint = f"; did you mean {PREFIX}{'__'.join(meant).upper()}?"
            raise ConfigError(f"{name}: unknown setting{hint}", key=name)
        if len(keys) > 1:
            raise ConfigError(
                f"{name}: {unknown(keys[:1], named_table=True).in_variable}", key=name
            )
    tree = _Environment(Settings)() if variables else {}
    for (section, key), name in short.items():
        if (section, key) not in variables:
            tree.setdefault(section, {})[key] = os.environ[name]
            variables[section, key] = name
    if "strategies" in tree:
        # Only this table has fields of any type, so only here must a text be looked into.
        tree["strategies"] = _decoded(tree["strategies"])
    return Layer("environment", tree, variables)


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _decoded(inner) for key, inner in value.items()}
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return value


def _default_locations(project: Path | None) -> Tree:
    """Default paths beside the project file, so that naming a default there changes nothing."""
    if project is None:
        return {}
    return _anchored(Settings, _locations_as_declared(), project.parent)


@functools.cache
def _locations_as_declared() -> Tree:
    return _location_defaults(Settings())


def _location_defaults(section: BaseModel) -> Tree:
    result: Tree = {}
    for key in type(section).model_fields:
        value = getattr(section, key)
        if isinstance(value, BaseModel):
            below = _location_defaults(value)
            result |= {key: below} if below else {}
        elif isinstance(value, Path) and is_location(type(section), key):
            result[key] = str(value)
    return result


def _anchored(model: type[BaseModel], data: Tree, folder: Path) -> Tree:
    """*data* with every relative path of *model* put under *folder*."""
    result = dict(data)
    for key, value in data.items():
        if isinstance(value, str) and is_location(model, key) and value not in ("none", ""):
            result[key] = str(folder / in_home(Path(value)))
        elif isinstance(value, dict) and key in model.model_fields:
            result[key] = _anchored_table(model.model_fields[key].annotation, value, folder)
    return result


def _anchored_table(kind: Any, table: Tree, folder: Path) -> Tree:
    if _is_section(kind):
        return _anchored(kind, table, folder)
    member = get_args(kind)[-1:]
    return {
        name: _anchored_table(member[0], inner, folder)
        if member and isinstance(inner, dict)
        else inner
        for name, inner in table.items()
    }


def _joined(below: Tree, above: Mapping[str, Any]) -> Tree:
    result = dict(below)
    for key, value in above.items():
        known = result.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = _joined(known, value)
        else:
            result[key] = value
    return result


def _config_error(exc: ValidationError, layers: list[Layer]) -> ConfigError:
    """One line per fault, each naming its source, table and key."""
    faults = explain(exc)
    lines: list[str] = []
    files: list[str] = []
    for fault in faults:
        deepest = max(layer.depth(fault.path) for layer in layers)
        layer = [layer for layer in layers if layer.depth(fault.path) == deepest][-1]
        by_variable = bool(layer.variables)
        source = layer.source(fault.path[:deepest])
        lines.append(f"{source}: {fault.in_variable if by_variable else fault.in_file}")
        files.append(layer.name)
    return ConfigError("\n".join(lines), file=files[0], key=".".join(faults[0].path))
