"""A recorded session says again what it said, to whoever asks the same."""

from __future__ import annotations

import asyncio

import pytest

from tomic.sim.replay.recordings import RecordedSession, SessionEvent
from tomic.sim.replay.session import Asks, SessionReplay, conversations
from tomic.wire.framing import FrameReader, frame_fields, hello, split_fields

HANDSHAKE = ("178", "20261120 20:00:00 UTC")
READY = [("15", "1", "DU***567"), ("9", "1", "1")]
TIME, NOW = ("49", "1"), ("49", "1", "1795204800")


def sent(*fields):
    return ("sent", fields)


def got(*fields):
    return ("received", fields)


def recording(*links) -> RecordedSession:
    """A session whose connections are lists of events, a tenth of a second apart."""
    events, at = [], 0.0
    for number, link in enumerate(links, start=1):
        for kind, fields in [("hello", ("157", "178")), *link]:
            at += 0.1
            raw = fields if isinstance(fields, bytes) else b""
            events.append(SessionEvent(at, number, kind, () if raw else tuple(fields), raw))
    return RecordedSession("", "", tuple(events), ())


OPENED = [got(*HANDSHAKE), sent("71", "2", "100", ""), *(got(*one) for one in READY)]


class Client:
    """A client that speaks in fields."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.frames, self.seen = reader, writer, FrameReader(), []

    @classmethod
    async def of(cls, replay):
        client = cls(*await asyncio.open_connection("127.0.0.1", replay.port))
        client.writer.write(hello(157, 178))
        return client

    def ask(self, *fields):
        self.writer.write(frame_fields(fields))

    async def read(self, count):
        """The next *count* messages; fewer when the connection ends."""
        async with asyncio.timeout(60.0):
            while len(self.seen) < count:
                data = await self.reader.read(4096)
                if not data:
                    break
                self.seen += [split_fields(one) for one in self.frames.feed(data)]
        taken, self.seen = self.seen[:count], self.seen[count:]
        return taken

    def close(self):
        self.writer.close()


async def test_answers_carry_the_id_of_the_new_request():
    """A request gets the answer that the same request got, under its own id."""
    quote = sent("1", "11", "7", "0", "SPY", "STK", "", "0.0", "", "", "SMART", "", "USD", "", "",
                 "0", "100", "0", "0", "")  # fmt: skip
    ticks = [got("58", "1", "7", "1"), got("1", "6", "7", "4", "590.16", "1", "0")]
    async with SessionReplay(recording([*OPENED, quote, *ticks]), speed=1000.0) as replay:
        client = await Client.of(replay)
        client.ask("71", "2", "5", "")
        opening = await client.read(3)
        client.ask(*quote[1][:2], "42", *quote[1][3:])
        answer = await client.read(2)
        client.close()

    assert opening == [HANDSHAKE, *READY]
    assert answer == [("58", "1", "42", "1"), ("1", "6", "42", "4", "590.16", "1", "0")]


async def test_the_second_answer_follows_the_first():
    """What was asked twice is answered twice, and the last answer stays."""
    link = [*OPENED, sent(*TIME), got("49", "1", "1"), sent(*TIME), got("49", "1", "2")]
    async with SessionReplay(recording(link), speed=1000.0) as replay:
        client = await Client.of(replay)
        await client.read(1)
        answers = []
        for _ in range(3):
            client.ask(*TIME)
            answers += await client.read(1)
        client.close()

    assert [one[2] for one in answers] == ["1", "2", "2"]


async def test_remarks_wait_for_what_came_before_them():
    """A note of a farm is made once everything asked before it has been answered."""
    note = got("4", "2", "-1", "2103", "farm is broken:usfarm", "")
    link = [*OPENED, sent(*TIME), got(*NOW), note]
    async with SessionReplay(recording(link), speed=1000.0) as replay:
        client = await Client.of(replay)
        client.ask("71", "2", "5", "")
        before = await client.read(3)
        client.ask(*TIME)
        after = await client.read(2)
        client.close()

    assert note[1] not in before
    assert after == [NOW, note[1]]


async def test_garbage_and_cuts_come_again():
    """Bytes that were no message come as they came, then the connection ends for good."""
    link = [*OPENED, ("garbage", b"\0\0\0\3xyz"), ("closed", ())]
    async with SessionReplay(recording(link), speed=1000.0) as replay:
        client = await Client.of(replay)
        client.ask("71", "2", "5", "")
        await client.read(3)
        rest = await client.reader.read()
        client.close()
        await asyncio.sleep(0.01)

        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", replay.port)

    assert rest == b"\0\0\0\3xyz"


async def test_a_second_connection_is_the_second_of_the_recording():
    """Each connection goes through what its counterpart went through."""
    first = [*OPENED, ("closed", ())]
    second = [*OPENED, sent(*TIME), got(*NOW)]
    async with SessionReplay(recording(first, second), speed=1000.0) as replay:
        one = await Client.of(replay)
        one.ask("71", "2", "5", "")
        await one.read(99)
        two = await Client.of(replay)
        two.ask("71", "2", "5", "")
        two.ask(*TIME)
        answers = await two.read(4)
        one.close()
        two.close()

    assert NOW in answers


@pytest.mark.parametrize(
    ("request_fields", "code"),
    [
        (("9", "8", "3", "0", "QQQ", "STK", *[""] * 11), "200"),
        (("78", "3", "QQQ", "", "STK", "1"), "321"),
        (("81", "3", "QQ"), "321"),
    ],
)
async def test_what_was_never_asked_is_refused(request_fields, code):
    """A request that the recording does not hold gets an error with its own id."""
    async with SessionReplay(recording(OPENED), speed=1000.0) as replay:
        client = await Client.of(replay)
        await client.read(1)
        client.ask(*request_fields)
        (error,) = await client.read(1)
        client.close()

    assert error[2:4] == ("3", code)
    assert replay.refused == [request_fields]


def test_answers_after_a_cancel_are_left_out():
    """What came too late for the client then is not there for the client now."""
    quote = sent("1", "11", "7", "9", *[""] * 11, "0", "", "0", "0", "")
    late = got("1", "6", "7", "4", "590.16", "1", "0")
    talks, _ = conversations(recording([*OPENED, quote, sent("2", "2", "7"), late]).events)

    assert talks[0].exchanges[-1].answers == []
    assert talks[0].remarks == []


def test_an_exchange_that_was_cut_short_gives_way_to_a_later_one():
    """After a break the answer is the one that was got after the break."""
    first = [*OPENED, sent(*TIME), ("closed", ())]
    second = [*OPENED, sent(*TIME), got(*NOW)]
    talks, _ = conversations(recording(first, second).events)
    asks = Asks(talks)

    found = asks.next((49, "1"), since=talks[0].remarks[0].number)

    assert found is not None
    assert found.answers[0].fields == NOW
