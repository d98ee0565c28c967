"""`tomic portfolio` as people and cron jobs run it."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re

import pytest

from support.clean_home import make_clean_home, write
from support.command_line import inside_gateway, run
from tomic.desk import Desk
from tomic.sim.faults import OrderWarned, Refuse, Silent

NEAR = "2026-12-18"
TRADE = f"SPY short_put_spread 560/550 {NEAR}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home and working folder."""
    return make_clean_home(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def demo_book(tmp_path_factory):
    """What a demo run saves, read once for all tests."""
    path = tmp_path_factory.mktemp("book") / "book.json"

    async def read():
        async with Desk(demo=True, portfolio={"snapshot": path}) as desk:
            return (await desk.portfolio()).saved.read_text(encoding="utf-8")

    return asyncio.run(read())


@pytest.fixture
def saved(demo_book):
    """A demo book that an earlier run saved."""
    return write("data/portfolio-demo.json", demo_book)


def test_table_on_stdout_and_talk_on_stderr():
    """Data go to stdout; nothing else does, and the book is saved."""
    done = run("portfolio", "--demo")

    assert done.exit_code == 0, done.stderr
    for word in ("iron condor", "short put spread x2", "calendar", "covered call", "beta"):
        assert word in done.stdout
    assert "book saved as" in done.stderr and "book saved as" not in done.stdout
    quiet = run("portfolio", "--demo", "--last", "-q")
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_a_file_shows_the_same_as_the_last_book(saved):
    """--last and --file read the same book."""
    last = run("portfolio", "--demo", "--last", "-q")
    named = run("portfolio", "--file", saved, "-q")

    assert last.stdout == named.stdout != ""


def test_a_demo_never_overwrites_the_real_book(saved):
    """Demo books are saved apart, so --last without --demo finds none."""
    done = run("portfolio", "--last")

    assert done.exit_code == 5 and "run tomic portfolio first" in done.stderr


def test_what_if_of_one_structure(saved):
    """Its P&L by price and day; in JSON the same, and the point that was asked."""
    asked = ("portfolio", "--demo", "--last", "-q", "--what-if", "spy-1", "--move", "-5%")
    text = run(*asked, "--vol", "+20%", "--days", 7).stdout
    document = json.loads(run(*asked, "--vol", "+20%", "--days", 7, "--json").stdout)

    assert text.startswith("SPY-1 iron condor: SPY -5.00% to ")
    assert f"{document['change']:+,.2f} USD against now" in text
    assert (document["move"], document["vol"], document["days"]) == (-0.05, 0.2, 7)
    assert re.search(r"^ *price +move +now +\+7d +\+14d +expiry ", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--what-if", "NOPE"), 2, "no structure 'NOPE' is held; there is AAPL-1, IWM-1"),
        (("--what-if", "SPY-1", "--move", "-100%"), 2, "cannot move by -100%; it must be above"),
        (("--what-if", "SPY-1", "--days", "-1"), 2, "-1 days: must be 0 to 3650"),
        (("--what-if", "SPY-1", "--with", "SPY"), 2, "give one"),
        (("--move", "5%"), 2, "--move needs a structure: --what-if ID"),
        (("--what-if", "SPY-1", "--move", "nan%"), 2, "write it in per cent, such as -5%"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(saved, words, code, said):
    """What is wrong, and how to write it."""
    done = run("portfolio", "--demo", "--last", "-q", *words)

    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr


def test_document(saved):
    """JSON has a schema, meta, rows, totals, alerts and gaps; grids only with --stress."""
    plain = json.loads(run("portfolio", "--demo", "--last", "--json").stdout)
    full = json.loads(run("portfolio", "--demo", "--last", "--json", "--stress").stdout)

    assert plain["schema"] == "tomic.portfolio/1"
    assert plain["meta"]["currency"] == "USD" and plain["meta"]["by"] == "strategy"
    assert {"rows", "totals", "structures", "alerts", "gaps", "concentration"} <= set(plain)
    assert "pnl" not in plain["stress"] and plain["stress_by_symbol"] == []
    cells = full["stress"]["pnl"]
    assert (len(cells), len(cells[0]), len(cells[0][0])) == (41, 9, 5)
    assert cells[20][3][0] == 0.0
    assert [row["id"] for row in plain["rows"]][:2] == ["AAPL-1", "IWM-1"]
    unbounded = next(one for one in plain["rows"] if one["symbol"] == "TLT")
    assert (unbounded["max_profit"], unbounded["profit_bounded"]) == (None, False)


@pytest.mark.parametrize(
    ("by", "first"), [("symbol", "AAPL"), ("expiry", NEAR), ("strategy", "AAPL-1")]
)
def test_rows_in_every_form(saved, by, first):
    """CSV and NDJSON hold the rows of the chosen grouping; their sums agree."""
    text = run("portfolio", "--demo", "--last", "--by", by, "--format", "csv").stdout
    table = list(csv.DictReader(io.StringIO(text)))
    lines = run("portfolio", "--demo", "--last", "--by", by, "--format", "ndjson").stdout
    rows = [json.loads(line) for line in lines.splitlines()]

    assert next(iter(table[0].values())) == first == next(iter(rows[0].values()))
    assert sum(float(one["theta"]) for one in table) == pytest.approx(
        sum(one["theta"] for one in rows)
    )
    assert len(table) == len(rows)


def test_unknown_grouping_is_a_usage_error():
    """The choices are named."""
    done = run("portfolio", "--demo", "--by", "colour")

    assert done.exit_code == 2 and "strategy, symbol, expiry" in done.stderr


def test_with_a_trade(saved):
    """Before, after and change; fit and margin of the trade."""
    done = run("portfolio", "--demo", "--last", "--with", TRADE)
    document = json.loads(run("portfolio", "--demo", "--last", "--with", TRADE, "--json").stdout)

    assert "before" in done.stdout and "fit 0." in done.stdout
    assert "to close" not in done.stdout and "-v shows the book" in done.stdout
    assert document["with"]["trade"] == TRADE
    assert 0.0 < document["with"]["change"]["fit"] < 1.0
    assert document["with"]["ib_margin"] is None


def test_nobody_holds_shares_of_an_index(saved):
    """Refused before anything is asked, live as in a saved book, and in a covered call."""
    for trade in ("+100 SPX shares", "covered_call RUT 2400C 2026-12-18"):
        for more in ([], ["--demo", "--last"]):
            done = run("portfolio", *more, "--with", trade)
            assert done.exit_code == 2 and "there are no shares of" in done.stderr


def test_legs_that_cannot_be_read():
    """Exit code 2 and the way to write it, before anything is connected."""
    done = run("portfolio", "--with", "short_put_spred 560/550")

    assert done.exit_code == 2 and "did you mean short_put_spread" in done.stderr


def test_exit_code_ten_only_when_asked(saved):
    """The demo book has alerts: 10 with --exit-code, 0 without."""
    assert run("portfolio", "--demo", "--last").exit_code == 0
    assert run("portfolio", "--demo", "--last", "--exit-code").exit_code == 10


def test_no_alert_no_code(saved):
    """With wide limits nothing fires, and the code is 0."""
    wide = "\n".join(
        f"{name} = {value}"
        for name, value in {
            "delta_dollars_high": 1e9, "symbol_share": 1.0, "stress_loss": 1.0, "vega": 1e9,
            "profit_share": 100.0, "loss": 1e9, "dte": 0, "book_vega_short": 1e9,
            "margin_share": 1.0, "book_delta": 1e9,
        }.items()
    )  # fmt: skip
    write("tomic.toml", f"[portfolio.alerts]\n{wide}\n")
    done = run("portfolio", "--demo", "--last", "--exit-code")

    assert done.exit_code == 0 and "ALARM" not in done.stdout


def test_ib_margin_is_one_order_that_is_never_placed():
    """One what-if for both legs together, with TWS's own figure."""
    with inside_gateway() as gateway:
        done = run("portfolio", "--port", gateway.port, "--with", TRADE, "--ib-margin")
        assert done.exit_code == 0, done.stderr
        assert "IB what-if of one order" in done.stdout
        assert (gateway.what_ifs, gateway.orders) == (1, 0)


def test_a_refused_margin_costs_no_report():
    """In read-only mode TWS refuses: everything else is shown, the reason beside it, exit 3."""
    with inside_gateway(read_only=True) as gateway:
        done = run("portfolio", "--port", gateway.port, "--with", TRADE, "--ib-margin")
        document = run(
            "portfolio", "--port", gateway.port, "--with", TRADE, "--ib-margin", "--json"
        )
        assert gateway.orders == 0

    assert (done.exit_code, document.exit_code) == (3, 3)
    assert "fit 0." in done.stdout and "IB what-if: no margin from TWS" in done.stdout
    assert "read-only mode" in done.stdout and "read-only mode" in done.stderr
    found = json.loads(document.stdout)
    assert found["totals"]["margin"] > 0.0
    assert found["with"]["ib_margin"] is None
    assert "read-only mode" in found["with"]["ib_margin_problem"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Refuse(on="place_order", code=201), "201"),
        (Refuse(on="place_order", code=200), "200"),
        (Silent(on="place_order"), "no answer within 0.5 s"),
        (OrderWarned(codes=(10349,), margins=False), "10349"),
    ],
    ids=str,
)
def test_whatever_keeps_the_margin_back_is_said(fault, said):
    """A rejection, silence, and a warning after which nothing comes."""
    write("tomic.toml", "[portfolio]\naccount_timeout_s = 0.5\n")
    with inside_gateway(fault) as gateway:
        done = run("portfolio", "--port", gateway.port, "--with", TRADE, "--ib-margin")

    assert done.exit_code == 3
    assert "fit 0." in done.stdout and said in done.stdout


@pytest.mark.parametrize("codes", [(399,), (10311,), (10349, 399), (404,), (12345,)], ids=str)
def test_order_warnings_end_no_what_if(codes):
    """TWS warns and computes the margin all the same, whatever the code."""
    with inside_gateway(OrderWarned(codes=codes)) as gateway:
        done = run("portfolio", "--port", gateway.port, "--with", TRADE, "--ib-margin")

    assert done.exit_code == 0, done.stderr
    assert "IB what-if of one order" in done.stdout


def test_a_margin_of_two_underlyings_is_refused_before_anything_is_read():
    """No combination can hold them, and that is known without TWS."""
    trade = f"-1 SPY {NEAR} 560P, -1 QQQ {NEAR} 500P"
    with inside_gateway() as gateway:
        done = run("portfolio", "--port", gateway.port, "--with", trade, "--ib-margin")
        connections = gateway.connections

    assert done.exit_code == 2
    assert connections == 0


def test_margin_question_needs_a_trade():
    """--ib-margin asks about one trade."""
    done = run("portfolio", "--demo", "--ib-margin")

    assert done.exit_code == 2 and "asks about one trade; name it (--with)" in done.stderr


def test_silent_positions_are_an_error():
    """Exit code 6 and no table: an empty answer is not an empty book."""
    write("tomic.toml", "[portfolio]\naccount_timeout_s = 0.1\n")
    with inside_gateway(Silent(on="positions")) as gateway:
        done = run("portfolio", "--port", gateway.port)

    assert done.exit_code == 6 and done.stdout == ""
    assert "positions: no answer within 0.1 s" in done.stderr


def test_a_silent_leg_is_code_three():
    """The rest is shown, the leg is named, and asking again may give more."""
    write("tomic.toml", "[chain]\nquote_timeout_s = 0.3\nsilent_s = 0.1\nretries = 0\n")
    with inside_gateway(Silent(symbol="IWM", right="P")) as gateway:
        done = run("portfolio", "--port", gateway.port)

    assert done.exit_code == 3
    assert "not wholly in these figures" in done.stdout and "IWM" in done.stdout
    assert re.search(r"^tomic: partial: not all was quoted of IWM ", done.stderr, re.MULTILINE)


@pytest.mark.parametrize(
    "fault", [Silent(symbol="TLT"), Silent(symbol="TLT", on="contract_details")]
)
def test_shares_without_a_price_are_code_three(fault):
    """Shares whose price did not come in time are named; asking again may give it."""
    write("tomic.toml", "[ib]\nrequest_timeout_s = 0.5\n[market]\nspot_timeout_s = 0.5\n")
    with inside_gateway(fault) as gateway:
        done = run("portfolio", "--port", gateway.port, "-q")

    assert done.exit_code == 3
    assert done.stderr == "tomic: partial: not all was quoted of TLT shares\n"


def test_a_report_of_half_a_book_is_code_three():
    """The page is written, and what is missing in it is said."""
    write("tomic.toml", "[market]\nspot_timeout_s = 0.5\n")
    with inside_gateway(Silent(symbol="TLT")) as gateway:
        write("tomic.toml", f"[ib]\nport = {gateway.port}\n[market]\nspot_timeout_s = 0.5\n")
        done = run("report", "portfolio", "--html", "book.html", "-q")

    assert done.exit_code == 3
    assert "tomic: partial: not all was quoted of TLT" in done.stderr


def test_events_and_stress_tables(saved):
    """--stress adds the grid of the book, of each symbol with options, and known events."""
    done = run("portfolio", "--demo", "--last", "--stress")

    assert "stress of book" in done.stdout and "stress of QQQ" in done.stdout
    assert "stress of TLT" not in done.stdout
    assert "dividend" in done.stdout


def test_account_numbers_are_shortened_unless_asked_for(saved):
    """No form of the result tells an account number to whoever is given it by mistake."""

    def told(*words):
        return run("portfolio", "--demo", "--last", "-q", *words).stdout

    for form in ("json", "ndjson", "csv", "table"):
        assert "DU1234567" not in told("--format", form)
    assert "DU1234567" in told("--json", "--show-accounts")
    assert json.loads(told("--json"))["accounts"][0]["account"] == "DU***567"
