"""`tomic journal`: what each command prints, writes, refuses and ends with."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import math
import sys
from pathlib import Path

import pytest

from support.clean_home import write
from support.command_line import TREE, run
from support.recorded_chains import DATA, missing
from tomic.cli.journal import check_code
from tomic.cli.options import Format
from tomic.errors import GatewayUnreachable
from tomic.journal import statistics
from tomic.models.journal import Action, ExitCheck, Fill, JournalEntry, Trade, Verdict
from tomic.present import journal
from tomic.store import Database
from tomic.workflows.journal.review import CheckRun

SPREAD = "short_put_spread SPY 560/550 2025-06-20"
SPY = "tomic_ib_SPY_20250519_2026cest.csv"
OPENED = ("--at", "2025-05-19T11:00", "--offline", "-q")


@pytest.fixture(autouse=True)
def clean(home):
    """An empty working folder with a gateway that nobody answers at, and free commissions."""
    write("tomic.toml", "[ib]\nport = 1\n[costs]\ncommission = 0.0\n[web]\nenabled = false\n")
    return home


def add(*more: str, legs: str = SPREAD, price: str = "1.50"):
    return run("journal", "add", legs, "--price", price, *OPENED, *more)


def document(*words: str) -> dict:
    result = run("journal", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


# -- entries ---------------------------------------------------------------------------------


def test_an_empty_journal():
    """Nothing on stdout, and the command that opens an entry on stderr."""
    result = run("journal", "list")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no open entries; tomic journal add opens one" in result.stderr


def test_add_says_what_it_took():
    """One line with legs and credit; what could not be had is on stderr."""
    result = run("journal", "add", SPREAD, "--price", "1.50", "--offline", "--at", "2025-05-19")

    assert result.exit_code == 0
    assert result.stdout == (
        "1  SPY short put spread · +1 550P -1 560P 2025-06-20 · credit +150.00 USD · open\n"
    )
    assert "note: no live marks: nobody was asked (offline)" in result.stderr
    assert "note: not known at entry: spot, iv" in result.stderr


def test_a_campaign_on_the_command_line():
    """Added, rolled, closed in part and whole: one entry, one result."""
    add("--quantity", "2", "--plan", "half", "--tag", "a", "--rule", "stop=3")
    when = ("--at", "2025-05-29T11:00", "--offline", "-q")
    rolled = run("journal", "roll", "1", "--to", "2025-07-18", "--price", "+0.60", *when)
    run("journal", "close", "1", "--structures", "1", "--price", "0.90", *when)
    closed = run("journal", "close", "J-0001", "--price", "0.40", *when)

    assert "2025-07-18 · credit +420.00 USD · open" in rolled.stdout
    assert closed.stdout.endswith("· flat · credit +420.00 USD · result +290.00 USD\n")
    (row,) = document("list", "--all")["entries"]
    assert (row["status"], row["pnl"], row["days"]) == ("closed", 290.0, 10)
    shown = run("journal", "show", "1").stdout
    assert "trade 2  2025-05-29 11:00 roll" in shown
    assert "rules    take 50% of the premium · stop at 3x the credit · " in shown
    assert "plan     half" in shown


def test_the_list_in_every_form():
    """Table, JSON, NDJSON and CSV hold the same entries."""
    add()
    add(legs="calendar SPY 590P 2025-06-20/2025-07-18", price="1.20")

    table = run("journal", "list").stdout
    rows = document("list")["entries"]
    lines = run("journal", "list", "--format", "ndjson").stdout.splitlines()
    cells = list(csv.DictReader(io.StringIO(run("journal", "list", "--format", "csv").stdout)))

    assert table.splitlines()[0].split()[:5] == ["id", "symbol", "strategy", "legs", "status"]
    assert [row["strategy"] for row in rows] == ["short_put_spread", "calendar"]
    assert [row["premium"] for row in rows] == [150.0, -120.0]
    assert [json.loads(line) for line in lines] == rows
    assert [row["legs"] for row in cells] == [row["legs"] for row in rows]
    assert document("list", "-s", "qqq")["entries"] == []
    assert len(document("list", "--strategy", "calendar", "--since", "2025-05-01")["entries"]) == 1


def test_expiry_and_assignment():
    """A close may be an expiry at a price, or an early assignment of one leg."""
    add(legs="-2 SPY 2025-06-20 560P", price="2.00")

    taken = run("journal", "close", "1", "--assigned", "560P", "--structures", "1", "-q",
                "--at", "2025-06-10T16:00")  # fmt: skip
    gone = run(
        "journal", "close", "1", "--expired", "--spot", "570", "-q", "--at", "2025-06-20T17:00"
    )
    wrong = run("journal", "close", "1", "--assigned", "560P", "-q")

    assert "+100 shares -1 560P 2025-06-20" in taken.stdout
    assert "+100 shares · credit +400.00 USD · open" in gone.stdout
    assert wrong.exit_code == 2
    assert "entry 1 holds no options; name one of them" in wrong.stderr


def test_index_options_are_not_assigned_early():
    """European and settled in cash: refused for SPX and VIX, and nothing is recorded."""
    for number, symbol in enumerate(("SPX", "VIX", "RUT", "XSP"), start=1):
        add(legs=f"-1 {symbol} 2025-06-20 15P", price="1.00")

        result = run("journal", "close", str(number), "--assigned", "15P", "-q",
                     "--at", "2025-05-24T10:00")  # fmt: skip

        assert result.exit_code == 2
        assert f"options on {symbol} are European and settled in cash" in result.stderr
    assert {row["status"] for row in document("list")["entries"]} == {"open"}


def test_an_american_index_option_is_assigned_for_cash():
    """OEX at 3100 takes 50 points of a 3150 put, and no shares come."""
    add(legs="-1 OEX 2025-06-20 3150P", price="20.00")

    result = run("journal", "close", "1", "--assigned", "3150P", "--spot", "3100", "-q",
                 "--at", "2025-06-10T16:00")  # fmt: skip

    assert "shares" not in result.stdout
    assert result.stdout.endswith("result -3,000.00 USD\n")


def test_vix_is_settled_at_an_opening_that_is_asked_for():
    """Listed under its Tuesday it is open until Wednesday 09:30, and VRO must be given."""
    add(legs="-5 VIX 2025-06-17 17C", price="1.20")
    close = ("journal", "close", "1", "--expired", "-q")

    early = run(*close, "--at", "2025-06-17T17:00", "--spot", "20")
    unpriced = run(*close, "--at", "2025-06-18T10:00")
    settled = run(*close, "--spot", "19.5")

    assert (early.exit_code, unpriced.exit_code) == (2, 2)
    assert "holds nothing that has expired by 2025-06-17" in early.stderr
    assert "settled at the open of 2025-06-18, at VRO" in unpriced.stderr
    assert "--spot" in unpriced.stderr
    assert settled.stdout.endswith("· flat · credit +600.00 USD · result -650.00 USD\n")
    (row,) = document("list", "--all")["entries"]
    assert row["closed"] == "2025-06-18"


def test_an_index_option_whose_class_is_not_known_is_not_given_a_close():
    """SPX of a third Friday may settle at the open or at the close: its value is asked for."""
    add(legs="-1 SPX 2025-06-20 5950P", price="40.00")
    close = ("journal", "close", "1", "--expired", "-q", "--at", "2025-06-20T17:00")

    unpriced = run(*close)
    settled = run(*close, "--spot", "5960")

    assert unpriced.exit_code == 2
    assert "does not say which it holds" in unpriced.stderr
    assert settled.exit_code == 0 and settled.stdout.endswith("result +4,000.00 USD\n")


def test_corrections_notes_and_history():
    """Whatever is changed, the history has it, oldest first."""
    add()
    run("journal", "note", "1", "looks fine", "-q")
    fixed = run("journal", "correct", "1", "plan=wait", "--trade", "1", "--price", "1.40",
                "--because", "misread", "-q")  # fmt: skip
    history = run("journal", "history", "1").stdout

    assert "credit +140.00" in fixed.stdout
    assert [line.split()[-1] for line in history.splitlines() if line[:3].strip()] == [
        "open", "note", "misread",
    ]  # fmt: skip
    assert "trades:  open 20" in history
    assert "{" not in history
    changes = document("history", "1")["changes"]
    assert [one["event"] for one in changes] == ["open", "note", "correct"]
    assert changes[2]["set"]["plan"] == "wait"
    assert "note     20" in run("journal", "show", "1").stdout


def test_links():
    """Entries of one campaign and contracts of a leg are linked; a circle is refused."""
    add()
    add("--continues", "1")

    linked = run("journal", "link", "2", "--position", "560P=712345")
    circle = run("journal", "link", "1", "--continues", "2")
    nothing = run("journal", "link", "1")

    assert (linked.exit_code, linked.stderr) == (0, "entry 2: linked\n")
    assert document("show", "2")["continues"] == 1
    assert circle.exit_code == nothing.exit_code == 2
    assert "already continues" in circle.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add",), "name one of LEGS, --from PROPOSAL and --position ID"),
        (("add", SPREAD, "--offline"), "no price of 550P 2025-06-20, 560P"),
        (("add", SPREAD, "--offline", "--price", "x"), "what one structure trades for"),
        (("add", SPREAD, "--offline", "--price", "1", "--rule", "stop"), "write it as stop=2.5"),
        (("add", SPREAD, "--offline", "--price", "+1", "--continues", "9"), "no journal entry 9"),
        (
            ("add", SPREAD, "--offline", "--price", "+1", "--at", "2999-01-01"),
            "2999-01-01 12:00 lies in the future",
        ),
        (("add", "-1 560P", "--offline", "--price", "1"), "name the symbol"),
        (("add", "--from", "20250519-1", "--offline"), "no proposal 20250519-1"),
        (("add", "--position", "x", "--offline"), "write contract ids, as in 712345"),
        (
            ("add", "--position", "1", "--offline"),
            "positions need the gateway; leave out offline (--offline)",
        ),
        (("show", "9"), "no journal entry 9; tomic journal list shows them"),
        (("history", "9"), "no journal entry 9"),
        (("close", "9", "--price", "1", "--offline"), "no journal entry 9"),
        (("close", "9", "--expired", "--assigned", "x"), "exclude each other"),
        (("roll", "9"), "name LEGS"),
        (("roll", "9", "--to", "soon", "--offline"), "'soon' is not an expiry"),
        (("roll", "9", "--to", "2025-07-18", "--offline"), "no journal entry 9"),
        (("list", "--status", "lost"), "choose one of open, closed, cancelled"),
        (("correct", "1", "result=5"), "write NAME=VALUE; there are plan"),
        (("stats", "--by", "mood"), "there are strategy, symbol, month, grade"),
        (("stats", "--proposals", "--by", "grade"), "leave --by out"),
        (("import",), "name files, or --tws"),
        (("import", "none.json"), "none.json: no such file"),
        (("export", "--form", "xml"), "there are json, csv, fills and original"),
    ],
)
def test_mistakes_are_named(words, message):
    """What cannot be is said in one line, with an exit code that is not 0."""
    result = run("journal", *words)

    assert result.exit_code in (2, 5)
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


DATED = {
    "add": (SPREAD, "--price", "1.50", "--offline"),
    "close": ("1", "--price", "0.50", "--offline"),
    "close expired": ("1", "--expired", "--spot", "570"),
    "close assigned": ("1", "--assigned", "560P"),
    "roll": ("1", "--to", "2025-07-18", "--price", "+0.60", "--offline"),
    "correct": ("1", "--trade", "1"),
}
"""Every command that is told when something was; a test below compares with the commands."""


def test_every_command_with_a_time_is_tried():
    """Whatever command takes --at is among those whose future is refused."""
    journal = TREE.commands["journal"].commands
    with_time = {
        name for name, command in journal.items()
        if any("--at" in parameter.opts for parameter in command.params)
    }  # fmt: skip

    assert with_time == {name.split()[0] for name in DATED}


@pytest.mark.parametrize("demo", [False, True])
@pytest.mark.parametrize("name", DATED)
def test_nothing_happens_in_the_future(name, demo):
    """Tomorrow is refused by every command and nothing is written, a demo's tomorrow included."""
    more = ("--demo",) if demo else ()
    run("journal", "add", SPREAD, "--price", "1.50", *OPENED, *more)
    before = run("journal", "export", *more).stdout
    # The demo's clock stands at 20 November 2026.
    now = dt.datetime(2026, 11, 21, tzinfo=dt.UTC) if demo else dt.datetime.now(dt.UTC)
    ahead = now + dt.timedelta(days=1)

    for moment in (ahead, ahead.replace(year=9998)):
        result = run("journal", name.split()[0], *DATED[name], "--at", moment.isoformat(), *more)
        assert result.exit_code == 2
        assert "lies in the future; leave out at (--at) for now" in result.stderr
    assert run("journal", "export", *more).stdout == before


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59", "9999-12-31T23:59:59-12:00",
                                    "0001-01-01T00:00:00+14:00", "1969-12-31"])  # fmt: skip
@pytest.mark.parametrize("name", DATED)
def test_moments_at_the_end_of_the_calendar(name, moment):
    """The first and the last moments that can be written are refused like any other."""
    add()

    result = run("journal", name.split()[0], *DATED[name], "--at", moment)

    assert result.exit_code == 2
    assert "Traceback" not in result.stderr


def test_an_expiry_of_today_is_not_over():
    """What expires in the evening is recorded in the evening; the demo's day ends at 16:00."""
    run("journal", "add", "-1 SPY 2026-11-20 580P", "--price", "1", *OPENED[2:], "--demo",
        "--at", "2026-11-02")  # fmt: skip

    result = run("journal", "close", "1", "--expired", "--spot", "590", "--demo")

    assert result.exit_code == 2
    assert "2026-11-20 is not over; record what became of its options from 16:00" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("show", "9" * 15), ("show", "9" * 40), ("note", "9" * 18, "x"), ("history", "9" * 15),
        ("add", SPREAD, "--offline", "--price", "+1", "--continues", "1" + "0" * 26),
        ("link", "1", "--continues", "1" + "0" * 26),
        ("close", "1", "--expired", "--spot", "nan"),
        ("note", "1", "half \ud800 a character"),
        ("correct", "1", "plan=x", "--because", "half \ud800"),
        ("list", "--symbol", "\ud800"),
        ("executions", "--ignore", "\ud800"),
    ],
)  # fmt: skip
def test_numbers_and_texts_that_no_store_holds(words):
    """What cannot be stored is a mistake of the line, not of the program."""
    add()

    result = run("journal", *words)

    assert result.exit_code in (0, 2)
    assert "Traceback" not in result.stderr


def test_an_entry_is_a_number():
    """``31`` and ``J-0031`` are the same; anything else is a mistake of usage."""
    result = run("journal", "show", "condor")

    assert result.exit_code == 2
    assert "write the number of an entry, such as 31" in result.stderr


# -- check -----------------------------------------------------------------------------------


def test_check_without_anybody_to_ask():
    """Rules of the calendar are judged, those of prices are not, and that is partial."""
    add("--rule", "min_dte=none")

    result = run("journal", "check", "--offline", "--exit-code")

    assert result.exit_code == 3
    assert "NOT JUDGED" in result.stdout
    assert "? stop not judged: no marks of 550P 2025-06-20, 560P 2025-06-20" in result.stdout
    assert "1 unjudged" in result.stderr


def test_check_without_a_gateway():
    """The error ends the command with 4, after what can be judged was printed."""
    add()

    result = run("journal", "check", "--exit-code")

    assert result.exit_code == 4
    assert "min_dte: " in result.stdout
    assert "tomic: SPY: no gateway at 127.0.0.1:1" in result.stderr


def test_check_of_nothing():
    """An empty journal has nothing to check, which is no error."""
    result = run("journal", "check", "--exit-code", "--offline")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "nothing open" in result.stderr


def test_check_of_a_recording():
    """Real quotes of 19 May 2025: the fired rule, its value, limit and advice, and exit code 10."""
    if why := missing(SPY):
        pytest.skip(why)
    add(legs="short_put_spread SPY 560/550 2025-06-20", price="4.00")
    add(legs="short_put_spread SPY 560/550 2025-06-20", price="0.91")

    result = run(
        "journal", "check", "--replay", DATA / SPY, "--exit-code", "--format", "json", "-q"
    )

    checks = json.loads(result.stdout)["checks"]
    assert result.exit_code == 10
    assert [one["verdict"] for one in checks] == ["act", "hold"]
    (fired,) = checks[0]["signals"]
    assert (fired["rule"], fired["limit"], fired["advice"]) == (
        "profit_target", 0.5, "close: take the profit",
    )  # fmt: skip
    # Mids of the file: 560P 3.105 and 550P 2.195 or so.
    assert checks[1]["pnl"] == pytest.approx(0.0, abs=5.0)
    assert checks[0]["dte"] == 32
    assert document("show", "1")["snapshots"] == []


@pytest.mark.parametrize(
    ("verdicts", "pnl", "errors", "asked", "code"),
    [
        ((Verdict.HOLD,), 1.0, {}, True, 0),
        ((Verdict.STALE,), 1.0, {}, True, 0),
        ((Verdict.ACT,), 1.0, {}, True, 10),
        ((Verdict.ACT,), 1.0, {}, False, 0),
        ((Verdict.UNJUDGED,), 1.0, {}, True, 3),
        ((Verdict.ACT, Verdict.UNJUDGED), 1.0, {}, True, 3),
        ((Verdict.UNJUDGED,), None, {"SPY": GatewayUnreachable("x")}, True, 4),
        ((Verdict.HOLD, Verdict.UNJUDGED), 1.0, {"QQQ": GatewayUnreachable("x")}, True, 3),
    ],
)
def test_exit_codes_of_a_check(verdicts, pnl, errors, asked, code):
    """10 only when asked for; 3 for a part, 4 when nothing could be had; the worst of them."""
    from support.journal_entries import OPENED as moment

    checks = tuple(ExitCheck(symbol="SPY", strategy="x", verdict=one, pnl=pnl) for one in verdicts)

    assert check_code(CheckRun(checks, errors, moment), exit_code=asked) == code


def test_a_snapshot_without_a_gateway():
    """The reason that all entries share is told once, with the code of what could be had."""
    add(legs="short_put_spread SPY 560/550 2099-06-19", price="4.00")
    add(legs="short_put_spread SPY 560/540 2099-06-19", price="4.00")

    result = run("journal", "snapshot", "--host", "127.0.0.1", "--port", "1", "-q")

    assert result.exit_code == 4
    assert result.stderr.count("no gateway at") == 1
    assert "tomic: entry 1, entry 2: no gateway at 127.0.0.1:1" in result.stderr


# -- with a market ---------------------------------------------------------------------------


def test_the_demo_market():
    """Context at entry, check, snapshot and attribution work without TWS, in a store apart."""
    legs = "short_put_spread SPY 560/550 2026-12-18"
    added = run("journal", "add", legs, "--demo", "-q", "--json")
    checked = run("journal", "check", "--demo", "-q", "--format", "ndjson")
    taken = run("journal", "snapshot", "--demo", "-q", "--json")
    found = run("journal", "attribute", "--demo", "-q", "--json")

    entry = json.loads(added.stdout)
    assert entry["context"]["source"] == "demo"
    assert 0.5 < entry["context"]["pos"] < 1.0
    assert entry["context"]["margin"] > 0.0
    check = json.loads(checked.stdout)
    assert check["verdict"] in ("hold", "act")
    assert check["unjudged"] == []
    (shot,) = json.loads(taken.stdout)["snapshots"]
    assert shot["problem"] == ""
    (line,) = json.loads(found.stdout)["attributions"]
    greeks = sum(line[name] for name in ("delta", "gamma", "vega", "theta", "residual"))
    steps = sum(line[name] for name in ("time", "volatility", "spot"))
    rest = line["traded"] + line["costs"]
    assert greeks + rest == pytest.approx(line["total"], abs=0.001)
    assert steps + rest == pytest.approx(line["total"], abs=0.001)
    assert not Path("data/volatility.db").exists()


def test_the_documented_roll():
    """A price without a sign is on the side of the market; old marks go from the list."""
    more = ("--demo", "-q")
    run("journal", "add", "SPY short_put_spread 640/630 2026-12-18", *more)
    before = json.loads(run("journal", "list", "--json", *more).stdout)["entries"][0]
    rolled = run("journal", "roll", "1", "--to", "2027-01-15", "--price", "0.35", *more)
    listed = run("journal", "list", "--demo")
    moved = run("journal", "roll", "1", "--to", "2027-02-19", "--price=-0.10", "--offline", *more)
    (after,) = json.loads(run("journal", "list", "--json", *more).stdout)["entries"]

    assert rolled.exit_code == 0, rolled.stderr
    # Later, the spread in the money is worth more: the roll costs, at mid about half a dollar.
    assert before["premium"] - 35.0 == pytest.approx(after["premium"] + 10.0)
    assert "no PoS of 1: other legs are held" in listed.stderr
    assert moved.exit_code == 0, moved.stderr
    assert (after["pnl"], after["unmarked"]) == (None, "not marked since the last trade")


def test_the_vix_of_an_entry_is_that_of_the_market():
    """Context and `tomic vol` show the same number at the same minute of the demo."""
    more = ("--demo", "-q", "--json")
    (measured,) = json.loads(run("vol", "SPY", *more).stdout)["symbols"]
    added = json.loads(run("journal", "add", "-1 SPY 2026-12-18 560P", *more).stdout)

    assert added["context"]["vix"] == pytest.approx(measured["vix"], abs=0.002)


def test_a_check_in_the_demo_keeps_its_marks_and_says_what_to_type():
    """The list has them afterwards, beside the price at which half of the credit is won."""
    run("journal", "add", "-1 IWM 2026-12-18 211P@3.90", "--demo", "-q", "--offline")
    (blank,) = json.loads(run("journal", "list", "--demo", "-q", "--json").stdout)["entries"]

    checked = run("journal", "check", "--demo")

    (marked,) = json.loads(run("journal", "list", "--demo", "-q", "--json").stdout)["entries"]
    assert (blank["pnl"], blank["unmarked"]) == (None, "not marked yet")
    assert (marked["pnl"] is not None, marked["unmarked"]) == (True, "")
    assert "take at 1.95 · stop at 11.70 · 21 days on 27 Nov\n" in checked.stdout
    assert "earnings" not in checked.stdout + checked.stderr


def test_companies_without_a_known_report_are_named_once():
    """Funds have none and are not named."""
    for symbol, strike in (("CRM", 290), ("IWM", 211), ("NVDA", 160)):
        legs = f"-1 {symbol} 2026-12-18 {strike}P@3.00"
        run("journal", "add", legs, "--demo", "-q", "--offline")

    checked = run("journal", "check", "--demo", "--no-keep")

    assert checked.stderr.count("no earnings date known: CRM, NVDA;") == 1
    assert "earnings" not in checked.stdout


def test_an_assignment_in_the_demo_takes_no_profit():
    """A put assigned far above the market has lost, and the shares are marked to say so."""
    more = ("--demo", "-q")
    run("journal", "add", "IWM naked_put 250 2026-12-18", "--price", "3", *more)
    run("journal", "close", "1", "--assigned", "250P 2026-12-18", *more)

    (row,) = json.loads(run("journal", "list", "--json", *more).stdout)["entries"]
    found = json.loads(run("journal", "check", "--json", *more).stdout)
    (check,) = found["checks"]
    (kept,) = json.loads(run("journal", "list", "--json", *more).stdout)["entries"]

    # The demo's clock may stand at the moment of the entry's marks, whose spot values the shares.
    assert row["pnl"] is None or row["pnl"] < -2000.0
    assert (row["dte"], row["pos"]) == (None, None)
    assert [signal["rule"] for signal in check["signals"]] == ["stop"]
    assert check["pnl"] < -2000.0
    assert kept["pnl"] == pytest.approx(check["pnl"], abs=0.01)


# -- statistics ------------------------------------------------------------------------------


def fill() -> None:
    add("--reason", "rich")
    run("journal", "close", "1", "--price", "0.50", "--at", "2025-05-29T11:00", "--offline", "-q")
    add(legs="-1 QQQ 2025-06-20 500P", price="2.00")
    run("journal", "close", "2", "--price", "2.50", "--at", "2025-06-02T11:00", "--offline", "-q")
    run("journal", "correct", "1", "pos=0.8", "margin=850", "-q")


def test_statistics():
    """+100 and -50: half won, expectancy +25, profit factor 2, drawdown -50."""
    fill()

    table = run("journal", "stats", "--by", "symbol").stdout
    found = document("stats", "--by", "symbol")

    overall = found["overall"]
    assert (overall["n"], overall["total"], overall["profit_factor"]) == (2, 50.0, 2.0)
    assert overall["max_drawdown"] == -50.0
    assert overall["average_days"] == 12.0
    assert [one["label"] for one in found["groups"]] == ["QQQ", "SPY"]
    assert found["trades"]["brier"]["value"] == pytest.approx(0.04)
    assert table.splitlines()[1].split()[:2] == ["all", "2"]
    assert "80%-90%: forecast 80%, came true 100%, n 1" in table
    rows = list(csv.DictReader(io.StringIO(run("journal", "stats", "--format", "csv").stdout)))
    assert [(row["label"], row["n"], row["win_rate"]) for row in rows] == [("all", "2", "0.5")]


def test_statistics_of_nothing():
    """An empty journal has no figures, and nothing breaks."""
    result = run("journal", "stats")

    assert result.exit_code == 0
    assert "none yet" in result.stdout


def test_the_record_of_proposals_before_there_is_one():
    """Without a saved proposal it says what to do, and machines get an empty record."""
    table = run("journal", "stats", "--proposals")

    assert table.exit_code == 0
    assert table.stdout.startswith("no proposal is saved; tomic scan")
    assert document("stats", "--proposals")["groups"] == []


def test_unbounded_figures_are_valid_json():
    """A profit factor without losses is null beside a flag; people read why."""
    add()
    run("journal", "close", "1", "--price", "0.50", "--at", "2025-05-29T11:00", "--offline", "-q")

    text = run("journal", "stats", "--json").stdout

    found = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert found["overall"]["profit_factor"] is None
    assert found["overall"]["profit_factor_bounded"] is False
    row = next(csv.DictReader(io.StringIO(run("journal", "stats", "--format", "csv").stdout)))
    assert (row["profit_factor"], row["profit_factor_bounded"]) == ("", "False")
    assert "no loss" in run("journal", "stats").stdout


# -- files -----------------------------------------------------------------------------------


def test_import_and_export():
    """The original's file in, everything out, and in again elsewhere; stdout stays data."""
    write(
        "journal.json",
        json.dumps(
            [{"TradeID": "3", "DatumIn": "20250519", "Symbool": "SPY", "Type": "Short Put",
              "Expiry": "20250620", "Status": "Open", "Premium": 2.0, "Exitstrategie": "op gevoel",
              "Legs": [{"strike": 560, "type": "PUT", "action": "SELL", "qty": 1}]}]
        ),
    )  # fmt: skip

    first = run("journal", "import", "journal.json")
    again = run("journal", "import", "journal.json", "--json")
    out = run("journal", "export", "--out", "all.json")
    rows = list(csv.DictReader(io.StringIO(run("journal", "export", "--form", "fills").stdout)))

    assert first.stdout == (
        "journal.json: journal.json of the original: 1 new, 0 changed, 0 known already\n"
    )
    assert "TradeID 3: exit text not fully understood: 'op gevoel'" in first.stderr
    assert json.loads(again.stdout)["imports"][0]["known"] == 1
    assert (out.exit_code, out.stdout) == (0, "")
    assert json.loads(Path("all.json").read_text())["entries"][0]["id"] == 3
    assert [(row["id"], row["strike"], row["net_price"]) for row in rows] == [("3", "560.0", "2.0")]


def test_listing_needs_nothing_slow():
    """`tomic journal list` starts without a session, pandas or scipy."""
    code = (
        "import sys; from typer.testing import CliRunner; from tomic.cli.app import app;"
        "found = CliRunner().invoke(app, ['journal', 'list']); assert found.exit_code == 0, found;"
        "print(sorted({'pandas', 'scipy', 'ib_async', 'rich'} & set(sys.modules)))"
    )

    async def start() -> bytes:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE
        )
        return (await child.communicate())[0]

    assert asyncio.run(start()).strip() == b"[]"


def test_a_store_of_a_newer_program():
    """An entry that this program cannot read is named, and the others are not touched."""

    async def spoil() -> None:
        from support.journal_entries import OPENED as moment

        async with Database("data/volatility.db") as store:
            await store.journal.save({"symbol": "SPY", "opened_at": "x"}, event="x", at=moment)

    asyncio.run(spoil())

    result = run("journal", "show", "1")

    assert result.exit_code == 1
    assert "journal entry 1 cannot be read: opened_at" in result.stderr


# -- as people read it --------------------------------------------------------------------------


def _entry(currency: str, commission: float) -> JournalEntry:
    legs = {"expiry": dt.date(2025, 6, 20), "right": "P", "currency": currency}
    fills = (
        Fill(strike=560.0, quantity=-2, commission=commission, **legs),
        Fill(strike=550.0, quantity=2, commission=0.0, **legs),
    )
    at = dt.datetime(2025, 5, 19, 15, tzinfo=dt.UTC)
    trade = Trade(at=at, action=Action.OPEN, fills=fills, price=1.5, structures=2)
    return JournalEntry(
        id=3, symbol="XYZ", currency=currency, strategy="short_put_spread", opened_at=at,
        trades=(trade,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("currency", "commission", "cost"),
    [("EUR", 2.2, "commissions 2.20 EUR"), ("", 1.3, "commissions 1.30"),
     ("USD", math.nan, "commissions not known of every fill USD")],
)  # fmt: skip
def test_an_entry_names_its_price_and_its_currency(currency, commission, cost):
    """A trade is written as a trader writes it, and money has its currency where it is known."""
    text = journal.whole(_entry(currency, commission))

    assert f"credit +300.00 {currency}".strip() in text
    assert "+300.00 @1.50 credit" in text
    assert cost in text


def test_a_list_of_two_currencies_names_them():
    """Each row stands in its own; where nobody said any there is no such column."""
    day = dt.date(2025, 5, 20)
    stored = [
        {"id": 3, "symbol": "XYZ", "strategy": "", "status": "open", "closed_at": None,
         "opened_at": "2025-05-19T15:00:00+00:00", "continues": None,
         "summary": statistics.summarise(_entry(currency, 1.0))}
        for currency in ("EUR", "USD", "")
    ]  # fmt: skip
    rows = [statistics.row(one, day) for one in stored]

    several, alone = journal.listing(rows, Format.TABLE), journal.listing(rows[2:], Format.TABLE)

    words = [word for line in several.splitlines() for word in line.split()]
    named = [word for word in words if word in ("currency", "EUR", "USD", "?")]
    assert named == ["currency", "EUR", "USD", "?"]
    assert "currency" not in alone
