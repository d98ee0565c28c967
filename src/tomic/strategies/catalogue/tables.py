"""
Strategies as ``tomic.toml`` writes them: a change of what there is, or one of your own.

A table of a name that the catalogue does not have declares a strategy::

    [strategies.mine]
    side = "bullish"
    dte = [25, 45]
    credit_required = true
    legs.short_put = { right = "P", quantity = -1, delta = [-0.30, -0.15] }
    legs.long_put = { right = "P", quantity = 1, below = "short_put", points = [5, 10] }

`declared` makes a template of it, and `written` the table of a template.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tomic.errors import ConfigError
from tomic.strategies.catalogue.leg_rules import (
    CALL,
    PUT,
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    LegRule,
    Mirror,
    Moneyness,
    Offset,
    Pick,
    Right,
    SameStrike,
    Template,
    Wider,
)

PLAIN = ("dte", "gap", "gates", "credit_required", "no_upside_loss", "both_sides", "enabled")
"""Fields of a template that can be changed; every leg by its name besides."""

_PICKS = ("delta", "moneyness", "nearest", "sigmas", "points", "strikes", "quantity")


def changed(template: Template, field: str, value: Any) -> Template:
    """
    The template with one field, or one leg by its name, as ``tomic.toml`` writes it.

    Raises:
        ConfigError: There is no such field or leg, or the value is impossible.
    """
    key = f"strategies.{template.name}.{field}"
    legs = [leg.name for leg in template.legs]
    if field not in (*PLAIN, *legs):
        raise unknown(key, field, [*PLAIN, *legs])
    try:
        if field in legs:
            return _with_leg(template, field, value, key)
        change: dict[str, Any] = {field: _plain(field, value)}
        return replace(template, **change)
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{key}: {exc}", key=key) from exc


def _plain(field: str, value: Any) -> Any:
    if field in ("dte", "gap"):
        return _pair(value, int)
    if field == "gates":
        texts = [value] if isinstance(value, str) else list(value)
        return tuple(str(text) for text in texts)
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, got {value!r}")
    return value


def _with_leg(template: Template, name: str, value: Any, key: str) -> Template:
    if not isinstance(value, Mapping):
        raise ValueError("a leg is a table, as in { delta = [-0.25, -0.10] }")
    leg = template.leg(name)
    for field, given in value.items():
        if field not in _PICKS:
            raise unknown(f"{key}.{field}", field, _PICKS)
        if field == "quantity":
            leg = replace(leg, quantity=_quantity(given))
        else:
            leg = replace(leg, pick=_repicked(leg.pick, field, given))
    legs = tuple(leg if each.name == name else each for each in template.legs)
    return replace(template, legs=legs)


def _quantity(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given == 0:
        raise ValueError(f"quantity must be a whole number, not 0, got {given!r}")
    return given


def _repicked(pick: Pick, field: str, value: Any) -> Pick:
    """Another way to choose the strike; offsets keep their direction and their other leg."""
    if field == "delta":
        band = DeltaBand(*_pair(value, float))
        if not -1.0 <= band.low <= band.high <= 1.0:
            raise ValueError(f"delta must ascend from -1 to 1, got {list(value)}")
        return band
    if field == "moneyness":
        return Moneyness(*_pair(value, float))
    if field == "nearest":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"nearest must be a whole number from 1 up, got {value!r}")
        return AtTheMoney(value)
    if not isinstance(pick, (Below, Above)):
        raise ValueError(f"{field} is a distance from another leg, and this leg has none")
    kind = int if field == "strikes" else float
    return type(pick)(pick.leg, **{field: _pair(value, kind)})


def _pair(value: Any, kind: type) -> tuple[Any, Any]:
    numbers = list(value) if isinstance(value, (list, tuple)) else []
    good = len(numbers) == 2 and not any(
        isinstance(number, bool) or not isinstance(number, (int, float)) for number in numbers
    )
    if not good or (kind is int and any(number != int(number) for number in numbers)):
        raise ValueError(f"must be two {'whole ' if kind is int else ''}numbers, got {value!r}")
    return kind(numbers[0]), kind(numbers[1])


def unknown(key: str, name: str, known: Iterable[str], else_: str = "") -> ConfigError:
    """The error for a *name* that is not known; *else_* is what else may be meant."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    beside = f"; {else_}" if else_ else ""
    return ConfigError(f"{key}: {name} is unknown; {hint}{beside}", key=key)


# -- strategies of one's own ---------------------------------------------------------------------

_SIDES = ("bullish", "bearish", "neutral")
_WORDS = ("name", "outlook", "side", "stock", "cash_secured", "wider", "legs", *PLAIN)
_RIGHTS: Mapping[str, Right] = {"C": CALL, "CALL": CALL, "P": PUT, "PUT": PUT}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_REFERRING: Mapping[str, type[Below | Above]] = {"below": Below, "above": Above}
_TIED = {"same_as": SameStrike, "mirror": Mirror}
_ALONE = ("delta", "moneyness", "nearest")
_DISTANCES = ("sigmas", "points", "strikes")
_LEG_WORDS = ("right", "quantity", "expiry", *_ALONE, *_REFERRING, *_DISTANCES, *_TIED, "about")


def declared(name: str, table: Mapping[str, Any], known: Mapping[str, Template]) -> Template:
    """
    The strategy that the table ``[strategies.NAME]`` declares.

    Args:
        table: With ``legs``, a table a leg: ``right``, ``quantity``, how its strike is chosen, and
            ``expiry = "far"`` where that is not the near one. Or with ``like``, the name of a
            strategy that it begins as.
        known: Strategies that ``like`` may name.

    Raises:
        ConfigError: A key is missing, unknown, or its value impossible; the message says which.
    """
    key = f"strategies.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{key}: a strategy is named in small letters, digits and _, as in my_condor", key=key
        )
    try:
        if "like" in table:
            return _like(name, table, known)
        for field in table:
            if field not in _WORDS:
                raise unknown(f"{key}.{field}", field, _WORDS)
        return Template(**_fields(name, table))
    except ConfigError:
        raise
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{key}: {_reason(name, exc)}", key=key) from exc


def _reason(name: str, exc: Exception) -> str:
    return str(exc).removeprefix(f"{name}: ")


def _like(name: str, table: Mapping[str, Any], known: Mapping[str, Template]) -> Template:
    key, other = f"strategies.{name}.like", table["like"]
    if not isinstance(other, str) or other not in known:
        raise unknown(key, str(other), known)
    template = replace(known[other], name=name)
    for field, value in table.items():
        if field in ("outlook", "side"):
            change: dict[str, Any] = {field: _word(field, value)}
            template = replace(template, **change)
        elif field != "like":
            template = changed(template, field, value)
    return template


def _fields(name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    for needed in ("legs", "dte"):
        if needed not in table:
            raise ValueError(f"{needed} must be given")
    legs = table["legs"]
    if not isinstance(legs, Mapping) or not legs:
        raise ValueError("legs is a table with a table a leg")
    given: dict[str, Any] = {
        "name": name,
        "outlook": _word("outlook", table.get("outlook", "of your own")),
        "side": _word("side", table.get("side", "neutral")),
        "legs": tuple(_leg(name, leg, fields) for leg, fields in legs.items()),
        "wider": tuple(_wider(rule) for rule in table.get("wider", ())),
    }
    stock = table.get("stock", 0)
    if isinstance(stock, bool) or not isinstance(stock, int) or stock < 0:
        raise ValueError(f"stock is a number of lots from 0 up, got {stock!r}")
    plain = {field: _plain(field, table[field]) for field in (*PLAIN, "cash_secured")
             if field in table}  # fmt: skip
    return {**given, "stock": stock, **plain}


def _word(field: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{field} must be a text, got {value!r}")
    if field == "side" and value not in _SIDES:
        raise ValueError(f"side must be one of {', '.join(_SIDES)}, got {value!r}")
    return value


def _wider(rule: Any) -> Wider:
    if not isinstance(rule, Mapping) or set(rule) != {"leg", "than", "about"}:
        raise ValueError(
            'wider is a list of tables, as in [{ leg = "a", than = "b", about = "c" }]'
        )
    return Wider(**rule)


def _leg(strategy: str, name: str, table: Any) -> LegRule:
    key = f"strategies.{strategy}.legs.{name}"
    try:
        if not isinstance(table, Mapping):
            raise ValueError('a leg is a table, as in { right = "P", quantity = -1, delta = [..] }')
        for field in table:
            if field not in _LEG_WORDS:
                raise unknown(f"{key}.{field}", field, _LEG_WORDS)
        right = _RIGHTS.get(str(table.get("right", "")).upper())
        if right is None:
            raise ValueError(f'right must be "C" or "P", got {table.get("right")!r}')
        slot = table.get("expiry", "near")
        if slot not in ("near", "far"):
            raise ValueError(f'expiry must be "near" or "far", got {slot!r}')
        return LegRule(name, right, _quantity(table.get("quantity")), _pick(table), slot)
    except ConfigError:
        raise
    except (ValueError, TypeError) as exc:
        raise ConfigError(f"{key}: {exc}", key=key) from exc


def _pick(table: Mapping[str, Any]) -> Pick:
    ways = [way for way in (*_ALONE, *_REFERRING, *_TIED) if way in table]
    if len(ways) != 1:
        names = ", ".join((*_ALONE, *_REFERRING, *_TIED))
        raise ValueError(f"say how its strike is chosen, by exactly one of {names}")
    (way,) = ways
    if way in _ALONE:
        return _repicked(AtTheMoney(), way, table[way])
    other = _word(way, table[way])
    if way == "same_as":
        return SameStrike(other)
    if way == "mirror":
        return Mirror(other, _word("about", table.get("about")))
    units = [unit for unit in _DISTANCES if unit in table]
    if len(units) != 1:
        raise ValueError(f"{way} needs a distance in exactly one of {', '.join(_DISTANCES)}")
    return _repicked(_REFERRING[way](other, strikes=(1, 1)), units[0], table[units[0]])


def written(template: Template) -> dict[str, Any]:
    """The table that declares *template*, as `declared` reads it back: plain values only."""
    plain = {field: getattr(template, field) for field in (*PLAIN, "cash_secured")}
    return {
        "outlook": template.outlook,
        "side": template.side,
        "stock": template.stock,
        "wider": [dataclasses.asdict(rule) for rule in template.wider],
        **{name: list(value) if isinstance(value, tuple) else value
           for name, value in plain.items() if value is not None},
        "legs": {leg.name: _written_leg(leg) for leg in template.legs},
    }  # fmt: skip


def _written_leg(leg: LegRule) -> dict[str, Any]:
    table = {"right": leg.right, "quantity": leg.quantity, "expiry": leg.slot}
    return {**table, **pick_fields(leg.pick), **_other_leg(leg.pick)}


def _other_leg(pick: Pick) -> dict[str, str]:
    match pick:
        case SameStrike(leg):
            return {"same_as": leg}
        case Mirror(leg, about):
            return {"mirror": leg, "about": about}
        case Offset():
            return {"below" if isinstance(pick, Below) else "above": pick.leg}
        case _:
            return {}


def pick_fields(pick: Pick) -> dict[str, Any]:
    """How a strike is chosen, as keys of a leg's table; what refers to another leg is not in it."""
    match pick:
        case DeltaBand(low, high):
            return {"delta": [low, high]}
        case Moneyness(low, high):
            return {"moneyness": [low, high]}
        case AtTheMoney(nearest):
            return {"nearest": nearest}
        case Offset():
            given = pick.sigmas or pick.points or pick.strikes
            assert given is not None
            return {pick.unit: list(given)}
        case _:
            return {}
