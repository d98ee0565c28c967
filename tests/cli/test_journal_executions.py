"""`tomic journal import` of brokers' files, and what waits for an entry afterwards."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.clean_home import write
from support.command_line import run
from support.recorded_chains import DATA
from tomic.config import load_settings
from tomic.store import Database, schema
from tomic.workflows.journal import entries as journals, executions as imported
from tomic.workflows.journal.entries import Journal

BROKER = DATA.parent / "cases" / "broker"
MUTATED = DATA.parent / "cases" / "robustness"
STORE = Path("data/volatility.db")
HEAD = (
    "AssetClass,Symbol,UnderlyingSymbol,Multiplier,Strike,Expiry,Put/Call,DateTime,Quantity,"
    "TradePrice,IBCommission,IBOrderID,IBExecID\n"
)
ODD = HEAD + "OPT,SPY X,SPY,100,560,20250620,P,20250519;103000,0,3.1,-0.65,1,e1\n"
GOOD = HEAD + "OPT,SPY X,SPY,100,550,20250620,P,20250519;103000,-1,1.6,-0.65,2,e2\n"


@pytest.fixture(autouse=True)
def clean(home):
    """An empty working folder with a gateway that nobody answers at."""
    write("tomic.toml", "[ib]\nport = 1\n[costs]\ncommission = 0.0\n[web]\nenabled = false\n")
    return home


def document(*words: object) -> dict:
    result = run("journal", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def entries() -> list[tuple]:
    rows = document("list", "--all")["entries"]
    return [(one["id"], one["status"], one["legs"], one["pnl"]) for one in rows]


async def kept() -> tuple[list[dict], list[imported.ExecutionRow]]:
    """What `list --all` and `executions` print, read without printing it."""
    settings = load_settings()
    async with Database(settings.store.path) as database:
        journal = Journal(database, settings, clock=noon)
        return await journals.listing(journal), await imported.listing(journal)


async def noon() -> dt.datetime:
    return dt.datetime(2026, 12, 1, 16, 0, tzinfo=dt.UTC)


def waiting() -> list[dict]:
    return document("executions", "--unplaced")["executions"]


def fills() -> list[dict]:
    return list(csv.DictReader(io.StringIO(run("journal", "export", "--form", "fills").stdout)))


def case(*names: str) -> list[Path]:
    """Files of the shared cases by the beginnings of their names."""
    if not BROKER.is_dir():
        pytest.skip(f"no shared cases at {BROKER}")
    return [path for name in names for path in sorted(BROKER.glob(f"{name}*.csv"))]


# -- one odd row -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        ("-1,3.10", "0,3.10"), ("-1,3.10", "nan,3.10"), ("-1,3.10", "-1,-3.10"),
        ("-1,3.10", "-1,nan"), ("-1,3.10", "-1,-inf"), ("-1,3.10", "1e400,3.10"),
        (",560,", ",1e308,"), (",560,", ",-560,"), (",560,", ",nan,"),
        ("20250620", "99991231"), ("20250620", "00010101"), ("20250519;103000", "00010101;000000"),
        ("20250519;103000", "99991231;235959"), (",100,", ",1e9,"), (",100,", ",0.5,"),
    ],
)  # fmt: skip
def test_an_odd_row_costs_nothing_else(change):
    """The other rows of its file and every later file are imported; the row waits with a reason."""
    odd = "OPT,SPY X,SPY,100,560,20250620,P,20250519;103000,-1,3.10,-0.65,1,e1\n"
    write("odd.csv", GOOD + odd.replace(*change))
    write("good.csv", GOOD.replace("e2", "e3").replace("550", "540"))

    first = run("journal", "import", "odd.csv")
    second = run("journal", "import", "good.csv")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "odd.csv: IB Flex query: 1 new, 0 changed, 0 known already, 1 kept aside" in first.stdout
    assert second.stdout == "good.csv: IB Flex query: 1 new, 0 changed, 0 known already\n"
    (row,) = waiting()
    assert row["reason"]
    assert row["reason"] in first.stderr
    assert len(entries()) == 2


def test_a_store_that_was_poisoned_is_healed():
    """Executions that ended every import are named, and files are imported again."""
    STORE.parent.mkdir()
    with closing(sqlite3.connect(STORE, isolation_level=None)) as db:
        for number in range(1, 8):
            schema._apply(db, number)
        contract = {"expiry": "2025-06-20", "strike": 560.0, "right": "P", "con_id": None}
        for exec_id, strike, quantity, price, action in (
            ("none", 560.0, 0.0, 3.1, None), ("nan", 560.0, float("nan"), 3.1, None),
            ("negative", 560.0, -1.0, -3.1, None), ("absurd", 1e308, -1.0, 3.1, None),
            ("unheld", 545.0, 1.0, 0.0, "expire"),
        ):  # fmt: skip
            row = {"contract": {**contract, "strike": strike}, "quantity": quantity,
                   "price": price, "commission": 0.65, "order": "", "action": action}  # fmt: skip
            db.execute(
                "INSERT INTO executions VALUES (?, NULL, ?, 'SPY', NULL, ?)",
                (exec_id, "2025-06-20T20:20:00.000000+00:00", json.dumps(row)),
            )
    write("good.csv", GOOD)

    before = {one["id"]: one["reason"] for one in waiting()}
    found = run("journal", "import", "good.csv")

    assert set(before) == {"none", "nan", "negative", "absurd", "unheld"}
    assert "of 0 is no trade" in before["none"]
    assert (found.exit_code, len(entries())) == (0, 1)
    reasons = {one["id"]: one["reason"] for one in waiting()}
    assert "+1 545P 2025-06-20 is expired, which no open entry holds" in reasons["unheld"]
    assert all(reasons.values())


def test_what_waits_is_tried_again():
    """The row that closes comes first and waits; the file that opens makes the entry whole."""
    close = "OPT,SPY X,SPY,100,550,20250620,P,20250602;110000,1,0.5,-0.65,9,e9\n"
    write("close.csv", (HEAD + close).replace(HEAD, HEAD.strip() + ",Open/CloseIndicator\n")
          .replace("e9", "e9,C"))  # fmt: skip
    write("open.csv", GOOD)

    first = run("journal", "import", "close.csv")
    second = run("journal", "import", "open.csv")

    assert "is closed, which no open entry holds" in first.stderr
    assert second.stdout == "open.csv: IB Flex query: 1 new, 0 changed, 0 known already\n"
    assert [one[1] for one in entries()] == ["closed"]
    assert waiting() == []


def test_a_trade_of_tomorrow_waits():
    """A time that has not come yet is no trade yet; nothing is said of it in statistics."""
    write("x.csv", GOOD.replace("20250519", "29990519").replace("20250620", "29990620"))
    write("y.csv", GOOD.replace("20250519", "21990519").replace("20250620", "21990620"))

    far = run("journal", "import", "x.csv")
    found = run("journal", "import", "y.csv")

    assert "2999 is no year to trade in" in far.stderr
    assert "lies in the future" in found.stderr
    assert entries() == []
    assert len(waiting()) == 2


def test_a_number_that_is_taken():
    """Another execution under a known number is kept aside; it is not taken for the known one."""
    write("x.csv", GOOD)
    write("y.csv", GOOD.replace("550", "540"))

    run("journal", "import", "x.csv")
    found = run("journal", "import", "y.csv")

    assert ", 1 kept aside" in found.stdout
    (row,) = waiting()
    assert "number e2 is that of another execution: -1 SPY 550P" in row["reason"]
    assert len(entries()) == 1


# -- looking and deciding --------------------------------------------------------------------


def test_the_list_of_executions_in_every_form():
    """Placed ones with their entry, rows that are none with file, line and text."""
    write("x.csv", ODD + GOOD.removeprefix(HEAD))
    run("journal", "import", "x.csv")

    table = run("journal", "executions").stdout
    rows = document("executions")["executions"]
    lines = run("journal", "executions", "--format", "ndjson").stdout.splitlines()
    cells = list(
        csv.DictReader(io.StringIO(run("journal", "executions", "--format", "csv").stdout))
    )

    assert table.splitlines()[0].split()[:2] == ["id", "time"]
    assert [(one["id"][:4], one["status"], one["entry"]) for one in rows] == [
        ("e2", "placed", 1), ("row-", "unread", None),
    ]  # fmt: skip
    assert (rows[1]["source"], rows[1]["line"]) == ("x.csv", 2)
    assert rows[1]["text"] == ODD.splitlines()[1]
    assert "x.csv:2: a quantity of 0 is no trade" in table
    assert [json.loads(line) for line in lines] == rows
    assert [one["id"] for one in cells] == [one["id"] for one in rows]
    assert document("executions", "--symbol", "spy")["executions"] == rows[:1]


def test_setting_aside_and_back():
    """What is ignored is not tried again; who, when and why stay, also when it is taken back."""
    write("x.csv", GOOD)
    write("tomorrow.csv", GOOD.replace("e2", "t1").replace("2025", "2199"))
    run("journal", "import", "tomorrow.csv")

    gone = document("executions", "--ignore", "t1", "--because", "never mine")["executions"]
    run("journal", "import", "x.csv")
    left = waiting()
    back = document("executions", "--restore", "t1")["executions"]

    assert [(one["id"], one["status"]) for one in gone] == [("t1", "ignored")]
    assert "never mine" in gone[0]["reason"]
    assert left == []
    assert back[0]["status"] == "waiting"
    words = [(one["decision"], one["because"]) for one in back[0]["decisions"]]
    assert words == [("ignore", "never mine"), ("restore", "")]
    assert all(one["who"] and one["at"] for one in back[0]["decisions"])
    assert [one["id"] for one in waiting()] == ["t1"]


def test_a_row_is_set_aside_by_the_beginning_of_its_number():
    """Long numbers need not be typed whole."""
    write("x.csv", ODD)
    run("journal", "import", "x.csv")

    document("executions", "--ignore", "row-")
    again = run("journal", "import", "x.csv")

    assert waiting() == []
    assert "0 new, 0 changed, 1 known already" in again.stdout
    assert waiting() == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ignore", "nothing"), "no execution nothing; tomic journal executions lists them"),
        (("--ignore", "e2"), "execution e2 is in entry 1"),
        (("--ignore", "row-", "--restore", "row-"), "exclude each other"),
        (("--restore", "row-"), "is not set aside"),
        (("--because", "x"), "--because says why"),
        (("--ignore", ""), "no execution ;"),
    ],
)
def test_decisions_that_make_no_sense(words, message):
    """Nothing is decided, and what is wrong is said."""
    write("x.csv", ODD + GOOD.removeprefix(HEAD))
    run("journal", "import", "x.csv")

    result = run("journal", "executions", *words)

    assert result.exit_code == 2
    assert message in result.stderr
    assert [one["decisions"] for one in document("executions")["executions"]] == [[], []]


def test_no_executions():
    """Nothing imported is nothing listed."""
    result = run("journal", "executions")
    unplaced = run("journal", "executions", "--unplaced")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no executions were imported" in result.stderr
    assert "no execution waits for an entry" in unplaced.stderr


def test_an_ignored_execution_is_not_linked():
    """What is set aside goes into no entry until that is taken back."""
    write("x.csv", GOOD)
    write("tomorrow.csv", GOOD.replace("e2", "t1").replace("2025", "2199"))
    run("journal", "import", "x.csv", "tomorrow.csv")
    run("journal", "executions", "--ignore", "t1")

    result = run("journal", "link", "1", "--execution", "t1")

    assert result.exit_code == 2
    assert "t1 is set aside; tomic journal executions --restore" in result.stderr


# -- one trade by two roads ------------------------------------------------------------------


def test_cancelled_trades_leave_nothing():
    """Sold and cancelled is nothing held; sold, cancelled and sold again is one."""
    sold = GOOD.removeprefix(HEAD)
    heading = HEAD.strip() + ",Notes/Codes\n"
    cancelled = sold.replace("-1,1.6", "1,1.6").replace("e2\n", "e3,Ca\n")
    write("q.csv", heading + sold.replace("\n", ",\n") + cancelled)
    write("q2.csv", heading + sold.replace("e2\n", "e4,\n"))

    first = run("journal", "import", "q.csv")
    none = entries()
    run("journal", "import", "q2.csv")

    assert first.exit_code == 0
    assert none == []
    assert [one[2] for one in entries()] == ["-1 550P 2025-06-20"]
    assert {one["status"] for one in document("executions")["executions"]} == {"ignored", "placed"}


def test_a_cancellation_of_what_is_in_an_entry():
    """The trade never was: its entry is cancelled, and counts nowhere."""
    heading = HEAD.strip() + ",Notes/Codes\n"
    cancelled = GOOD.removeprefix(HEAD).replace("-1,1.6,-0.65", "1,1.6,0.65")
    write("x.csv", GOOD)
    write("y.csv", heading + cancelled.replace("e2\n", "e3,Ca\n"))

    run("journal", "import", "x.csv")
    run("journal", "import", "y.csv")

    assert [(one[1], one[3]) for one in entries()] == [("cancelled", None)]


def test_a_corrected_execution_counts_once():
    """The later number of one execution takes the place of the earlier, whichever came first."""
    row, number = GOOD.removeprefix(HEAD), "0000e0d5.6561b2a1.01"
    one = row.replace("e2", f"{number}.01")
    two = row.replace("e2", f"{number}.02").replace("1.6,", "1.7,")
    write("both.csv", HEAD + one + two)
    write("first.csv", HEAD + one)

    run("journal", "import", "both.csv")
    run("journal", "import", "first.csv")

    assert [one["price"] for one in fills()] == ["1.7"]


def test_a_correction_of_what_is_in_an_entry():
    """It takes the place of what it corrects; the trade is not counted twice."""
    row, number = GOOD.removeprefix(HEAD), "0000e0d5.6561b2a1.01"
    write("x.csv", HEAD + row.replace("e2", f"{number}.01"))
    write("y.csv", HEAD + row.replace("e2", f"{number}.02").replace("1.6,", "1.7,"))

    run("journal", "import", "x.csv")
    run("journal", "import", "y.csv")

    assert [(one["quantity"], one["price"]) for one in fills()] == [("-1.0", "1.7")]
    assert [one[1] for one in entries()].count("open") == 1


def test_a_correction_of_what_was_changed_by_hand_waits():
    """It names the entry and the command: what the trader wrote is not written over."""
    row, number = GOOD.removeprefix(HEAD), "0000e0d5.6561b2a1.01"
    write("x.csv", HEAD + row.replace("e2", f"{number}.01"))
    write("y.csv", HEAD + row.replace("e2", f"{number}.02").replace("1.6,", "1.7,"))

    run("journal", "import", "x.csv")
    run("journal", "correct", "1", "--trade", "1", "--price", "1.65")
    found = run("journal", "import", "y.csv")

    assert [(one["quantity"], one["price"]) for one in fills()] == [("-1.0", "1.65")]
    assert "which is in entry 1; tomic journal correct 1 changes it there" in found.stderr


@pytest.mark.parametrize("turned", [False, True])
def test_a_statement_after_a_query_adds_nothing(turned):
    """The same trade in both is one, whichever comes first."""
    paths = case("s_flex", "s_activity")

    run("journal", "import", *(reversed(paths) if turned else paths))

    assert len(entries()) == 1
    assert sorted(one["status"] for one in document("executions")["executions"]) == [
        "ignored", "placed",
    ]  # fmt: skip


# -- shared cases ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a_", [("closed", 58.0), ("closed", 78.0)]),
        ("w_", [("closed", 99.0), ("closed", 59.0)]),
        ("y2_", [("closed", 68.0), ("closed", 38.0)]),
        ("c_", [("closed", 58.0)]),
        ("e_", [("open", None), ("open", None)]),
        ("f_", [("closed", 58.0)]),
        ("i_", [("closed", 62.9)]),
        ("d_", []),
        ("q_", []),
        ("p_", [("open", None), ("open", None)]),
        ("u_", [("open", None), ("open", None)]),
        ("t_", [("closed", 598.0)]),
        ("m_", [("open", None)]),
        ("n_", [("open", None)]),
        ("h_", [("open", None)]),
        ("l_", [("open", None)]),
        ("o_", []),
    ],
)
def test_results_of_the_cases(name, expected):
    """Status and result of each entry that a file makes, as worked out by hand."""
    run("journal", "import", *case(name))

    assert [(status, pnl) for _, status, _, pnl in entries()] == expected


def test_assigned_shares_cost_their_own_strike():
    """200 shares at 156 in the one entry, 400 at 157 in the other."""
    run("journal", "import", *case("x_"))

    bought = [one for one in fills() if not one["strike"]]
    assert [(one["id"], one["quantity"], one["price"]) for one in bought] == [
        ("1", "200.0", "156.0"), ("2", "400.0", "157.0"),
    ]  # fmt: skip


def quantities(rows: list[dict], status: set[str]) -> float:
    return sum(one["quantity"] for one in rows if one["status"] in status and one["quantity"])


@pytest.mark.parametrize("seed", range(6))
def test_every_file_in_any_order_twice(seed):
    """No traceback, no refusal of a later file; the second time nothing is added or lost."""
    paths = case("")
    paths += [path for path in sorted(MUTATED.glob("*.csv")) if path.name[:4] in ("acti", "flex")]
    random.Random(seed).shuffle(paths)

    before: tuple[list, list] = ([], [])
    for path in paths:
        first = run("journal", "import", path)
        middle = asyncio.run(kept())
        again = run("journal", "import", path)

        assert asyncio.run(kept()) == middle
        assert "Traceback" not in first.stderr + again.stderr
        assert len(middle[0]) >= len(before[0])
        assert len(middle[1]) >= len(before[1])
        before = middle
        if path.name.startswith("flex_6"):
            assert first.exit_code == again.exit_code == 5
        else:
            assert (first.exit_code, again.exit_code) == (0, 0)
            assert ": 0 new, 0 changed, " in again.stdout
    placed = quantities(document("executions")["executions"], {"placed"})
    assert sum(float(one["quantity"]) for one in fills()) == pytest.approx(placed)


@pytest.mark.parametrize("seed", range(2))
def test_every_file_in_one_command(seed):
    """A file that is none of ours is named, and every other one is imported all the same."""
    write("bank.csv", "Datum;Omschrijving;Bedrag\n01-11-2025;Huur;-900\n")
    paths = [*case(""), "bank.csv"]
    random.Random(seed).shuffle(paths)

    result = run("journal", "import", *paths)

    assert result.exit_code == 5
    assert "bank.csv: no trades in it" in result.stderr
    assert len(result.stdout.splitlines()) == len(paths) - 1


def test_two_imports_at_once_place_everything_once():
    """Two programs that import the same file make one set of entries."""
    write("x.csv", GOOD + "".join(
        GOOD.removeprefix(HEAD).replace("550", str(500 + n)).replace(",2,e2", f",{n + 10},x{n}")
        for n in range(20)
    ))  # fmt: skip

    async def both() -> list[int]:
        import sys

        children = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tomic", "journal", "import", "x.csv",
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )
            for _ in range(2)
        ]  # fmt: skip
        return [await child.wait() for child in children]

    assert asyncio.run(both()) == [0, 0]
    assert len(entries()) == 21
    assert waiting() == []
