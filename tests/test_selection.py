"""Selection: classes, expiries, strikes and their order."""

from __future__ import annotations

import datetime as dt
import itertools
import math
from dataclasses import dataclass

import pytest
from hypothesis import given, strategies as st

from tomic import dates, selection
from tomic.config.market import ChainSettings
from tomic.errors import EmptyChain, MissingSpot, UsageError
from tomic.models import OptionParams
from tomic.selection import ExpiryKind

TODAY = dt.date(2025, 6, 18)
LISTED = tuple(
    dates.parse_expiry(text)
    for text in (
        "20250620", "20250627", "20250703", "20250711", "20250718",
        "20250725", "20250801", "20250808", "20250815", "20250919",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """The mission's defaults."""

    min_dte: int = 15
    max_dte: int | None = None
    monthlies: int = 3
    weeklies: int = 4
    expiries: str = "selected"
    strike_range: str = "10"
    side: str = "both"


def params(expiries=LISTED, strikes=range(550, 651), **fields) -> OptionParams:
    """Option parameters of SPY, one point apart."""
    known = {"exchange": "SMART", "trading_class": "SPY", "multiplier": 100} | fields
    return OptionParams(expiries=tuple(expiries), strikes=tuple(map(float, strikes)), **known)


def days(*texts: str) -> list[dt.date]:
    """Expiries written as IB does."""
    return [dates.parse_expiry(text) for text in texts]


def test_monthlies_and_weeklies_of_the_mission():
    """Three monthlies and four weeklies; the Thursday before a closed Friday is a weekly."""
    chosen = selection.choose(params(), 600.5, TODAY, Rules())

    assert list(chosen.expiries) == days(
        "20250703", "20250711", "20250718", "20250725", "20250801", "20250815", "20250919"
    )
    assert len(chosen) == len(list(chosen)) == 7 * 20 * 2


def test_kinds_of_the_mission():
    """Fridays of other weeks are weeklies, third Fridays monthlies."""
    kinds = selection.classify(LISTED)

    monthlies = [day for day, kind in kinds.items() if kind is ExpiryKind.MONTHLY]
    assert monthlies == days("20250620", "20250718", "20250815", "20250919")
    assert set(kinds.values()) == {ExpiryKind.MONTHLY, ExpiryKind.WEEKLY}


def test_dailies_and_quarter_ends():
    """Dailies are no weeklies, nor is a far quarter end whose Friday is not listed yet."""
    listed = days("20250623", "20250625", "20250627", "20250630", "20250702", "20250703",
                  "20250930", "20251231")  # fmt: skip

    kinds = selection.classify(listed)

    assert list(kinds.values()) == [
        ExpiryKind.DAILY, ExpiryKind.DAILY, ExpiryKind.WEEKLY, ExpiryKind.QUARTER_END,
        ExpiryKind.DAILY, ExpiryKind.WEEKLY, ExpiryKind.QUARTER_END, ExpiryKind.QUARTER_END,
    ]  # fmt: skip


def test_weeklies_move_off_a_holiday():
    """Christmas 2026 and New Year 2027 are Fridays, so the weeklies are the Thursdays."""
    kinds = selection.classify(days("20261218", "20261224", "20261231"))

    assert list(kinds.values()) == [ExpiryKind.MONTHLY, ExpiryKind.WEEKLY, ExpiryKind.WEEKLY]


def test_monthly_moves_off_a_holiday():
    """Good Friday 2025 was the third Friday of April."""
    kinds = selection.classify(days("20250411", "20250416", "20250417", "20250425"))

    assert list(kinds.values()) == [
        ExpiryKind.WEEKLY, ExpiryKind.DAILY, ExpiryKind.MONTHLY, ExpiryKind.WEEKLY,
    ]  # fmt: skip


def test_class_without_fridays():
    """VIX expires on Wednesdays: the monthly lies 30 days before the next third Friday."""
    kinds = selection.classify(days("20250611", "20250618", "20250625", "20250702", "20250716"))

    monthlies = [day for day, kind in kinds.items() if kind is ExpiryKind.MONTHLY]
    assert monthlies == days("20250618", "20250716")
    assert list(kinds.values()).count(ExpiryKind.WEEKLY) == 3


def test_all_expiries():
    """With all, dailies and quarter ends of the window come along."""
    listed = days("20250703", "20250707", "20250708", "20250711", "20250930")

    chosen = selection.choose(params(listed), 600.0, TODAY, Rules(expiries="all", max_dte=60))

    assert list(chosen.expiries) == listed[:4]


@given(
    st.sets(st.dates(dt.date(2025, 6, 18), dt.date(2026, 6, 18)), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_order_of_the_listing_does_not_matter(listed, random):
    """The same expiries in any order give the same kinds, one for each."""
    shuffled = list(listed)
    random.shuffle(shuffled)

    assert selection.classify(shuffled) == selection.classify(sorted(listed))
    assert list(selection.classify(shuffled)) == sorted(listed)


def test_strike_window_is_inclusive():
    """Spot 600.5 and 10 points give 591 to 610; 590.5 and 610.5 are inside."""
    chosen = selection.choose(params(), 600.5, TODAY, Rules())
    strikes = chosen.strikes[chosen.expiries[0]]
    halves = selection.choose(params(strikes=[590.4, 590.5, 610.5, 610.6]), 600.5, TODAY, Rules())

    assert (strikes[0], strikes[-1], len(strikes)) == (591.0, 610.0, 20)
    assert halves.strikes[halves.expiries[0]] == (590.5, 610.5)


def test_decimal_edge_is_inside():
    """0.1 + 0.2 is not 0.3 in binary; a strike exactly on the edge stays inside."""
    chosen = selection.choose(
        params(strikes=[0.3, 0.9, 1.5]), 0.3 + 0.6, TODAY, Rules(strike_range="0.6")
    )

    assert chosen.strikes[chosen.expiries[0]] == (0.3, 0.9, 1.5)


def test_per_cent_range():
    """5 % of 600 is 30 points."""
    chosen = selection.choose(params(), 600.0, TODAY, Rules(strike_range="5%"))

    assert chosen.strikes[chosen.expiries[0]][0] == 570.0
    assert chosen.strikes[chosen.expiries[0]][-1] == 630.0


def test_sigma_range_widens_with_time():
    """Two sigmas are 2 * 600 * 0.16 * sqrt(days / 365) on each side."""
    chosen = selection.choose(
        params(strikes=range(500, 701)),
        600.0,
        TODAY,
        Rules(strike_range="2s", max_dte=31),
        sigma=0.16,
    )

    for expiry, strikes in chosen.strikes.items():
        half = 2 * 600.0 * 0.16 * math.sqrt((expiry - TODAY).days / 365)
        assert strikes[0] == math.ceil(600.0 - half)
        assert strikes[-1] == math.floor(600.0 + half)


@pytest.mark.parametrize("sigma", [None, math.nan, 0.0])
def test_sigma_range_needs_a_volatility(sigma):
    """Without a volatility the error says what to use instead."""
    with pytest.raises(UsageError, match=r"5% \(--strike-range\)"):
        selection.choose(params(), 600.0, TODAY, Rules(strike_range="2s"), sigma=sigma)


def test_expiry_without_strikes_is_left_out():
    """A short expiry whose own range holds no strike does not appear."""
    chosen = selection.choose(
        params(days("20250703", "20250919"), strikes=[570, 630]),
        600.0,
        TODAY,
        Rules(strike_range="1s"),
        sigma=0.16,
    )

    assert list(chosen.expiries) == days("20250919")


@pytest.mark.parametrize(("side", "rights"), [("calls", ("C",)), ("puts", ("P",))])
def test_one_side(side, rights):
    """Only one right halves the request."""
    chosen = selection.choose(params(), 600.5, TODAY, Rules(side=side))

    assert chosen.rights == rights
    assert len(chosen) == chosen.pairs == 140


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(min_dte=100), "from 100 days; the nearest are .*2025-09-19 \\(93 days\\)"),
        (Rules(min_dte=3, max_dte=8), "from 3 days to 8; the nearest are 2025-06-20 \\(2 days\\)"),
        (Rules(min_dte=3, max_dte=8), "2025-06-27 \\(9 days\\)"),
        (Rules(monthlies=1, weeklies=0, min_dte=3, max_dte=20), "use expiries all"),
        (Rules(strike_range="0.2"), "within 0.2 of 600.5; the nearest are 600 and 601"),
    ],
)
def test_empty_window_says_what_is_near(rules, words):
    """An empty window is an error that names what lies nearest."""
    with pytest.raises(EmptyChain, match=words):
        selection.choose(params(), 600.5, TODAY, rules)


def test_nothing_ahead():
    """A class whose expiries are all past, or whose strikes are gone, is empty."""
    with pytest.raises(EmptyChain, match="nor any other"):
        selection.choose(params(days("20250117")), 600.5, TODAY, Rules())
    with pytest.raises(EmptyChain, match="nor any other"):
        selection.choose(params(strikes=()), 600.5, TODAY, Rules())


@pytest.mark.parametrize("spot", [math.nan, 0.0, -1.0, math.inf])
def test_spot_must_be_a_price(spot):
    """Without a price there is no window."""
    with pytest.raises(MissingSpot):
        selection.choose(params(), spot, TODAY, Rules())


def test_settings_are_rules():
    """The chain settings serve as rules as they are, defaults included."""
    chosen = selection.choose(params(), 600.5, TODAY, ChainSettings())

    assert len(chosen.expiries) == 7


def test_class_choice_is_deterministic():
    """Whatever the order of the answers, the same row is chosen; classes are never merged."""
    rows = [
        params(exchange="CBOE"),
        params(exchange="SMART"),
        params(exchange="SMART", trading_class="2SPY", expiries=LISTED[:2]),
        params(exchange="AMEX"),
    ]

    for order in itertools.permutations(rows):
        chosen = selection.choose_params(order, "SPY")
        assert (chosen.exchange, chosen.trading_class) == ("SMART", "SPY")


@pytest.mark.parametrize(
    ("symbol", "listed", "asked", "expected"),
    [
        ("SPX", ["SPX", "SPXW"], "", "SPXW"),
        ("SPX", ["SPX", "SPXW"], "spx", "SPX"),
        ("SPX", ["SPX"], "", "SPX"),
        ("NDX", ["NDX", "NDXP"], "", "NDXP"),
        ("VIX", ["VIXW", "VIX"], "", "VIX"),
        ("XSP", ["XSP"], "", "XSP"),
        ("BRK.B", ["2BRKB", "BRKB"], "", "BRKB"),
        ("ABC", ["2ABC", "XABC"], "", "XABC"),
    ],
)
def test_class_of_a_symbol(symbol, listed, asked, expected):
    """The class asked for, else the one that settles on the close, else the symbol's own."""
    rows = [params(trading_class=name) for name in listed]

    assert selection.choose_params(rows, symbol, asked).trading_class == expected


def test_odd_multiplier_comes_last():
    """With no class of the symbol's own, multiplier 100 and most expiries decide."""
    rows = [
        params(trading_class="XA", multiplier=10),
        params(trading_class="XB", expiries=LISTED[:3]),
        params(trading_class="XC"),
    ]

    assert selection.choose_params(rows, "ABC").trading_class == "XC"


EUREX = {"exchange": "EUREX"}


def test_abroad_the_class_with_most_monthlies_is_meant():
    """Weeklies have classes of their own there; the one that lists the months is taken."""
    months = (dt.date(2025, 6, 20), dt.date(2025, 7, 18), dt.date(2025, 8, 15))
    rows = [
        params(exchange="FTA", trading_class="AX1", expiries=(dt.date(2025, 6, 6),)),
        params(exchange="FTA", trading_class="AEXM", expiries=months),
        params(exchange="FTA", trading_class="AX2", expiries=(dt.date(2025, 6, 13),)),
    ]

    for order in itertools.permutations(rows):
        assert selection.choose_params(order, "AEX").trading_class == "AEXM"


def test_of_several_multipliers_of_a_class_one_is_chosen():
    """Where SMART lists nothing, no multiplier is the usual one: the error names both."""
    rows = [
        params(trading_class="ASM", multiplier=100, **EUREX),
        params(trading_class="ASM", multiplier=107, **EUREX),
    ]

    with pytest.raises(UsageError, match=r"ASM \(x100, EUREX\), ASM \(x107, EUREX\).*ASM:107"):
        selection.choose_params(rows, "ASML@AEB", "ASM")
    assert selection.choose_params(rows, "ASML@AEB", "asm:107").multiplier == 107


@pytest.mark.parametrize(
    ("symbol", "ticker", "expected"),
    [
        ("ESTX50", "", "OESX"),
        ("ESTX50@EUREX", "", "OESX"),
        ("EURO50", "ESTX50", "OESX"),
        ("DAX", "", "ODAX"),
        ("AEX", "EOE", "EOE"),
    ],
)
def test_usual_classes_abroad(symbol, ticker, expected):
    """An index has its usual class under whatever name it is asked for."""
    rows = [
        params(trading_class=name, multiplier=size, **EUREX)
        for name, size in (("OESX", 10), ("ODAX", 5), ("ODXS", 1), ("EOE", 100))
    ]

    assert selection.choose_params(rows, symbol, ticker=ticker).trading_class == expected


@pytest.mark.parametrize(
    ("symbol", "size"),
    [("SPY", 100), ("ESTX50", 10), ("DAX", 5), ("EOE", 100), ("ASML@AEB", None), ("ES@CME", None)],
)
def test_the_size_that_a_name_tells(symbol, size):
    """A hundred in the United States; abroad only where the index is known."""
    assert selection.usual_multiplier(symbol) == size


def test_unknown_class_lists_the_known():
    """A class that is not listed is an error that names those that are."""
    with pytest.raises(EmptyChain, match="SPX, SPXW"):
        selection.choose_params(
            [params(trading_class=name) for name in ("SPXW", "SPX")], "SPX", "Q"
        )
    with pytest.raises(EmptyChain, match="no options are listed on ABC"):
        selection.choose_params([], "ABC")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10", selection.StrikeRange(10.0, "points")),
        (" 2.5 ", selection.StrikeRange(2.5, "points")),
        ("5%", selection.StrikeRange(0.05, "fraction")),
        ("1.5S", selection.StrikeRange(1.5, "sigmas")),
    ],
)
def test_strike_range_spellings(text, expected):
    """Points, per cent and sigmas."""
    assert selection.parse_strike_range(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-5", "ten", "5%%", "2sd", "nan", "inf", "1e3"])
def test_bad_strike_range(text):
    """Anything else is refused with the three spellings."""
    with pytest.raises(UsageError, match="write 10"):
        selection.parse_strike_range(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15", (15, None)),
        ("15:60", (15, 60)),
        (":60", (0, 60)),
        ("7:", (7, None)),
        ("0", (0, None)),
    ],
)
def test_dte_spellings(text, expected):
    """Fewest days, or fewest and most."""
    assert selection.parse_dte(text) == expected


@pytest.mark.parametrize("text", ["", ":", "-1", "1.5", "60:15", "15:60:90", "soon", "²"])
def test_bad_dte(text):
    """Negative, fractional or reversed days are refused."""
    with pytest.raises(UsageError, match="days to expiry"):
        selection.parse_dte(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-0.8:0.8", (-0.8, 0.8)),
        (".05:.45", (0.05, 0.45)),
        (":0.5", (-1.0, 0.5)),
        ("0:", (0.0, 1.0)),
    ],
)
def test_delta_spellings(text, expected):
    """Two ends; an open end is the largest delta there is."""
    assert selection.parse_delta(text) == expected


@pytest.mark.parametrize("text", ["", ":", "0.8", "0.8:-0.8", "-2:2", "a:b", "nan:1", "0:0"])
def test_bad_delta(text):
    """A range must ascend within -1 and 1."""
    with pytest.raises(UsageError, match=r"write -0\.8:0\.8"):
        selection.parse_delta(text)


def test_nearest_the_money_first():
    """Options are asked for by distance from spot, ties by expiry, strike and right."""
    chosen = selection.choose(
        params(days("20250718", "20250815"), strikes=[598, 600, 602]), 600.0, TODAY, Rules()
    )

    order = selection.by_moneyness(chosen, 600.0)

    assert [one.strike for one in order] == [600.0] * 4 + [598.0, 598.0, 602.0, 602.0] * 2
    assert [(one.expiry.month, one.right) for one in order[:4]] == [
        (7, "C"), (7, "P"), (8, "C"), (8, "P"),
    ]  # fmt: skip


@pytest.mark.parametrize("trading_class", ["VIX", ""])
@pytest.mark.parametrize("shift", [0, 1])
def test_monthlies_of_vix_by_either_day(trading_class, shift):
    """IB lists VIX under its Tuesdays, files under its Wednesdays: three monthlies either way."""
    wednesdays = ["2024-01-17", "2024-01-24", "2024-02-14", "2024-02-28", "2024-03-20"]
    days = [dt.date.fromisoformat(day) - dt.timedelta(days=shift) for day in wednesdays]

    kinds = selection.classify(days, trading_class)

    assert [kind.value for kind in kinds.values()] == [
        "monthly", "weekly", "monthly", "weekly", "monthly"
    ]  # fmt: skip


def test_monthlies_of_spx_under_its_thursdays():
    """The days before third Fridays are monthlies, also where that Friday is closed."""
    days = [dt.date(2025, 3, 20), dt.date(2025, 4, 16), dt.date(2025, 5, 15)]

    assert {kind.value for kind in selection.classify(days, "SPX").values()} == {"monthly"}
