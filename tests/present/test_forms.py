"""A result in each of its forms; only the one that is asked for is made."""

from __future__ import annotations

import json

import pytest

from tomic.present.forms import Format, emit, emit_rows

ROWS = [{"id": 1, "tags": ["a", "b"], "set": {"x": 1}, "pnl": float("nan")}]


def shown(format):
    return emit_rows(format, ROWS, lambda: "a table\n", schema="tomic.x/1", name="rows", more=2)


@pytest.mark.parametrize("format", Format)
def test_only_one_form_is_made(format):
    """The others are not even composed."""
    made = []

    def form(name):
        return lambda: made.append(name) or name

    text = emit(format, **{name: form(name) for name in ("table", "json", "ndjson", "csv")})

    assert made == [text] == [format.value]


def test_rows_as_a_document():
    """The schema, what else is said, and the rows under their name; a missing number is null."""
    document = json.loads(shown(Format.JSON))

    assert list(document) == ["schema", "more", "rows"]
    assert document["rows"][0]["pnl"] is None


def test_rows_as_lines_and_cells():
    """A line of JSON each; in CSV a list is its items, apart by blanks, and a dict is JSON."""
    assert json.loads(shown(Format.NDJSON))["tags"] == ["a", "b"]
    assert shown(Format.CSV) == 'id,tags,set,pnl\n1,a b,"{""x"": 1}",\n'
    assert shown(Format.TABLE) == "a table\n"
