"""Border models: symbols, statuses, exercise, strictness."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tomic import models
from tomic.errors import InvalidSymbol
from tomic.models import OptionQuote, RowStatus, Spot, SpotSource, Underlying, normalize_symbol
from tomic.models.faults import first_fault


@pytest.mark.parametrize(
    ("text", "symbol"), [(" spy ", "SPY"), ("BRK.B", "BRK.B"), ("brk.b", "BRK.B"), ("VIX", "VIX")]
)
def test_symbols(text, symbol):
    """Symbols are trimmed and written in capitals."""
    assert normalize_symbol(text) == symbol


@pytest.mark.parametrize(
    "text", ["", "  ", "SP Y", "SPY;", "S$Y", ".B", "BRK.", "ＳＰＹ", "A" * 13]
)
def test_no_symbols(text):
    """What no ticker looks like is refused."""
    with pytest.raises(InvalidSymbol, match="is not a ticker symbol"):
        normalize_symbol(text)


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
