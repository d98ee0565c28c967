"""Requests that make no sense, to a running gateway: it answers or refuses, and goes on."""

from __future__ import annotations

import asyncio
import dataclasses
import typing
from types import NoneType, UnionType

from hypothesis import HealthCheck, given, strategies as st

from support.properties import examples
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market import Market
from tomic.wire.answers import CurrentTime
from tomic.wire.framing import FrameReader, frame, frame_fields, hello, split_fields
from tomic.wire.orders import PlaceOrder
from tomic.wire.protocol import ANSWERS, REQUESTS
from tomic.wire.requests import ReqCurrentTime, StartApi

ODD = st.sampled_from(
    [
        "", "SPY", "SPX", "STK", "OPT", "IND", "BAG", "C", "P", "CALL", "20250718", "202507",
        "0", "-1", "SMART", "CBOE", "USD", "1 day", "5 D", "9 Y", "TRADES", "BID_ASK", "All",
        "100,101", "$LEDGER", "20261101 10:00:00 US/Eastern", "20269999-10:00:00", "nan", "é\u2028",
    ]
)  # fmt: skip
TEXTS = ODD | st.text(
    st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=6
)
WHOLE = st.sampled_from([0, 1, 2, -1, 9, 756733, 700000002, 2**40]) | st.integers(-5, 2**31)
NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 600.0, 1e300]) | st.floats(-1e6, 1e6)


def _values(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    if typing.get_origin(hint) is typing.Annotated:
        return _values(typing.get_args(hint)[0])
    if typing.get_origin(hint) is tuple:
        return st.lists(_values(typing.get_args(hint)[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) in (UnionType, typing.Union):
        return _values(next(arg for arg in typing.get_args(hint) if arg is not NoneType))
    if dataclasses.is_dataclass(hint):
        return _messages(hint)
    return {int: WHOLE, float: NUMBERS, bool: st.booleans(), str: TEXTS}[hint]


def _messages(cls: type) -> st.SearchStrategy[typing.Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return st.builds(
        cls, **{item.name: _values(hints[item.name]) for item in dataclasses.fields(cls)}
    )


SENSELESS = st.sampled_from(
    [cls for cls in REQUESTS.classes() if cls not in (StartApi, PlaceOrder)]
).flatmap(_messages)
FRAMES = (
    SENSELESS.map(lambda message: REQUESTS.encode(message, 178))
    | st.lists(TEXTS | WHOLE.map(str), min_size=1, max_size=30).map(frame_fields)
    | st.tuples(st.sampled_from(["1", "3", "9", "20"]), st.lists(TEXTS, max_size=40)).map(
        lambda parts: frame_fields((parts[0], *parts[1]))
    )
)


async def _survives(market: Market, frames: list[bytes]) -> list[dict[str, typing.Any]]:
    """Send the frames, then ask for the time; what went wrong inside the gateway meanwhile."""
    trouble: list[dict[str, typing.Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    profile, limits = Profile.instant(), Limits().unpaced()
    async with Gateway(market, profile=profile, limits=limits) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(hello(157, 178) + REQUESTS.encode(StartApi(1), 178))
        writer.write(b"".join(frames) + REQUESTS.encode(ReqCurrentTime(), 178))
        stream, told = FrameReader(), False
        while not told:
            data = await asyncio.wait_for(reader.read(65536), 60.0)
            assert data, "the gateway hung up"
            for payload in stream.feed(data):
                fields = split_fields(payload)
                if fields[0] != "178":
                    told |= isinstance(ANSWERS.decode(fields, 178), CurrentTime)
        await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
    assert gateway.lines_open == 0
    return trouble


ONE_MARKET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@examples(150, suppress_health_check=ONE_MARKET)
@given(frames=st.lists(FRAMES, min_size=1, max_size=6))
def test_senseless_requests_leave_the_gateway_well(market, frames):
    """Whatever well-framed messages come, the clock still answers and nothing failed inside."""
    assert asyncio.run(_survives(market, frames)) == []


@examples(40, suppress_health_check=ONE_MARKET)
@given(noise=st.binary(min_size=1, max_size=80), framed=st.booleans())
def test_noise_ends_only_its_own_connection(market, noise, framed):
    """Bytes that are no messages close their connection; the next client is served."""

    async def run() -> None:
        async with Gateway(market, profile=Profile.instant()) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(hello(157, 178) + (frame(noise) if framed else noise))
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 60.0)
            writer.close()
            await writer.wait_closed()
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(hello(157, 178) + REQUESTS.encode(StartApi(1), 178))
            assert await reader.read(10)
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())
