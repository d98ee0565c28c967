"""Recorded sessions on disk: what goes in comes out, account numbers do not."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from tomic.errors import BadFile
from tomic.sim.session_file import RecordedSpot, Recorder, is_session, masked, read_session
from tomic.sim.wire import frame, frame_fields, hello

HANDSHAKE = frame_fields(("178", "20261120 20:00:00 UTC"))
START = frame_fields(("71", "2", "100", ""))


def recorder() -> Recorder:
    """A recorder that was told a handshake, at one tick of the clock a call."""
    ticks = iter(range(1000))
    made = Recorder("chain SPY", "0.1.0", clock=lambda: float(next(ticks)))
    made.sent(hello(157, 178))
    made.received(HANDSHAKE)
    made.sent(START)
    return made


def written(made: Recorder, path, *, compress: bool = False):
    path.write_bytes(made.to_bytes(compress=compress))
    return path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("U1234567", "U***567"),
        ("DU1234567,U7654321", "DU***567,U***321"),
        ("account F12345 of DF9876543", "account F***345 of DF***543"),
        ("SPY   261211C00581000", "SPY   261211C00581000"),
        ("FU12 USD 500000", "FU12 USD 500000"),
    ],
)
def test_account_numbers_are_masked(text, shown):
    """IB's account numbers lose their middle; symbols and plain numbers stay."""
    assert masked(text) == shown


@pytest.mark.parametrize("compress", [False, True])
def test_what_was_recorded_is_read_back(tmp_path, compress):
    """Both directions, connections, times, spots and the header survive the file."""
    made = recorder()
    made.received(frame_fields(("15", "1", "DU1234567")) + frame_fields(("9", "1", "1")))
    made.note_spot(RecordedSpot("SPY", 590.5, "web", datetime(2026, 11, 20, 20, tzinfo=UTC)))
    path = written(made, tmp_path / "bug.jsonl", compress=compress)

    read = read_session(path)

    assert is_session(path)
    assert (read.command, read.version) == ("chain SPY", "0.1.0")
    assert [(one.link, one.kind, one.fields) for one in read.events] == [
        (1, "hello", ("157", "178")),
        (1, "received", ("178", "20261120 20:00:00 UTC")),
        (1, "sent", ("71", "2", "100", "")),
        (1, "received", ("15", "1", "DU***567")),
        (1, "received", ("9", "1", "1")),
    ]
    assert [one.at for one in read.events] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert read.spots[0].price == 590.5
    assert b"1234567" not in (gzip.decompress(path.read_bytes()) if compress else path.read_bytes())


def test_messages_may_arrive_in_pieces(tmp_path):
    """Bytes are cut into messages whatever the packets were."""
    made = recorder()
    for byte in frame_fields(("9", "1", "1")):
        made.received(bytes([byte]))

    read = read_session(written(made, tmp_path / "a"))

    assert read.events[-1].fields == ("9", "1", "1")


def test_garbage_is_kept_as_bytes(tmp_path):
    """A frame that is no message, and a stream that cannot be read, go in as they came."""
    made = recorder()
    broken = frame(b"\xfe\xfdno end")
    made.received(broken)
    made.received(b"\xff\xff\xff\xff and DU1234567")
    made.received(b"the rest")

    read = read_session(written(made, tmp_path / "a"))

    assert [one.raw for one in read.events[-3:]] == [
        broken,
        b"\xff\xff\xff\xff and DU****567",
        b"the rest",
    ]


def test_a_truncated_frame_is_kept(tmp_path):
    """Half a frame that was never completed is there too, and a new connection starts afresh."""
    made = recorder()
    half = frame_fields(("49", "1", "1795204800"))[:9]
    made.received(half)
    made.received(b"")
    made.sent(hello(157, 178))
    made.received(HANDSHAKE)

    read = read_session(written(made, tmp_path / "a"))

    assert [(one.link, one.kind) for one in read.events[3:]] == [
        (1, "garbage"),
        (1, "closed"),
        (2, "hello"),
        (2, "received"),
    ]
    assert read.events[3].raw == half


def test_what_is_no_session_is_told_apart(tmp_path):
    """A chain in CSV or JSON is no session, compressed or not."""
    for name, data in {
        "a.csv": b"Expiry,Type,Strike\n",
        "a.json": b'{"schema": "tomic.chain/1"}',
        "a.gz": gzip.compress(b"Expiry,Type,Strike\n"),
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        assert not is_session(tmp_path / name)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda data: gzip.compress(data)[:-20], "cut short"),
        (lambda data: data[:-15], "line 4"),
        (lambda data: data.replace(b"session/1", b"session/9"), "session/9"),
        (lambda data: data.replace(b'"sent"', b'"shouted"'), "shouted"),
        (lambda data: data.partition(b"\n")[0], "no message"),
        (lambda data: data.replace(b'"at":', b'"when":'), "line 2"),
        (lambda data: data + b"[1]\n", "line 5"),
        (lambda data: b"\xff" + data, "damaged"),
    ],
)
def test_damage_is_said(tmp_path, damage, says):
    """A damaged recording is refused with the file's name and what is wrong with it."""
    path = tmp_path / "bug"
    path.write_bytes(damage(recorder().to_bytes(compress=False)))

    with pytest.raises(BadFile, match=says) as caught:
        read_session(path)

    assert str(path) in str(caught.value)


def test_a_missing_recording_is_said(tmp_path):
    """A path that leads nowhere is named."""
    with pytest.raises(BadFile, match="does not exist"):
        is_session(tmp_path / "nowhere")
