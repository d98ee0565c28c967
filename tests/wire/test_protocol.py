"""Which message belongs to which request, whatever its fields are."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

from tomic import wire
from tomic.wire.framing import kind_of
from tomic.wire.layout import Layout, MessageTable, message
from tomic.wire.protocol import ANSWERS, CANCELS, REQUESTS, data_type_of, request_id


@pytest.mark.parametrize("fields", [(), ("",), ("x",), ("9" * 30,), ("1",), ("10", "5")])
def test_odd_messages_have_no_place(fields):
    """Messages without kind or id are told apart, never a crash."""
    assert kind_of(fields) in (-1, 1, 10)
    assert request_id(fields) is None
    assert ANSWERS.id_place(fields, 178) in (None, 1)


@pytest.mark.parametrize(
    ("message", "version", "place"),
    [
        (("57", "1", "7"), 178, 2),
        (("81", "7", "0.01", "", "3"), 178, 1),
        (("10", "8", "7", "SPY"), 163, 2),
        (("10", "7", "SPY"), 164, 1),
        (("5", "9", "0"), 178, 1),
        (("59", "1", "e.01"), 178, None),
    ],
)
def test_the_id_of_a_request_stands_behind_the_version_of_a_message(message, version, place):
    """A message without a version of its own has the id first; some have no id at all."""
    assert ANSWERS.id_place(message, version) == place


def test_cancels_name_what_they_end():
    """Every cancel is a request with an id; orders have one too, the clock has none."""
    ids = {kind: request_id((str(kind), "1", "7")) for kind in CANCELS}
    versioned = {2, 25, 51, 56, 57, 63, 75, 77}
    assert ids == {kind: "7" if kind in versioned else "1" for kind in CANCELS}
    assert ids.keys() - versioned == {90, 93, 95, 98, 101}
    assert REQUESTS.id_place(("3", "9", "0"), 178) == 1
    assert request_id(("49", "1")) is None


@pytest.mark.parametrize(
    ("fields", "data_type"), [(("59", "1", "3"), 3), (("59", "1", "x"), 1), (("59",), 1)]
)
def test_the_data_type_of_a_request(fields, data_type):
    """Type 1, live, where it cannot be read."""
    assert data_type_of(fields) == data_type


@pytest.mark.parametrize("table", [ANSWERS, REQUESTS], ids=["answers", "requests"])
def test_every_message_has_a_form(table):
    """Layouts are made with the first message of a kind; each can be made."""
    for cls in table.classes():
        assert [part.name for part in Layout(cls).parts] == [item.name for item in fields(cls)]


@message(MessageTable(), 1)
class Moody:
    """A message whose field has no form."""

    mood: complex


def test_a_field_without_a_form_is_refused():
    """What cannot be written is said, when the message is first needed."""
    with pytest.raises(TypeError, match="no wire format"):
        list(Layout(Moody).parts)


def test_the_wire_knows_no_client_and_does_no_io():
    """It imports our errors only, and of Python nothing that reads, sends or waits."""
    names = set()
    for path in Path(wire.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names.add(node.module)
            elif isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}

    ours = {name for name in names if name.startswith("tomic") and "tomic.wire" not in name}
    assert ours == {"tomic.errors"}
    assert not names & {"asyncio", "io", "os", "pathlib", "selectors", "socket", "ssl", "time"}
