"""`tomic journal import --flex` and files in every encoding: what is taken in, said and kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.clean_home import write
from support.command_line import run
from support.flex_service import REPORT, TOKEN, answer, serving

ACTIVITY = """\
Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,\
C. Price,Proceeds,Comm/Fee,Basis,Realized P/L,MTM P/L,Code
Trades,Data,Order,Equity and Index Options,USD,XYZ 19DEC25 50 P,"2025-11-03, 10:00:00",-1,1.00,\
1,100,-1.00,,0,0,O
Trades,Data,Order,Forex,USD,EUR.USD,"2025-11-03, 10:00:00",1000,1.1,,,,,,,
Trades,SubTotal,,Equity and Index Options,USD,XYZ,,-1,,,100,-1,,0,0,
"""


@pytest.fixture
def server():
    """A service that gives its report at once."""
    with serving() as own:
        yield own


@pytest.fixture(autouse=True)
def settings(home, server, monkeypatch):
    """Queries and token as a user sets them, the service of this test."""
    write(
        "tomic.toml",
        '[ib]\nport = 1\n[flex]\nquery = ["123"]\nfirst_wait_s = 0.01\ndeadline_s = 60\n'
        f'url = "{server.url}"\n',
    )
    monkeypatch.setenv("TOMIC_FLEX_TOKEN", TOKEN)
    return home


def flex(*more: str):
    return run("journal", "import", "--flex", *more)


def entries() -> list[tuple[str, str]]:
    found = json.loads(run("journal", "list", "--all", "--json").stdout)
    return [(each["symbol"], each["status"]) for each in found["entries"]]


def test_a_query_becomes_entries(server):
    """Fetched, placed, and the second time nothing is new."""
    first, again = flex(), flex()

    assert first.stdout == "Flex query 123: IB Flex query: 1 new, 0 changed, 0 known already\n"
    assert again.stdout == "Flex query 123: IB Flex query: 0 new, 0 changed, 1 known already\n"
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert entries() == [("XYZ", "open")]


def test_the_same_trade_by_a_statement(server):
    """What a statement told before is known."""
    write("a.csv", ACTIVITY)
    run("journal", "import", "a.csv")

    flex()

    assert entries() == [("XYZ", "open")]


def test_queries_from_the_environment(server, monkeypatch):
    """Several, with commas; one that fails keeps no other from being fetched."""
    monkeypatch.setenv("TOMIC_FLEX_QUERY", "5, 6")
    server.send = [answer("Fail", 1014, "Query is invalid"), server.send[0]]

    found = flex()

    assert found.exit_code == 5
    assert "Flex query 5: there is no such query (1014)" in found.stderr
    assert found.stdout.startswith("Flex query 6: IB Flex query: 1 new")
    assert [asked["q"] for path, asked, _ in server.asked if path.endswith("SendRequest")] == [
        "5", "6",
    ]  # fmt: skip


def test_a_period_without_trades(server):
    """A morning after nothing was traded is no error."""
    server.get = [REPORT[: REPORT.index("<Trade ")] + REPORT[REPORT.index("</Trades>") :]]

    found = flex()

    assert (found.exit_code, entries()) == (0, [])
    assert "no rows in this query's period" in found.stderr


@pytest.mark.parametrize(
    ("told", "code", "message"),
    [
        (answer("Fail", 1012, "Token has expired."), 5, "the token has expired (1012); make a new"),
        (answer("Fail", 1003, "Statement is not available."), 5, "is not available (1003)"),
    ],
)
def test_what_went_wrong(server, told, code, message):
    """Message, remedy and exit code; the token is in neither."""
    server.send = [told]

    found = flex()

    assert found.exit_code == code
    assert message in found.stderr
    assert TOKEN not in found.stdout + found.stderr


def test_without_token_or_query(monkeypatch):
    """What to set is said; nothing is asked."""
    monkeypatch.delenv("TOMIC_FLEX_TOKEN")
    no_token = flex()
    write("tomic.toml", "")
    no_query = flex()

    assert (no_token.exit_code, no_query.exit_code) == (2, 2)
    assert "put it into TOMIC_FLEX_TOKEN" in no_token.stderr
    assert "put its number into flex.query or TOMIC_FLEX_QUERY" in no_query.stderr


def test_no_list_of_settings_shows_the_token(home):
    """It is no setting; a file may be named."""
    for words in (("config", "show"), ("config", "show", "--json")):
        found = run(*words)
        assert found.exit_code == 0, found.stderr
        assert TOKEN not in found.stdout + found.stderr


def test_a_job_of_the_morning(server):
    """A job fetches what was traded; no log has the token, however much it tells."""
    own = Path("tomic.toml").read_text()
    write(
        "tomic.toml", f'{own}\n[jobs.trades]\nrun = ["journal import --flex"]\nlog = "jobs.jsonl"\n'
    )

    found = run("run", "trades", "-vv")

    assert (found.exit_code, entries()) == (0, [("XYZ", "open")])
    assert "httpcore" in found.stderr
    assert TOKEN not in Path("jobs.jsonl").read_text() + found.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", [ACTIVITY, REPORT], ids=["csv", "xml"])
def test_encodings_and_line_ends(encoding, end, text):
    """However a file was saved, its trades are the same; what was left out is counted."""
    Path("x").write_bytes(text.replace("\n", end).encode(encoding))

    found = run("journal", "import", "x")

    assert found.exit_code == 0, found.stderr
    assert entries() == [("XYZ", "open")]
    if text == ACTIVITY:
        assert "1 row (Forex 1) of other instruments left out" in found.stderr
        assert "1 row (SubTotal 1) without trades left out" in found.stderr


def test_a_spreadsheet_of_western_windows():
    """A German statement saved by Excel has its own letters, semicolons and decimal commas."""
    Path("x.csv").write_bytes(
        (
            "Transaktionen;Header;DataDiscriminator;Vermögenswertkategorie;Währung;Symbol;"
            "Datum/Zeit;Menge;T.-Kurs;Schlusskurs;Erlös;Prov./Gebühr;Basis;Realisierter G&V;"
            "MTM-G&V;Code\r\n"
            "Transaktionen;Data;Order;Aktien- und Indexoptionen;USD;XYZ 19DEC25 50 P;"
            "2025-11-03, 10:00:00;-1;1,05;1;105;-1,05;;0;0;O\r\n"
        ).encode("cp1252")
    )

    found = run("journal", "import", "x.csv")

    assert (found.exit_code, entries()) == (0, [("XYZ", "open")])
