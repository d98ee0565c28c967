"""Recorded sessions on disk: what goes in comes out, account numbers do not."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest

from tomic.errors import BadFile
from tomic.masking import Masks
from tomic.sim.replay.recordings import RecordedSpot, Recorder, is_session, read_session
from tomic.wire.framing import frame, frame_fields, hello

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
        ("DUK1234567 or DUH802936 or I1234567", "DUK***567 or DUH***936 or I***567"),
        ("SPY   261211C00581000", "SPY   261211C00581000"),
        ("FU12 USD 500000", "FU12 USD 500000"),
    ],
)
def test_account_numbers_are_masked(text, shown):
    """IB's account numbers lose their middle; symbols and plain numbers stay."""
    assert Masks().text(text) == shown


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


@pytest.mark.parametrize("account", ["DUK1234567", "DUH802936", "I1234567", "XYZ99-4711-8"])
def test_announced_accounts_are_nowhere_in_the_file(tmp_path, account):
    """Before and after the message that names them, in every field, in garbage and header."""
    made = Recorder(f"portfolio --account {account}", "0.1.0")
    made.sent(hello(157, 178))
    made.received(HANDSHAKE)
    made.sent(frame_fields(("6", "2", "1", account)))
    made.received(frame_fields(("15", "1", f"{account},DU7654321")))
    made.received(frame_fields(("61", "3", account, "756733", "SPY")))
    made.received(frame_fields(("78", "1", account, "ZZ-445566")))
    made.received(frame_fields(("16", "1", "1", f"<Group>{account}</Group>")))
    made.received(b"\xff\xff\xff\xff" + account[:5].encode())
    made.received(account[5:].encode() + b" and the rest")

    path = written(made, tmp_path / "a")

    assert account.encode() not in path.read_bytes()
    assert b"ZZ-445566" not in path.read_bytes()
    read = read_session(path)
    garbage = b"".join(one.raw for one in read.events)
    assert account.encode() not in garbage
    assert garbage.endswith(b" and the rest")
    shown = {one.fields[2].partition(",")[0] for one in read.events if one.fields[:1] == ("15",)}
    assert {one.fields[2] for one in read.events if one.fields[:1] == ("61",)} == shown


def test_accounts_that_end_alike_stay_apart(tmp_path):
    """A recording of two accounts with the same last digits is still one of two."""
    made = recorder()
    for account in ("DUK1234567", "DUK9994567"):
        made.received(frame_fields(("61", "3", account, "756733", "SPY")))

    first, second = read_session(written(made, tmp_path / "a")).events[-2:]

    assert first.fields[2] != second.fields[2]


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


def test_a_damaged_gzip_is_said(tmp_path):
    """Damage in the very first bytes is a message, as further behind."""
    path = tmp_path / "bug.jsonl.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00" + b"\xff" * 200)

    with pytest.raises(BadFile, match="damaged"):
        is_session(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    """A small file that unpacks to a gigabyte is refused before it does."""
    path = tmp_path / "bomb.jsonl.gz"
    header = b'{"schema":"tomic.session/1"}\n'
    path.write_bytes(gzip.compress(header) + gzip.compress(bytes(1 << 26)) * 5)

    assert is_session(path)
    with pytest.raises(BadFile, match="unpacks to more"):
        read_session(path)


def test_deep_nesting_is_damage(tmp_path):
    """A line nested beyond all measure is a damaged line."""
    path = tmp_path / "a"
    path.write_text('{"schema":"tomic.session/1"}\n' + "[" * 100_000, encoding="utf-8")

    with pytest.raises(BadFile, match="line 2"):
        read_session(path)
