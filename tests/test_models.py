"""Border models: symbols, statuses, exercise, strictness."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from tomic import models
from tomic.errors import InvalidSymbol
from tomic.models import (
    OptionQuote,
    RowStatus,
    Spot,
    SpotSource,
    Underlying,
    VolSnapshot,
    normalize_symbol,
    normalize_symbols,
)
from tomic.models.book import Book
from tomic.models.documents import first_fault
from tomic.models.exits import ExitRules


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        (" spy ", "SPY"),
        ("BRK.B", "BRK.B"),
        ("brk.b", "BRK.B"),
        ("VIX", "VIX"),
        ("asml@aeb", "ASML@AEB"),
        ("ASML @ AEB", "ASML@AEB"),
        ("ABI@ENEXT.BE", "ABI@ENEXT.BE"),
        ("esh7@cme", "ESH7@CME"),
    ],
)
def test_symbols(text, symbol):
    """Symbols are trimmed and written in capitals, an exchange after an @."""
    assert normalize_symbol(text) == symbol


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "SP Y",
        "SPY;",
        "S$Y",
        ".B",
        "BRK.",
        "ＳＰＹ",
        "A" * 13,
        "@AEB",
        "ASML@",
        "A@B@C",
        "/ES",
    ],
)
def test_no_symbols(text):
    """What no ticker looks like is refused."""
    with pytest.raises(InvalidSymbol, match="is not a ticker symbol"):
        normalize_symbol(text)


def test_a_future_is_written_with_its_exchange():
    """The slash of other programs is answered with an exchange."""
    with pytest.raises(InvalidSymbol, match="a future has its exchange after an @, as in NQ@CME"):
        normalize_symbol("/nq")


@pytest.mark.parametrize(
    ("currency", "base", "rates", "rate"),
    [
        ("GBX", "EUR", {"GBP": 1.2}, 0.012),
        ("GBX", "GBP", {}, 0.01),
        ("JPY/100", "EUR", {"JPY": 0.006}, 0.00006),
        ("GBP", "EUR", {"GBP": 1.2}, 1.2),
        ("GBX", "EUR", {"USD": 0.9}, None),
        ("", "EUR", {"USD": 0.9}, None),
    ],
)
def test_pence_have_a_hundredth_of_the_rate_of_pounds(currency, base, rates, rate):
    """A minor unit is known by name; what the broker gave no rate of has none."""
    book = Book(as_of=dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC), currency=base, rates=rates)

    assert book.rate_of(currency) == (None if rate is None else pytest.approx(rate))


def test_share_class_is_suggested():
    """A class written another way is answered with the right way."""
    with pytest.raises(InvalidSymbol, match=r"did you mean BRK\.B\?"):
        normalize_symbol("brk-b")


@given(st.text(max_size=20))
def test_any_text_is_a_symbol_or_refused(text):
    """Whatever is typed, a symbol comes back that is its own normal form, or an error."""
    try:
        symbol = normalize_symbol(text)
    except InvalidSymbol:
        return

    assert normalize_symbol(symbol) == symbol


def test_final_statuses():
    """Only what timed out, was lost or is not subscribed may still be had."""
    open_ones = {status for status in RowStatus if not status.is_final}

    assert open_ones == {RowStatus.NOT_SUBSCRIBED, RowStatus.TIMEOUT, RowStatus.LOST}


def test_exercise_style():
    """Index options are European, all others American."""
    assert Underlying(symbol="SPX", con_id=1, sec_type="IND").exercise_style == "european"
    assert Underlying(symbol="SPY", con_id=2).exercise_style == "american"


def test_models_are_frozen_and_strict():
    """A model does not change and knows its fields; times have a zone."""
    spot = Spot(price=1.0, source=SpotSource.LAST, as_of=dt.datetime.now(dt.UTC))

    with pytest.raises(ValidationError, match="frozen"):
        spot.price = 2.0
    with pytest.raises(ValidationError, match="Extra inputs"):
        Underlying(symbol="SPY", con_id=1, conid=2)
    with pytest.raises(ValidationError, match="timezone"):
        Spot(price=1.0, source=SpotSource.LAST, as_of=dt.datetime(2025, 6, 18))


def test_option_round_trip():
    """A row survives JSON."""
    row = OptionQuote(
        expiry=dt.date(2025, 7, 18), dte=30, strike=600.0, right="C", bid=6.05, status=RowStatus.OK
    )

    assert OptionQuote.model_validate_json(row.model_dump_json()) == row


def test_public_names_exist():
    """Every name the package announces is there."""
    assert [name for name in models.__all__ if not hasattr(models, name)] == []


def test_a_fault_is_one_line():
    """What is wrong with a model is said as field and reason, without pydantic's own preface."""
    with pytest.raises(ValidationError) as caught:
        OptionQuote(expiry=dt.date(2025, 7, 18), dte=30, strike=600.0, right="X", status="ok")

    assert first_fault(caught.value) == "right: Input should be 'C' or 'P'"


# -- several names, possible figures -------------------------------------------------------------

SEEN = dt.datetime(2026, 11, 20, 20, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("SPY", ["SPY"]),
        ("spy, qqq", ["SPY", "QQQ"]),
        ("SPY,,brk.b,", ["SPY", "BRK.B"]),
        (["spy", "QQQ"], ["SPY", "QQQ"]),
        (("SPY",), ["SPY"]),
        ("", []),
        ([], []),
        (iter(["SPY"]), ["SPY"]),
    ],
)
def test_one_text_or_several(given, names):
    """A text is one symbol, or several by commas, and never its letters."""
    assert normalize_symbols(given) == names


@pytest.mark.parametrize("given", [["SPY"], 5, None, b"SPY"])
def test_what_is_no_text_is_no_symbol(given):
    """One symbol is wanted and something else is given: the sentence says so."""
    with pytest.raises(InvalidSymbol, match="it is one text, as in 'SPY'"):
        normalize_symbol(given)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("iv_rank", 60, "iv_rank: a fraction: 0.6, not 60"),
        ("iv_rank", 60.5, "iv_rank: a fraction: 0.605, not 60.5"),
        ("iv_rank", -5, "iv_rank: a fraction: -0.05, not -5"),
        ("iv_rank", 100, "iv_rank: a fraction: 1, not 100"),
        ("iv_percentile", 85, "iv_percentile: a fraction: 0.85, not 85"),
        ("iv_percentile", 1.2, "iv_percentile: a fraction: 0.012, not 1.2"),
        ("iv30", 17.0, "iv30: a fraction: 0.17, not 17"),
        ("hv30", 21.4, "hv30: a fraction: 0.214, not 21.4"),
        ("hv252", -0.2, "hv252: -0.2 is impossible: it lies between 0 and 10"),
        ("iv30", 0.0, "iv30: 0 is impossible: it lies between 0 and 5"),
        ("iv30", math.inf, "iv30: inf is impossible: it lies between 0 and 5"),
        ("vix", 18.05, "vix: a fraction: 0.1805, not 18.05"),
        ("skew", -4.4, "skew: a fraction: -0.044, not -4.4"),
        ("term_m1_m2", 3.1, "term_m1_m2: a fraction: 0.031, not 3.1"),
    ],
)
def test_impossible_volatility(name, value, sentence):
    """Per cents where fractions are wanted, and what no market has, are refused by name."""
    with pytest.raises(ValidationError) as caught:
        VolSnapshot.model_validate({"symbol": "SPY", "as_of": SEEN, name: value})

    assert first_fault(caught.value) == sentence


def test_possible_volatility():
    """At a new extreme a rank leaves [0, 1]; a squeeze realised 640 %; NaN is unknown."""
    found = VolSnapshot(
        symbol="GME", as_of=SEEN, iv_rank=1.04, iv_percentile=1.0, iv30=4.2, hv20=6.4, skew=-0.3,
        hv60=0.0, term_m1_m2=1.2, vix=math.nan,
    )  # fmt: skip

    assert (found.iv_rank, found.hv20, found.hv60, found.vix) == (1.04, 6.4, 0.0, None)
    assert VolSnapshot(symbol="VIX", as_of=SEEN, iv_rank=4.08).iv_rank == 4.08
    assert VolSnapshot(symbol="SPY", as_of=SEEN, iv_rank=-0.06).iv_rank == -0.06


def test_exit_levels_are_shares_of_the_premium():
    """Half of a credit of 240 is 120, twice it is a loss of 480; of a debit alike."""
    rules = ExitRules(profit_target=0.5, stop=2.0)

    assert rules.levels(240.0) == (120.0, -480.0)
    assert rules.levels(-100.0) == (50.0, -200.0)
    assert rules.levels(0.0) == (None, None)
    assert ExitRules().levels(240.0) == (None, None)


def test_time_closes_on_the_first_day_that_any_rule_names():
    """At 21 days, after 30 held, or two days before a report; never where all are off."""
    rules = ExitRules(min_dte=21, max_days_in_trade=30, earnings_days=2)

    assert rules.is_last_day(dte=21, held=5)
    assert rules.is_last_day(dte=40, held=30)
    assert rules.is_last_day(dte=40, held=5, to_earnings=2)
    assert not rules.is_last_day(dte=22, held=29, to_earnings=3)
    assert not rules.is_last_day(dte=22, held=29, to_earnings=-1)
    assert not ExitRules().is_last_day(dte=0, held=400, to_earnings=0)
