"""The catalogue of strategies and what tomic.toml may change about it."""

from __future__ import annotations

import pytest

from tomic.config import Settings
from tomic.errors import ConfigError
from tomic.strategies.catalogue.leg_rules import (
    CALL,
    PUT,
    Above,
    Below,
    DeltaBand,
    LegRule,
    Moneyness,
    Template,
    Wider,
    mirrored,
)
from tomic.strategies.catalogue.templates import (
    CATALOGUE,
    choose,
    describe,
    effective,
    with_overrides,
)

NEW = "a strategy was declared or taken away: the names in this test are kept by hand, on purpose"


def test_nineteen_strategies():
    """Every strategy that TOMIC promises is declared, under its own name."""
    assert set(CATALOGUE) == {
        "iron_condor", "iron_butterfly", "short_put_spread", "short_call_spread",
        "long_call_spread", "long_put_spread", "naked_put", "cash_secured_put", "covered_call",
        "short_strangle", "short_straddle", "jade_lizard", "calendar", "diagonal", "ratio_spread",
        "put_backspread", "broken_wing_butterfly", "long_butterfly", "collar",
    }, NEW  # fmt: skip
    assert all(name == template.name for name, template in CATALOGUE.items())


def test_ratios_are_one_to_two():
    """Ratio spread and backspread trade two contracts against one."""
    for name in ("ratio_spread", "put_backspread"):
        assert sorted(abs(leg.quantity) for leg in CATALOGUE[name].legs) == [1, 2]


def test_default_gates():
    """Only what the structure gives a reason for: no IV rank, which had no effect."""
    level = ("abs(skew) <= 0.08",)
    neutral = ("iron_condor", "iron_butterfly", "short_strangle", "short_straddle")
    gates = {name: template.gates for name, template in CATALOGUE.items() if template.gates}
    assert gates == dict.fromkeys(neutral, level) | {"calendar": ("term_m1_m2 >= -0.01",)}


def test_condor_searches_widths():
    """Its short strikes have |delta| .10-.30, its wings lie 0.25 to 1.5 sigma away."""
    legs = {leg.name: leg.pick for leg in CATALOGUE["iron_condor"].legs}

    assert legs["short_put"] == DeltaBand(-0.30, -0.10)
    assert legs["short_call"] == DeltaBand(0.10, 0.30)
    assert legs["long_put"] == Below("short_put", sigmas=(0.25, 1.5))
    assert legs["long_call"] == Above("short_call", sigmas=(0.25, 1.5))


@pytest.mark.parametrize("name", CATALOGUE)
def test_short_deltas_have_the_sign_of_their_right(name):
    """Puts have negative deltas, calls positive ones, also with both exchanged."""
    for variant in CATALOGUE[name].variants:
        for leg in variant.legs:
            if isinstance(leg.pick, DeltaBand):
                assert leg.pick.low < leg.pick.high
                assert (leg.pick.high <= 0.0) == (leg.right == PUT)


@pytest.mark.parametrize("name", CATALOGUE)
def test_exchanging_twice_changes_nothing(name):
    """Calls and puts exchanged and exchanged again are as they were."""
    assert mirrored(mirrored(CATALOGUE[name])) == CATALOGUE[name]


def test_undefined_risk():
    """More calls sold than held, shares counted, can cost without bound."""
    found = {name for name, template in CATALOGUE.items() if template.undefined_risk}
    assert found == {"short_strangle", "short_straddle", "ratio_spread"}, NEW


def test_overrides_change_fields_by_name():
    """Days, gates and legs change; an offset keeps its direction and its other leg."""
    changes = {
        "iron_condor": {
            "dte": [30, 45],
            "gates": "iv_rank >= 0.4",
            "long_put": {"points": [5, 10]},
            "short_call": {"delta": [0.15, 0.20]},
        },
        "calendar": {"short_near": {"nearest": 2}, "gap": [30, 40]},
    }

    changed = with_overrides(changes)

    condor = changed["iron_condor"]
    assert condor.dte == (30, 45)
    assert condor.gates == ("iv_rank >= 0.4",)
    assert condor.leg("long_put").pick == Below("short_put", points=(5.0, 10.0))
    assert condor.leg("short_call").pick == DeltaBand(0.15, 0.20)
    assert condor.leg("short_put") == CATALOGUE["iron_condor"].leg("short_put")
    assert changed["calendar"].gap == (30, 40)
    assert changed["short_put_spread"] is CATALOGUE["short_put_spread"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"iron_condr": {}}, "did you mean iron_condor?"),
        ({"iron_condor": {"dt": [1, 2]}}, "did you mean dte?"),
        ({"iron_condor": {"dte": [50, 20]}}, "must ascend"),
        ({"iron_condor": {"dte": [20.5, 30]}}, "two whole numbers"),
        ({"iron_condor": {"dte": "soon"}}, "two whole numbers"),
        ({"iron_condor": {"gap": [20, 30]}}, "a gap belongs to far legs"),
        ({"iron_condor": {"gates": ["iv_rnk > 1"]}}, "iv_rnk is unknown"),
        ({"iron_condor": {"enabled": 1}}, "must be true or false"),
        ({"iron_condor": {"short_put": [1, 2]}}, "a leg is a table"),
        ({"iron_condor": {"short_put": {"delta": [0.5, -2]}}}, "ascend from -1 to 1"),
        ({"iron_condor": {"short_put": {"points": [5, 9]}}}, "this leg has none"),
        ({"iron_condor": {"long_put": {"points": [9, 5]}}}, "must ascend"),
        ({"iron_condor": {"long_put": {"width": [5, 9]}}}, "unknown"),
        ({"iron_condor": {"long_put": {"quantity": 0}}}, "not 0"),
        ({"short_straddle": {"short_put": {"nearest": 0}}}, "from 1 up"),
    ],
)
def test_what_cannot_be_is_refused(changes, says):
    """The error names the key and says what is wrong."""
    with pytest.raises(ConfigError, match=r"strategies[.]") as error:
        with_overrides(changes)
    assert says in str(error.value)


def test_choose_by_name():
    """Named strategies come in the catalogue's order, all enabled ones without names."""
    every = {"scan": {"profile": "all"}}
    off = Settings.model_validate(every | {"strategies": {"collar": {"enabled": False}}})

    assert names(choose(Settings(), ["naked-put", "iron_condor"])) == ["iron_condor", "naked_put"]
    assert names(choose(off, [])) == [name for name in CATALOGUE if name != "collar"]
    assert names(choose(off, "collar")) == ["collar"]
    with pytest.raises(ConfigError, match="did you mean collar"):
        choose(Settings(), ["colar"])


@pytest.mark.parametrize(
    ("margin", "short_put"), [("reg_t", "naked_put"), ("cash", "cash_secured_put")]
)
def test_sellers_profile(margin, short_put):
    """What pays a credit, 30 to 60 days out; of the short puts the one the account can hold."""
    chosen = choose(Settings.model_validate({"account": {"margin": margin}}))

    assert set(names(chosen)) == {
        "iron_condor", "short_put_spread", "short_call_spread", short_put, "covered_call",
        "short_strangle", "jade_lizard",
    }, NEW  # fmt: skip
    assert {template.dte for template in chosen} == {(30, 60)}
    assert all(template.receives_credit for template in chosen)


def test_what_the_user_says_comes_before_the_profile():
    """Names given, in settings or by the call, and a window of one's own."""
    own = Settings.model_validate(
        {
            "scan": {"strategies": "collar,iron_condor"},
            "strategies": {"iron_condor": {"dte": [40, 50]}},
        }
    )

    assert [(each.name, each.dte) for each in choose(own)] == [
        ("iron_condor", (40, 50)),
        ("collar", (25, 75)),
    ]
    assert names(choose(own, "calendar")) == ["calendar"]


@pytest.mark.parametrize("profile", ["seller", "all"])
def test_no_window_reaches_down_to_its_exit_rule(profile):
    """Every strategy is opened above the days at which ``journal check`` closes it."""
    settings = Settings.model_validate({"scan": {"profile": profile}})

    for template in effective(settings).values():
        limit = settings.journal.exits_for(template.name).min_dte
        assert template.dte[0] > limit


def test_windows_follow_the_exit_rules():
    """Another ``min_dte`` moves the window's start; without the rule it is the template's own."""
    every = {"scan": {"profile": "all"}}
    later = Settings.model_validate(every | {"journal": {"exits": {"min_dte": 35}}})
    loose = Settings.model_validate({"scan": {"profile": "all", "keep_to_exits": False}})

    assert effective(later)["iron_condor"].dte == (36, 55)
    assert effective(loose) == CATALOGUE


def names(chosen):
    return [template.name for template in chosen]


@pytest.mark.parametrize("name", CATALOGUE)
def test_description_can_be_written_back(name):
    """What is printed of a strategy is accepted as a change to it, and changes nothing."""
    said = describe(CATALOGUE[name])
    fields = ("dte", "gates", "credit_required", "no_upside_loss", "both_sides", "enabled")
    changes = {field: said[field] for field in fields}
    picks = ("delta", "moneyness", "nearest", "sigmas", "points", "strikes")
    for leg, values in said["legs"].items():
        changes[leg] = {key: values[key] for key in (*picks, "quantity") if key in values}

    assert with_overrides({name: changes})[name] == CATALOGUE[name]


def test_templates_are_checked():
    """Legs that refer to nothing or to each other, and doubled names, are no template."""
    first = LegRule("a", CALL, 1, Above("b", points=(1, 2)))
    second = LegRule("b", CALL, -1, Above("a", points=(1, 2)))
    for legs in ((first,), (first, second), (second, second)):
        with pytest.raises(ValueError, match="x: "):
            Template("x", "", "neutral", legs, dte=(1, 2))
    with pytest.raises(ValueError, match="exactly one"):
        Above("a", points=(1, 2), sigmas=(1, 2))


def test_mirror_image_of_a_broken_wing():
    """Names, rights, directions and conditions are all exchanged."""
    image = mirrored(CATALOGUE["broken_wing_butterfly"])

    assert [leg.name for leg in image.legs] == ["near_call", "short_call", "far_call"]
    assert image.leg("near_call").pick == DeltaBand(0.25, 0.50)
    assert image.leg("far_call").pick == Above("short_call", sigmas=(0.2, 2.0))
    assert image.wider == (Wider("far_call", than="near_call", about="short_call"),)
    assert image.side == "bearish"


def test_mirror_image_of_moneyness():
    """Strikes from 2 % below to 4 % above spot become those from 4 % below to 2 % above."""
    leg = LegRule("a", CALL, 1, Moneyness(0.98, 1.04))
    image = mirrored(Template("x", "", "neutral", (leg,), dte=(1, 2)))
    assert image.legs[0].pick == Moneyness(pytest.approx(0.96), pytest.approx(1.02))
