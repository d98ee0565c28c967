"""How `tomic.toml` changes a strategy: plain fields, and the way a leg finds its strike."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tomic.errors import ConfigError
from tomic.strategies.leg_rules import (
    Above,
    AtTheMoney,
    Below,
    DeltaBand,
    Moneyness,
    Pick,
    Template,
)

PLAIN = ("dte", "gap", "gates", "credit_required", "no_upside_loss", "both_sides", "enabled")
"""Fields of a template that can be changed; every leg by its name besides."""

_PICKS = ("delta", "moneyness", "nearest", "sigmas", "points", "strikes", "quantity")


def changed(template: Template, field: str, value: Any) -> Template:
    """
    The template with one field, or one leg by its name, as ``tomic.toml`` writes it.

    Raises:
        ConfigError: There is no such field or leg, or the value cannot be.
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
            if isinstance(given, bool) or not isinstance(given, int) or given == 0:
                raise ValueError(f"quantity must be a whole number, not 0, got {given!r}")
            leg = replace(leg, quantity=given)
        else:
            leg = replace(leg, pick=_repicked(leg.pick, field, given))
    legs = tuple(leg if one.name == name else one for one in template.legs)
    return replace(template, legs=legs)


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
        isinstance(one, bool) or not isinstance(one, (int, float)) for one in numbers
    )
    if not good or (kind is int and any(one != int(one) for one in numbers)):
        raise ValueError(f"must be two {'whole ' if kind is int else ''}numbers, got {value!r}")
    return kind(numbers[0]), kind(numbers[1])


def unknown(key: str, name: str, known: Iterable[str]) -> ConfigError:
    """What to raise about a *name* that is not among those known."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return ConfigError(f"{key}: {name} is unknown; {hint}", key=key)
