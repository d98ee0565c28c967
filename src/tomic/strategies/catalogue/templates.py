"""The strategies TOMIC knows: the catalogue, chosen from and described."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from tomic.config import Settings
from tomic.errors import UsageError
from tomic.models import several
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
    Pick,
    SameStrike,
    Template,
    Wider,
)
from tomic.strategies.catalogue.tables import (
    PLAIN,
    changed,
    declared,
    pick_fields,
    unknown,
    written,
)

_WING = (0.25, 1.5)
_LEVEL = ("abs(skew) <= 0.08",)
"""Where the smile leans, strikes of equal delta on both sides are no neutral trade."""

_ALL = (
    Template(
        name="iron_condor",
        outlook="range-bound",
        side="neutral",
        legs=(
            LegRule("long_put", PUT, +1, Below("short_put", sigmas=_WING)),
            LegRule("short_put", PUT, -1, DeltaBand(-0.30, -0.10)),
            LegRule("short_call", CALL, -1, DeltaBand(0.10, 0.30)),
            LegRule("long_call", CALL, +1, Above("short_call", sigmas=_WING)),
        ),
        dte=(25, 55),
        gates=_LEVEL,
        credit_required=True,
    ),
    Template(
        name="iron_butterfly",
        outlook="pinned to the price of today",
        side="neutral",
        legs=(
            LegRule("long_put", PUT, +1, Below("short_put", sigmas=_WING)),
            LegRule("short_put", PUT, -1, AtTheMoney(nearest=3)),
            LegRule("short_call", CALL, -1, SameStrike("short_put")),
            LegRule("long_call", CALL, +1, Above("short_call", sigmas=_WING)),
        ),
        dte=(20, 45),
        gates=_LEVEL,
        credit_required=True,
    ),
    Template(
        name="short_put_spread",
        outlook="bullish to neutral",
        side="bullish",
        legs=(
            LegRule("short_put", PUT, -1, DeltaBand(-0.35, -0.15)),
            LegRule("long_put", PUT, +1, Below("short_put", sigmas=_WING)),
        ),
        dte=(25, 50),
        credit_required=True,
    ),
    Template(
        name="short_call_spread",
        outlook="bearish to neutral",
        side="bearish",
        legs=(
            LegRule("short_call", CALL, -1, DeltaBand(0.15, 0.35)),
            LegRule("long_call", CALL, +1, Above("short_call", sigmas=_WING)),
        ),
        dte=(25, 50),
        credit_required=True,
    ),
    Template(
        name="long_call_spread",
        outlook="bullish",
        side="bullish",
        legs=(
            LegRule("long_call", CALL, +1, DeltaBand(0.40, 0.60)),
            LegRule("short_call", CALL, -1, Above("long_call", sigmas=_WING)),
        ),
        dte=(25, 60),
    ),
    Template(
        name="long_put_spread",
        outlook="bearish",
        side="bearish",
        legs=(
            LegRule("long_put", PUT, +1, DeltaBand(-0.60, -0.40)),
            LegRule("short_put", PUT, -1, Below("long_put", sigmas=_WING)),
        ),
        dte=(25, 60),
    ),
    Template(
        name="naked_put",
        outlook="bullish to neutral, margin account",
        side="bullish",
        legs=(LegRule("short_put", PUT, -1, DeltaBand(-0.30, -0.15)),),
        dte=(25, 50),
        credit_required=True,
    ),
    Template(
        name="cash_secured_put",
        outlook="glad to own the shares lower",
        side="bullish",
        legs=(LegRule("short_put", PUT, -1, DeltaBand(-0.35, -0.15)),),
        dte=(25, 50),
        credit_required=True,
        cash_secured=True,
    ),
    Template(
        name="covered_call",
        outlook="content to sell the shares higher",
        side="bullish",
        legs=(LegRule("short_call", CALL, -1, DeltaBand(0.20, 0.40)),),
        dte=(20, 50),
        stock=1,
    ),
    Template(
        name="short_strangle",
        outlook="range-bound, undefined risk",
        side="neutral",
        legs=(
            LegRule("short_put", PUT, -1, DeltaBand(-0.30, -0.10)),
            LegRule("short_call", CALL, -1, DeltaBand(0.10, 0.30)),
        ),
        dte=(25, 55),
        gates=_LEVEL,
        credit_required=True,
    ),
    Template(
        name="short_straddle",
        outlook="pinned to the price of today, undefined risk",
        side="neutral",
        legs=(
            LegRule("short_put", PUT, -1, AtTheMoney(nearest=3)),
            LegRule("short_call", CALL, -1, SameStrike("short_put")),
        ),
        dte=(25, 55),
        gates=_LEVEL,
        credit_required=True,
    ),
    Template(
        name="jade_lizard",
        outlook="bullish to neutral, no risk of a rise",
        side="bullish",
        legs=(
            LegRule("short_put", PUT, -1, DeltaBand(-0.35, -0.15)),
            LegRule("short_call", CALL, -1, DeltaBand(0.15, 0.40)),
            LegRule("long_call", CALL, +1, Above("short_call", sigmas=(0.05, 0.75))),
        ),
        dte=(25, 55),
        credit_required=True,
        no_upside_loss=True,
    ),
    Template(
        name="calendar",
        outlook="near the price of today, front month at least as rich",
        side="neutral",
        legs=(
            LegRule("short_near", CALL, -1, Moneyness(0.97, 1.03)),
            LegRule("long_far", CALL, +1, SameStrike("short_near"), slot="far"),
        ),
        dte=(20, 40),
        gap=(20, 65),
        gates=("term_m1_m2 >= -0.01",),
        both_sides=True,
    ),
    Template(
        name="diagonal",
        outlook="slowly towards the short strike",
        side="bullish",
        legs=(
            LegRule("long_far", CALL, +1, DeltaBand(0.45, 0.65), slot="far"),
            LegRule("short_near", CALL, -1, DeltaBand(0.20, 0.40)),
        ),
        dte=(20, 40),
        gap=(20, 65),
        both_sides=True,
    ),
    Template(
        name="ratio_spread",
        outlook="a move to the short strikes, not beyond",
        side="bullish",
        legs=(
            LegRule("long_call", CALL, +1, DeltaBand(0.35, 0.55)),
            LegRule("short_call", CALL, -2, Above("long_call", sigmas=_WING)),
        ),
        dte=(20, 45),
        both_sides=True,
    ),
    Template(
        name="put_backspread",
        outlook="a fall, or nothing to lose by a rise",
        side="bearish",
        legs=(
            LegRule("short_put", PUT, -1, DeltaBand(-0.50, -0.30)),
            LegRule("long_put", PUT, +2, Below("short_put", sigmas=(0.1, 1.0))),
        ),
        dte=(25, 60),
    ),
    Template(
        name="broken_wing_butterfly",
        outlook="near the short strikes, no or little risk on one side",
        side="bullish",
        legs=(
            LegRule("near_put", PUT, +1, DeltaBand(-0.50, -0.25)),
            LegRule("short_put", PUT, -2, Below("near_put", sigmas=(0.1, 1.0))),
            LegRule("far_put", PUT, +1, Below("short_put", sigmas=(0.2, 2.0))),
        ),
        dte=(20, 50),
        wider=(Wider("far_put", than="near_put", about="short_put"),),
        both_sides=True,
    ),
    Template(
        name="long_butterfly",
        outlook="near the body at expiry, cheap lottery with known loss",
        side="neutral",
        legs=(
            LegRule("lower", CALL, +1, Below("body", sigmas=(0.2, 1.5))),
            LegRule("body", CALL, -2, Moneyness(0.97, 1.03)),
            LegRule("upper", CALL, +1, Mirror("lower", about="body")),
        ),
        dte=(15, 45),
        both_sides=True,
    ),
    Template(
        name="collar",
        outlook="shares held, their loss bounded",
        side="bullish",
        legs=(
            LegRule("long_put", PUT, +1, DeltaBand(-0.35, -0.15)),
            LegRule("short_call", CALL, -1, DeltaBand(0.15, 0.40)),
        ),
        dte=(25, 75),
        stock=1,
    ),
)

CATALOGUE: Mapping[str, Template] = {template.name: template for template in _ALL}
"""Every strategy by name, in the order in which they are listed."""


SELLER = (
    "iron_condor", "short_put_spread", "short_call_spread", "naked_put", "cash_secured_put",
    "covered_call", "short_strangle", "jade_lizard",
)  # fmt: skip
"""Strategies of the profile "seller"; of the two short puts the one that the account can hold."""
SELLER_DAYS = (30, 60)
"""
Calendar days to expiry of the profile "seller": around 45, and above the 21 days at which the
default exit rules close a trade.
"""


_DECLARE = "a strategy of your own needs legs, or like"


def with_overrides(
    changes: Mapping[str, Mapping[str, Any]], base: Mapping[str, Template] = CATALOGUE
) -> dict[str, Template]:
    """
    The catalogue with changes by strategy and field name, as in the ``[strategies]`` tables.

    A leg is changed by its name: ``short_put = { delta = [-0.25, -0.10] }``,
    ``long_put = { points = [5, 10] }`` (or sigmas, strikes), ``body = { nearest = 1 }``.
    A table with ``legs``, or with ``like`` under a name of its own, declares a strategy; see
    `tables.declared`.

    Raises:
        ConfigError: Unknown strategy or field, or an impossible value; the message lists
            the names there are.
    """
    templates = dict(base)
    for name, fields in changes.items():
        if "legs" in fields or ("like" in fields and name not in base):
            templates[name] = declared(name, fields, templates)
            continue
        if name not in base:
            raise unknown(f"strategies.{name}", name, base, _DECLARE)
        for field, value in fields.items():
            templates[name] = changed(templates[name], field, value)
    return templates


def effective(settings: Settings) -> dict[str, Template]:
    """
    Every strategy as it is searched: this is where windows of days and exit rules meet.

    The window is that of the template, or of the profile for its strategies, or what
    ``[strategies]`` says; with ``scan.keep_to_exits`` it begins above the ``min_dte`` at which the
    exit rules close the strategy. A window that ends before that is left: `rules.gate` refuses it.

    Raises:
        ConfigError: As `with_overrides`.
    """
    of_profile = SELLER if settings.scan.profile == "seller" else ()
    windows = {name: replace(CATALOGUE[name], dte=SELLER_DAYS) for name in of_profile}
    known = with_overrides(settings.strategies, {**CATALOGUE, **windows})
    return {name: _above_exit(template, settings) for name, template in known.items()}


def _above_exit(template: Template, settings: Settings) -> Template:
    limit, (low, high) = exit_days(template, settings), template.dte
    return (
        template
        if limit is None or limit >= high
        else replace(template, dte=(max(low, limit + 1), high))
    )


def exit_days(template: Template, settings: Settings) -> int | None:
    """Days to expiry at which the exit rules close it; None for none, or where they do not bind."""
    binds = settings.scan.keep_to_exits
    return settings.journal.exits_for(template.name).min_dte if binds else None


Wanted: TypeAlias = str | Template | Sequence[str | Template]
"""Strategies by name, one text with commas among them, or as declared by a `Template`."""


def with_own(settings: Settings, wanted: Wanted | None) -> tuple[Settings, list[str] | None]:
    """
    Settings that know every template in *wanted*, and the names of all that are wanted.

    A template counts as a table ``[strategies.NAME]`` of the settings: so whatever reads those
    knows it, by its name alone. One that is called as a strategy of the catalogue replaces it.

    Raises:
        ConfigError: A template's name or values are impossible.
        UsageError: Neither a name nor a template.
    """
    if wanted is None:
        return settings, None
    given: Sequence[str | Template]
    if isinstance(wanted, Template):
        given = [wanted]
    else:
        given = several(wanted, "strategies") if isinstance(wanted, str) else _listed(wanted)
    tables = {each.name: written(each) for each in given if isinstance(each, Template)}
    if tables:
        with_overrides(tables)
        settings = settings.model_copy(update={"strategies": {**settings.strategies, **tables}})
    return settings, [each.name if isinstance(each, Template) else each for each in given]


def _listed(wanted: Iterable[Any]) -> list[str | Template]:
    each = list(wanted) if isinstance(wanted, Iterable) else [wanted]
    wrong = [entry for entry in each if not isinstance(entry, (str, Template))]
    if wrong:
        raise UsageError(f"strategies are names or Templates, got {wrong[0]!r:.60}")
    return each


def catalogue(settings: Settings | None = None) -> dict[str, Template]:
    """
    Every strategy by name, as it is searched with *settings*, those of your own among them.

    One of them, changed by ``dataclasses.replace``, is a strategy of your own.

    Args:
        settings: None for the defaults.
    """
    return effective(settings or Settings())


def own(settings: Settings) -> dict[str, Template]:
    """The strategies that the settings declare and the catalogue does not have."""
    known = with_overrides(settings.strategies)
    return {name: template for name, template in known.items() if name not in CATALOGUE}


def choose(settings: Settings, names: str | Sequence[str] | None = None) -> tuple[Template, ...]:
    """
    The templates to search, in the catalogue's order.

    Those of *names*, else of ``scan.strategies``, else the enabled ones of ``scan.profile`` and of
    one's own. A string is one name, or several separated by commas; dashes count as underscores.

    Raises:
        ConfigError: As `with_overrides`, and for a name that is not a strategy.
    """
    known = effective(settings)
    given = settings.scan.strategies if names is None else several(names)
    wanted = [name.replace("-", "_") for name in given]
    for name in wanted:
        if name not in known:
            raise unknown("scan.strategies", name, known)
    if wanted:
        return tuple(template for template in known.values() if template.name in wanted)
    of_profile = _of_profile(settings)
    return tuple(
        template for template in known.values() if template.enabled and template.name in of_profile
    )


def _of_profile(settings: Settings) -> frozenset[str]:
    own_names = frozenset(settings.strategies) - frozenset(CATALOGUE)
    if settings.scan.profile == "all":
        return frozenset(CATALOGUE) | own_names
    other = "naked_put" if settings.account.margin == "cash" else "cash_secured_put"
    return frozenset(SELLER) - {other} | own_names


def describe(template: Template) -> dict[str, Any]:
    """The template as plain values, named as in ``tomic.toml``; legs by their names."""
    legs = {
        leg.name: {
            "right": leg.right,
            "quantity": leg.quantity,
            "expiry": leg.slot,
            "strike": strike_text(leg.pick),
            **pick_fields(leg.pick),
        }
        for leg in template.legs
    }
    fields = ("name", "outlook", "side", "stock", "cash_secured", "undefined_risk", *PLAIN)
    values = ((field, getattr(template, field)) for field in fields)
    return {
        **{field: list(value) if isinstance(value, tuple) else value for field, value in values},
        "wider": [f"{rule.leg} wider than {rule.than}" for rule in template.wider],
        "legs": legs,
    }


def strike_text(pick: Pick) -> str:
    """How a strike is chosen, in words."""
    match pick:
        case DeltaBand(low, high):
            return f"delta {low:g} to {high:g}"
        case Moneyness(low, high):
            return f"{low:g} to {high:g} x spot"
        case AtTheMoney(nearest):
            return "at the money" if nearest == 1 else f"the {nearest} strikes at the money"
        case SameStrike(leg):
            return f"as {leg}"
        case Mirror(leg, about):
            return f"as far from {about} as {leg}"
        case _:
            low, high = pick.range
            where = "below" if isinstance(pick, Below) else "above"
            return f"{low:g} to {high:g} {pick.unit} {where} {pick.leg}"
