"""The codec alone: bytes, fields and dataclasses, without a socket."""

from __future__ import annotations

import contextlib
import dataclasses
import typing
from types import NoneType, UnionType

import pytest
from hypothesis import given, strategies as st

from support.properties import examples
from tomic.wire import answers, framing, layout, orders, requests
from tomic.wire.framing import (
    MAX_VERSION,
    MIN_VERSION,
    FrameReader,
    Hello,
    RequestStream,
    WireError,
    frame,
    frame_fields,
    hello,
    split_fields,
)
from tomic.wire.layout import Cursor, number_text
from tomic.wire.protocol import ANSWERS, REQUESTS
from tomic.wire.requests import ContractSpec

VERSIONS = st.integers(MIN_VERSION, MAX_VERSION)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**31), 2**63)
BY_HAND = {orders.PlaceOrder, orders.WhatIfOrder}


def _values(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    if typing.get_origin(hint) is typing.Annotated:
        return _values(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return st.lists(_values(typing.get_args(hint)[0]), max_size=4).map(tuple)
    if typing.get_origin(hint) in (UnionType, typing.Union):
        inner = next(arg for arg in typing.get_args(hint) if arg is not NoneType)
        return st.none() | _values(inner)
    if dataclasses.is_dataclass(hint):
        return _messages(hint)
    return {int: WHOLE, float: NUMBERS, bool: st.booleans(), str: TEXTS}[hint]


def _messages(cls: type) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return st.builds(
        cls, **{item.name: _values(hints[item.name]) for item in dataclasses.fields(cls)}
    )


def _as_sent(message: typing.Any, version: int) -> typing.Any:
    """The message with fields at their default that this version does not send."""
    hints = typing.get_type_hints(type(message), include_extras=True)
    values = {}
    for item in dataclasses.fields(message):
        value = getattr(message, item.name)
        hint = hints[item.name]
        if typing.get_origin(hint) is typing.Annotated:
            sent = typing.get_args(hint)[1]
            told = {one.name: getattr(message, one.name) for one in dataclasses.fields(message)}
            if not sent.since <= version < sent.until or not (sent.when is None or sent.when(told)):
                value = item.default
        elif isinstance(value, tuple):
            value = tuple(_as_sent(v, version) if dataclasses.is_dataclass(v) else v for v in value)
        values[item.name] = value
    return type(message)(**values)


@pytest.mark.parametrize(
    ("book", "cls"),
    [(book, cls) for book in (REQUESTS, ANSWERS) for cls in book.classes() if cls not in BY_HAND],
    ids=lambda value: getattr(value, "__name__", ""),
)
@examples(25)
@given(data=st.data(), version=VERSIONS)
def test_what_is_encoded_is_decoded_again(book, cls, data, version):
    """Every message of every version comes back as it was, fields unknown to the version aside."""
    message = data.draw(_messages(cls))

    (payload,) = FrameReader().feed(book.encode(message, version))

    assert book.decode(split_fields(payload), version) == _as_sent(message, version)


def _order(version: int, **changes: typing.Any) -> orders.PlaceOrder:
    advisor = ("",) * (7 if version >= 177 else 8)
    neutral = ("",) * 24
    between = (*advisor, *neutral, *("",) * 7, *("",) * 4, *("",) * 4, "0", "", "")
    return orders.PlaceOrder(
        7, ContractSpec(756733, "SPY", "STK"), "BUY", 2.0, between=between, **changes
    )


@pytest.mark.parametrize("version", [157, 176, 177, 178])
def test_orders_keep_their_legs_and_their_what_if_flag(version):
    """A combination order is read back whole: legs, flag, and every field not understood."""
    legs = (orders.OrderComboLeg(1, 1, "BUY", "SMART"), orders.OrderComboLeg(2, 1, "SELL", "SMART"))
    order = dataclasses.replace(
        _order(version, legs=legs, what_if=True, routing=("NonGuaranteed", "1"), after=("x", "")),
        contract=ContractSpec(symbol="SPY", sec_type="BAG"),
    )

    (payload,) = FrameReader().feed(REQUESTS.encode(order, version))

    assert REQUESTS.decode(split_fields(payload), version) == order


def test_optional_groups_of_an_order_do_not_hide_its_what_if_flag():
    """Delta-neutral, scale, hedge and algorithm groups are stepped over."""
    between = (
        *("",) * 7, *("",) * 22, "MKT", "", *("n",) * 8, *("",) * 6, "0.05", *("s",) * 7,
        *("",) * 3, "D", "1", *("",) * 4, "1", "5", "0.5", "100", "Adaptive", "1", "tag", "value",
        "",
    )  # fmt: skip
    order = dataclasses.replace(_order(178), between=between, what_if=True)

    (payload,) = FrameReader().feed(REQUESTS.encode(order, 178))

    assert REQUESTS.decode(split_fields(payload), 178) == order


@given(
    messages=st.lists(st.lists(TEXTS, min_size=1, max_size=5).map(tuple), max_size=5),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=30),
)
def test_chunks_do_not_matter(messages, cuts):
    """Any cutting of the bytes gives the same messages, in the same order."""
    data = hello(157, 178) + b"".join(frame_fields(parts) for parts in messages)
    stream, out = RequestStream(), []

    at = 0
    for length in cuts * (len(data) // sum(cuts) + 1):
        out += stream.feed(data[at : at + length])
        at += length
    out += stream.feed(data[at:])

    assert out == [Hello(157, 178), *messages]


@given(chunks=st.lists(st.binary(max_size=60), max_size=8), greeted=st.booleans())
def test_garbage_raises_only_wire_errors(chunks, greeted):
    """Arbitrary bytes in arbitrary chunks end in WireError or in field lists, nothing else."""
    stream = RequestStream()
    with contextlib.suppress(WireError):
        if greeted:
            stream.feed(hello(157, 178))
        for chunk in chunks:
            stream.feed(chunk)


@examples(300)
@given(
    parts=st.lists(
        TEXTS
        | WHOLE.map(str)
        | st.sampled_from(["0", "1", "BAG", "SPY", "nan", "1e999", "-1", ""]),
        max_size=40,
    ),
    ident=st.sampled_from(sorted(REQUESTS.ids() | {0, 10, 55, 200})),
    version=VERSIONS,
)
def test_mutated_fields_raise_only_wire_errors(parts, ident, version):
    """Any field list behind any message id decodes or raises WireError, nothing else."""
    for book in (REQUESTS, ANSWERS):
        with contextlib.suppress(WireError):
            book.decode((str(ident), *parts), version)


@examples(200)
@given(data=st.data(), version=VERSIONS)
def test_truncated_and_mutated_requests_raise_only_wire_errors(data, version):
    """A well-formed request with one field cut off or replaced decodes or raises WireError."""
    cls = data.draw(st.sampled_from([one for one in REQUESTS.classes() if one not in BY_HAND]))
    payload = REQUESTS.encode(data.draw(_messages(cls)), version)[4:]
    parts = list(split_fields(payload))
    at = data.draw(st.integers(0, len(parts) - 1))
    if data.draw(st.booleans()):
        del parts[at:]
    else:
        parts[at] = data.draw(TEXTS)

    with contextlib.suppress(WireError):
        REQUESTS.decode(parts, version)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: RequestStream().feed(b"GET / HTTP/1.1\r\n"), "must start with 'API'"),
        (lambda: RequestStream().feed(b"API\0" + frame(b"w157..178")), "no version range"),
        (lambda: FrameReader().feed(b"\xff\xff\xff\xff"), "announces 4294967295 bytes"),
        (lambda: split_fields(b"no end"), "does not end with NUL"),
        (lambda: frame_fields(("a\0b",)), "cannot contain NUL"),
        (lambda: frame(bytes(framing.MAX_FRAME + 1)), "holds at most"),
        (lambda: REQUESTS.decode(("999",), 178), "unknown message id 999"),
        (lambda: REQUESTS.decode((), 178), "ends after 0 fields"),
        (lambda: REQUESTS.encode(answers.PositionEnd(), 178), "no such message: PositionEnd"),
        (lambda: Cursor(("nan",), 178).number(), "no finite number"),
        (lambda: Cursor(("9",), 178).count(), "announces 9 items"),
        (lambda: Cursor(("maybe",), 178).flag(), "neither 0 nor 1"),
    ],
)
def test_errors_say_what_was_wrong(call, text):
    """A WireError names the fact."""
    with pytest.raises(WireError, match=text):
        call()


@pytest.mark.parametrize(
    ("range_of_client", "agreed"),
    [
        ((157, 178), 178),
        ((100, 157), 157),
        ((100, 151), None),
        ((179, 200), None),
        ((160, 170), 170),
    ],
)
def test_version_is_the_highest_that_both_speak(range_of_client, agreed):
    """157 to 178 are served; the official client of 2020 ends at 157."""
    assert Hello(*range_of_client).negotiate() == agreed


@pytest.mark.parametrize(
    ("value", "text"),
    [(600.0, "600.0"), (0.05, "0.05"), (layout.UNSET, "1.7976931348623157E308"), (-1.0, "-1.0")],
)
def test_numbers_look_as_tws_writes_them(value, text):
    """An unset number has TWS's own spelling."""
    assert number_text(value) == text


def test_contract_details_lost_two_fields_in_version_164():
    """Up to 163 the message carries its own version and a size multiplier; from 164 sizes."""
    row = answers.ContractData(
        1, "SPY", "STK", "", 0.0, "", "SMART", "USD", "SPY", "SPY", "SPY", 756733, 0.01
    )

    lengths = {v: len(split_fields(ANSWERS.encode(row, v)[4:])) for v in (157, 162, 163, 164, 178)}

    assert lengths == {157: 39, 162: 39, 163: 40, 164: 40, 178: 40}


def test_a_request_for_a_combination_carries_its_legs():
    """Legs follow the contract only when its type is BAG."""
    leg = requests.ComboLeg(1, 1, "BUY", "SMART")
    plain = requests.ReqMarketData(1, ContractSpec(1, "SPY", "STK"), generic_ticks="100")
    combo = requests.ReqMarketData(1, ContractSpec(0, "SPY", "BAG"), (leg,), generic_ticks="100")

    lengths = [len(split_fields(REQUESTS.encode(one, 178)[4:])) for one in (plain, combo)]

    assert lengths[1] - lengths[0] == 5
