from __future__ import annotations

import datetime as dt
import math
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from tomic.errors import StoreError
from tomic.models.trade import Proposal
from tomic.store import documents
from tomic.store.documents import dump, load, stamp, unstamp

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_documents_come_back_as_they_went_in(document):
    """Any JSON document survives, infinities and all letters included."""
    assert load(dump(document)) == document


def test_what_is_no_json_is_refused():
    """NaN is kept as NaN, dates become text, and any other object is a mistake."""
    assert math.isnan(load(dump({"x": math.nan}))["x"])
    assert load(dump({"x": dt.date(2026, 1, 2)})) == {"x": "2026-01-02"}
    with pytest.raises(TypeError, match="set cannot be written"):
        dump({"x": {1}})


def test_instants_are_ordered_as_text():
    """Whatever its zone, an instant is written in UTC; one without a zone is refused."""
    noon = dt.datetime(2026, 7, 1, 12, 0, tzinfo=ZoneInfo("America/New_York"))
    later = dt.datetime(2026, 7, 1, 16, 0, 1, tzinfo=dt.UTC)

    assert stamp(noon) == "2026-07-01T16:00:00.000000+00:00"
    assert stamp(noon) < stamp(later)
    assert unstamp(stamp(noon)) == noon
    with pytest.raises(ValueError, match="without zone"):
        stamp(dt.datetime(2026, 7, 1))


@pytest.mark.parametrize(
    "document",
    [{"kind": "last"}, "{", '{"version": 2}', {"loss_bounded": True}, {"like_it": 191}],
    ids=str,
)
def test_what_another_version_saved_is_named(document):
    """A document that does not fit is an error of the store, never a traceback."""
    with pytest.raises(StoreError, match="proposal 7 cannot be read"):
        documents.read_as(Proposal, document, "proposal 7")
