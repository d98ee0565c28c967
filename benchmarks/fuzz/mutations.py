"""Ways to damage a file: bytes in, bytes out, everything drawn from one random generator."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import re
import sqlite3
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

Mutator: TypeAlias = Callable[[bytes, random.Random], bytes]

CELLS = (
    "", " ", "0", "-1", "-0", "1e308", "-1e308", "1e-320", "nan", "NaN", "inf", "-Infinity",
    "99999999999999999999", "9223372036854775808", "0x10", "1_000", "\u0663", "1,5", "1.234,56",
    "12/18/2026", "0001-01-01", "9999-12-31", "99999-01-01", "2026-02-30", "00000000", "20261318",
    "2026-12-18T25:61", "20261102;999999", "1970-01-01", "2026-11-20T15:00:00+99:00", "None",
    "null", "true", "\u0130", "ß", "\u202espy", "💥", "\ufeff", "[/red]", "=cmd|' /c calc'!A0",
    "../../etc/passwd", "CON", "<script>", "%s%n{0}", "'; DROP TABLE entries;--", "\x1b]0;pwn\x07",
    "\x00", "A" * 5000, '"', "'", ",", ";", "\t", "SPY   261218P00560000", "SPY PUT", "BRK B",
    "C", "P", "Z", "-560", "1e5", "--", "1 2", "½", "\ud7ff",
)  # fmt: skip
"""What a cell of a file may hold by mistake or by malice."""

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, -1e308, 1e-320, 2**63, -(2**63) - 1, 10**400, 0.1, "",
    " ", "x", "nan", [], {}, [[]], {"a": None}, [None], "2026-02-30", "9999-12-31", "0001-01-01",
    "1", "SPY", "\x1b[31m", "\x00", "[/red]", "ß" * 40, "A" * 70000, float("nan"), float("inf"),
    [1] * 50, {"": ""}, "C", "P", -560.0, "2026-11-20T15:00:00+99:00", "2026-11-20T15:00:00",
)  # fmt: skip
"""What may stand in the place of any value of a JSON document."""

_TOKEN = re.compile(rb"[^\s,;:=\"'{}\[\]()|]+")
_MOST_NESTED = 100_000


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    """One to eight bits are the other way round."""
    found = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        if found:
            found[draw.randrange(len(found))] ^= 1 << draw.randrange(8)
    return bytes(found)


def noise(content: bytes, draw: random.Random) -> bytes:
    """A stretch of random bytes over what was there."""
    at, size = _stretch(content, draw)
    return content[:at] + draw.randbytes(size) + content[at + size :]


def truncate(content: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return content[: draw.randrange(len(content) + 1)]


def behead(content: bytes, draw: random.Random) -> bytes:
    """The beginning is missing."""
    return content[draw.randrange(len(content) + 1) :]


def cut(content: bytes, draw: random.Random) -> bytes:
    """A stretch is missing."""
    at, size = _stretch(content, draw)
    return content[:at] + content[at + size :]


def repeat(content: bytes, draw: random.Random) -> bytes:
    """A stretch is there several times."""
    at, size = _stretch(content, draw)
    return content[: at + size] + content[at : at + size] * draw.randint(1, 20) + content[at:]


def insert(content: bytes, draw: random.Random) -> bytes:
    """A hostile cell is put anywhere."""
    at = draw.randrange(len(content) + 1)
    return content[:at] + _cell(draw) + content[at:]


def replace_token(content: bytes, draw: random.Random) -> bytes:
    """One word, number or name gives way to a hostile cell; sometimes every one like it does."""
    tokens = list(_TOKEN.finditer(content))
    if not tokens:
        return insert(content, draw)
    token = draw.choice(tokens)
    if draw.random() < 0.2:
        return content.replace(token.group(), _cell(draw))
    return content[: token.start()] + _cell(draw) + content[token.end() :]


def replace_tokens(content: bytes, draw: random.Random) -> bytes:
    """Several words give way."""
    for _ in range(draw.randint(2, 6)):
        content = replace_token(content, draw)
    return content


def swap_tokens(content: bytes, draw: random.Random) -> bytes:
    """Two words change places."""
    tokens = list(_TOKEN.finditer(content))
    if len(tokens) < 2:
        return content
    first, last = sorted(draw.sample(tokens, 2), key=lambda token: token.start())
    between = content[first.end() : last.start()]
    return content[: first.start()] + b"".join(
        [last.group(), between, first.group(), content[last.end() :]]
    )


def shuffle_lines(content: bytes, draw: random.Random) -> bytes:
    """Lines in another order, with or without the first."""
    lines = content.splitlines(keepends=True)
    first = lines[:1] if draw.random() < 0.5 else []
    rest = lines[len(first) :]
    draw.shuffle(rest)
    return b"".join([*first, *rest])


def drop_lines(content: bytes, draw: random.Random) -> bytes:
    """A few lines, or all but a few, are missing."""
    lines = content.splitlines(keepends=True)
    share = draw.choice((0.1, 0.5, 0.9))
    return b"".join(line for line in lines if draw.random() > share)


def cut_row(content: bytes, draw: random.Random) -> bytes:
    """One line has fewer, or more, cells than the others."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    at = draw.randrange(len(lines))
    cells = re.split(rb"([,;\t])", lines[at].rstrip(b"\r\n"))
    kept = cells[: draw.randrange(len(cells) + 1)] if draw.random() < 0.7 else [*cells, b",", b"x"]
    lines[at] = b"".join(kept) + b"\n"
    return b"".join(lines)


def old_line_ends(content: bytes, draw: random.Random) -> bytes:
    """Line ends of an old Mac, of Windows, doubled, or none."""
    end = draw.choice((b"\r", b"\r\n", b"\r\r\n", b"\x0b", b"\xe2\x80\xa8", b" "))
    return end.join(content.splitlines())


def nul_bytes(content: bytes, draw: random.Random) -> bytes:
    """NULs at the end, as after a crash of the machine, or in the middle."""
    at, size = _stretch(content, draw)
    return content[:at] + bytes(size or 1) + content[at + size :]


def recode(content: bytes, draw: random.Random) -> bytes:
    """Another encoding, or one pretended by a byte order mark."""
    text = content.decode("utf-8", "replace")
    name = draw.choice(("utf-16", "utf-32", "utf-16-le", "cp1252", "latin-1", "cp037", "utf-7"))
    if draw.random() < 0.3:
        return draw.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff\x00\x00")) + content
    return text.encode(name, "replace")


def huge_field(content: bytes, draw: random.Random) -> bytes:
    """One word of a couple of hundred thousand letters or digits."""
    tokens = list(_TOKEN.finditer(content))
    at = draw.choice(tokens).start() if tokens else 0
    return content[:at] + draw.choice((b"X", b"9", b"[", b" ", b'"')) * 200_000 + content[at:]


def nest(content: bytes, draw: random.Random) -> bytes:
    """Brackets in brackets, deeper than anyone counts."""
    deep = draw.choice((100, 1_000, 5_000, _MOST_NESTED))
    form = draw.randrange(4)
    if form == 0:
        return b"[" * deep + b"]" * deep
    if form == 1:
        return b'{"a":' * deep + b"1" + b"}" * deep
    if form == 2:
        return b"x = " + b"[" * deep + b"]" * deep + b"\n" + content
    return nested_value(content, deep, draw)


def nested_value(content: bytes, deep: int, draw: random.Random) -> bytes:
    """One value of a JSON document becomes *deep* brackets."""
    numbers = [token for token in _TOKEN.finditer(content) if token.group().isdigit()]
    if not numbers:
        return b"[" * deep
    token = draw.choice(numbers)
    return content[: token.start()] + b"[" * deep + b"]" * deep + content[token.end() :]


def empty(content: bytes, draw: random.Random) -> bytes:
    """Nothing, blanks, or the first line alone."""
    return draw.choice((b"", b" ", b"\n\n\n", b"\x00", content.partition(b"\n")[0]))


def many(content: bytes, draw: random.Random) -> bytes:
    """The whole several times over."""
    return content * draw.randint(2, 12)


def random_bytes(content: bytes, draw: random.Random) -> bytes:
    """Nothing of the file is left but a part of its beginning."""
    return content[: draw.choice((0, 4, 16, 100))] + draw.randbytes(draw.randint(1, 4000))


def change_json(content: bytes, draw: random.Random) -> bytes:
    """Values of a JSON document give way, keys vanish, lists grow; still JSON, or nearly."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return replace_token(content, draw)
    for _ in range(draw.choice((1, 1, 2, 4))):
        document = _changed(document, draw)
    return json.dumps(document, ensure_ascii=draw.random() < 0.5).encode("utf-8", "replace")


def change_json_line(content: bytes, draw: random.Random) -> bytes:
    """One line of JSON lines is changed."""
    lines = content.splitlines()
    if not lines:
        return content
    # The first lines say most: the header and the handshake.
    at = draw.randrange(min(len(lines), draw.choice((1, 8, 100, 10**6))))
    lines[at] = change_json(lines[at], draw)
    return b"\n".join(lines) + b"\n"


def change_cells_of_lines(content: bytes, draw: random.Random) -> bytes:
    """In one of many lines a word gives way."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    at = draw.randrange(len(lines))
    lines[at] = replace_token(lines[at], draw)
    return b"".join(lines)


def change_database(content: bytes, draw: random.Random) -> bytes:
    """A SQLite file with other values, tables, columns or version, but a sound one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(content)
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            for _ in range(draw.choice((1, 1, 2, 3))):
                # What another mutation has damaged before may refuse this one.
                with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
                    db.execute("PRAGMA journal_mode = DELETE")
                    _change_table(db, draw)
        return path.read_bytes()


def repacked(change: Mutator) -> Mutator:
    """*change* inside gzip."""

    def inside(content: bytes, draw: random.Random) -> bytes:
        try:
            plain = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            plain = b""
        return gzip.compress(change(plain, draw), 1, mtime=0)

    inside.__name__ = f"{change.__name__}_inside_gzip"
    return inside


TEXT: tuple[Mutator, ...] = (
    flip_bits, noise, truncate, behead, cut, repeat, insert, replace_token, replace_token,
    replace_token, replace_tokens, swap_tokens, shuffle_lines, drop_lines, cut_row, old_line_ends,
    nul_bytes, recode, huge_field, nest, empty, many, random_bytes, change_cells_of_lines,
)  # fmt: skip
JSON: tuple[Mutator, ...] = (*TEXT, *([change_json] * 16))
JSON_LINES: tuple[Mutator, ...] = (*TEXT, *([change_json_line] * 16))
DATABASE: tuple[Mutator, ...] = (
    *([change_database] * 8), flip_bits, flip_bits, noise, truncate, behead, cut, nul_bytes, empty,
    random_bytes, recode, insert,
)  # fmt: skip
COMPRESSED: tuple[Mutator, ...] = (
    *(repacked(change) for change in (*TEXT, *([change_json_line] * 10))),
    flip_bits, flip_bits, noise, truncate, cut, repeat, nul_bytes, empty, random_bytes,
)  # fmt: skip


def for_file(name: str) -> tuple[Mutator, ...]:
    """The mutators that suit a file of such a name."""
    suffix = Path(name).suffix
    by_suffix = {".json": JSON, ".jsonl": JSON_LINES, ".db": DATABASE, ".gz": COMPRESSED}
    return by_suffix.get(suffix, TEXT)


def mutate(name: str, content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """*content* damaged in one or two ways, and the names of these."""
    chosen = draw.choices(for_file(name), k=draw.choice((1, 1, 1, 2)))
    for change in chosen:
        content = change(content, draw)
    return content, " and ".join(getattr(change, "__name__", "?") for change in chosen)


def _cell(draw: random.Random) -> bytes:
    return draw.choice(CELLS).encode("utf-8", "surrogatepass")


def _stretch(content: bytes, draw: random.Random) -> tuple[int, int]:
    at = draw.randrange(len(content) + 1)
    return at, min(len(content) - at, draw.choice((1, 4, 40, 400, 4096)))


def _changed(node: Any, draw: random.Random) -> Any:
    """*node* with one thing in it changed; the way down is drawn at every branch."""
    if isinstance(node, dict) and node and draw.random() < 0.95:
        key = draw.choice(list(node))
        form = draw.random()
        if form < 0.08:
            return {name: value for name, value in node.items() if name != key}
        if form < 0.12:
            return {**node, draw.choice(CELLS): node[key]}
        return {**node, key: _changed(node[key], draw)}
    if isinstance(node, list) and node and draw.random() < 0.95:
        at = draw.randrange(len(node))
        form = draw.random()
        if form < 0.08:
            return node[:at] + node[at + 1 :]
        if form < 0.16:
            return [*node, *([node[at]] * draw.randint(1, 3))]
        return [*node[:at], _changed(node[at], draw), *node[at + 1 :]]
    if isinstance(node, (int, float)) and not isinstance(node, bool) and draw.random() < 0.3:
        if abs(node) > 1e300:
            return draw.choice((-node, 0, 1))
        return draw.choice((-node, node * 1e9, node + 1, str(node), node / 1e9, -1 - node))
    return draw.choice(_VALUES)


def _change_table(db: sqlite3.Connection, draw: random.Random) -> None:
    tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    if not tables:
        return
    table = draw.choice(tables)
    columns = [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')]
    column = draw.choice(columns)
    form = draw.random()
    if form < 0.06:
        db.execute(f"PRAGMA user_version = {draw.choice((0, 1, 2, 3, 99, -1, 2**31 - 1))}")
    elif form < 0.08:
        db.execute(f"PRAGMA application_id = {draw.choice((0, 1, -1))}")
    elif form < 0.12:
        db.execute(f'DROP TABLE "{table}"')
    elif form < 0.16:
        db.execute(f'ALTER TABLE "{table}" RENAME COLUMN "{column}" TO "odd {column}"')
    elif form < 0.19:
        db.execute(f'ALTER TABLE "{table}" ADD COLUMN "extra" TEXT DEFAULT \'x\'')
    elif form < 0.24:
        db.execute(f'DELETE FROM "{table}" WHERE rowid % 2 = {draw.randrange(2)}')
    else:
        _change_cell(db, table, column, draw)


def _change_cell(db: sqlite3.Connection, table: str, column: str, draw: random.Random) -> None:
    for (trigger,) in db.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).fetchall():
        db.execute(f'DROP TRIGGER "{trigger}"')
    rows = db.execute(f'SELECT rowid, "{column}" FROM "{table}" LIMIT 500').fetchall()
    if not rows:
        return
    rowid, value = draw.choice(rows)
    if isinstance(value, str) and value[:1] in "{[" and draw.random() < 0.8:
        new: Any = change_json(value.encode(), draw).decode("utf-8", "replace")
    elif isinstance(value, bytes):
        new = draw.choice((flip_bits, truncate, empty, random_bytes))(value, draw)
    else:
        new = draw.choice((*CELLS, None, -1, 2**63 - 1, 1e308, float("inf"), b"\xff\xfe", 0))
    everywhere = draw.random() < 0.1
    where = "" if everywhere else f" WHERE rowid = {rowid}"
    db.execute(f'UPDATE "{table}" SET "{column}" = ?{where}', (new,))
