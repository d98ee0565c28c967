"""Tables of sellers become chains, day by day, and what cannot be one is named with its line."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import tarfile

import pytest

from support import quote_tables
from tomic.errors import BadFile
from tomic.files import option_tables
from tomic.files.option_tables import read_days

RATE = {2021: 0.02}
SPOTS = {"2021-03-01": 100.0, "2021-03-02": 101.0}
TEXT = quote_tables.table(SPOTS, ("2021-04-01", "2021-04-16"))


def read(path, **given):
    return list(read_days([path], rate=RATE, **given))


def test_a_day_is_a_chain(tmp_path):
    """Spot, class, quotes and expiries are those of the table; the moment is the close."""
    first, second = read(quote_tables.written(tmp_path, TEXT))

    (chain,) = first.chains
    assert (first.day, second.day) == (dt.date(2021, 3, 1), dt.date(2021, 3, 2))
    assert (chain.symbol, chain.trading_class, chain.spot.price) == ("ABC", "ABC", 100.0)
    assert len(chain) == 68
    assert chain.expiries == (dt.date(2021, 4, 1), dt.date(2021, 4, 16))
    assert chain.as_of.astimezone(dt.UTC).hour == 21


def test_packed_tables_are_the_same(tmp_path):
    """Gzip, and a tar of parts, hold what the plain file holds."""
    plain = quote_tables.written(tmp_path, TEXT)
    packed = tmp_path / "q.csv.gz"
    packed.write_bytes(gzip.compress(TEXT.encode("utf-8-sig")))
    archive = tmp_path / "q.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        tar.add(plain, "one.csv")

    sizes = [[len(c) for day in read(path) for c in day.chains] for path in (packed, archive)]

    assert sizes == [[68, 68]] * 2


def test_weeklies_belong_to_their_index(tmp_path):
    """SPXW is a class of SPX; American dates are read."""
    text = TEXT.replace("ABC,", "SPXW,").replace("ABC2", "SPXW2")
    text = text.replace("2021-03-01", "03/01/2021").replace("2021-03-02", "03/02/2021")
    (chain,) = read(quote_tables.written(tmp_path, text))[0].chains

    assert (chain.symbol, chain.trading_class) == ("SPX", "SPXW")
    assert chain.underlying.settles_in_cash


def test_only_wanted_symbols(tmp_path):
    """Others are left out."""
    assert read(quote_tables.written(tmp_path, TEXT), symbols=("XYZ",)) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",80,", ",eighty,", r"quotes\.csv:2: no quote of an option"),
        ("2021-03-01", "soon", "no date"),
        ("ABC,100.0,", "ABC,0,", "a price of the underlying of 0"),
        (",bid,", ",offer,", "no column for bid"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, old, new, words):
    """File, line and reason."""
    path = quote_tables.written(tmp_path, TEXT.replace(old, new, 1))

    with pytest.raises(BadFile, match=words):
        read(path)


def test_a_folder_without_files_is_refused(tmp_path):
    """It says what it looked for."""
    with pytest.raises(BadFile, match="no file of"):
        read(tmp_path)


def test_a_damaged_archive_is_refused(tmp_path):
    """By its name, not by a traceback."""
    path = tmp_path / "q.csv.gz"
    path.write_bytes(b"no gzip")

    with pytest.raises(BadFile, match=r"q\.csv\.gz"):
        read(path)


def test_what_unpacks_to_more_than_any_table_is_refused(tmp_path, monkeypatch):
    """By the sizes that an archive tells, and of a stream as soon as it is too long."""
    monkeypatch.setattr(option_tables, "MOST", 10_000)
    packed, archive = tmp_path / "q.csv.gz", tmp_path / "q.tar.xz"
    packed.write_bytes(gzip.compress(bytes(20_000)))
    with tarfile.open(archive, "w:xz") as made:
        member = tarfile.TarInfo("q.csv")
        member.size = 20_000
        made.addfile(member, io.BytesIO(bytes(20_000)))

    for path in (packed, archive):
        with pytest.raises(BadFile, match=r"0\.01 MB"):
            read(path)
    monkeypatch.setattr(option_tables, "MOST", 30_000)
    monkeypatch.setattr(option_tables, "_MOST_IN_ALL", 10_000)
    with pytest.raises(BadFile, match="unpacks to more than"):
        read(archive)
