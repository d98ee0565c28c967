"""`tomic scan`, `show`, `why-not` and `strategies` over the demo market, end to end."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import json
import re
import sqlite3
from pathlib import Path

import pytest

from support.clean_home import enter_home, make_clean_home
from support.command_line import inside_gateway, run
from support.recorded_chains import DATA, missing
from tomic.cli import scan
from tomic.cli.scan import exit_code
from tomic.models import ScanResult, SymbolOutcome
from tomic.sim.faults import Silent

KINDS = "iron_condor,short_put_spread"
XLF_FILE = "tomic_ib_XLF_20250518_sunday_closed.csv"
SPY_FILE = "tomic_ib_SPY_20250519_2026cest.csv"


@pytest.fixture(scope="module")
def scan_of_spy(tmp_path_factory):
    """A folder that the module keeps, and how a scan of SPY ended in it."""
    folder = tmp_path_factory.mktemp("scan")
    with pytest.MonkeyPatch.context() as patch:
        make_clean_home(folder, patch)
        done = run("scan", "SPY", "--demo", "--strategy", KINDS, "--top", 2, "--explain")
    return folder, done


@pytest.fixture
def scanned(scan_of_spy, monkeypatch):
    """A scan of SPY with its files, in the working folder."""
    folder, done = scan_of_spy
    enter_home(folder, monkeypatch)
    return done


@pytest.fixture
def document(scanned):
    """The scan as it was written for programs."""
    (path,) = re.findall(r"[^ \n]*scan_[0-9_]*\.json", scanned.stderr)
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_a_scan_ranks_and_says_why(scanned, document):
    """The best two are printed with the parts of the first score, which add up to it."""
    first, second = document["proposals"]

    assert scanned.exit_code == 0
    assert document["schema"] == "tomic.scan/1"
    assert first["score"] >= second["score"]
    assert {first["id"], second["id"]} <= set(scanned.stdout.split())
    (total, parts) = re.search(
        r"^#1: score ([\d.]+) = (.*)$", scanned.stdout, re.MULTILINE
    ).groups()
    assert sum(map(float, re.findall(r"[-+][\d.]+", parts))) == pytest.approx(float(total), abs=0.4)
    assert f"considered {document['considered']:,}" in scanned.stderr
    assert "Not advice; nothing is sent to the broker" in scanned.stderr


def test_a_scan_says_at_most_a_line_per_symbol(scanned, monkeypatch):
    """Where stderr is no terminal no step on the way is told, and --quiet tells nothing at all."""
    told = scanned.stderr.splitlines()
    monkeypatch.setenv("TOMIC_SCAN__METHOD", "thinned")
    quiet = run("scan", "SPY", "--demo", "--strategy", "short_put_spread", "--no-export", "-q")

    assert len([line for line in told if line.startswith("SPY")]) <= 1
    assert not re.search("first of|contract and hours|spot and expiries", scanned.stderr)
    assert quiet.stderr == ""


def test_a_scan_explains_its_refusals(scanned, document):
    """With --explain every rule that refused something is there with its count."""
    assert f"passed {document['passed']:,}" in scanned.stdout
    for one in document["rejected"]:
        assert re.search(rf"{re.escape(one['rule'])} +{one['count']:,}", scanned.stdout)


def test_a_scan_leaves_a_row_for_each_proposal(scanned, document):
    """The CSV beside the JSON holds the same proposals in the same order."""
    (path,) = re.findall(r"[^ \n]*scan_[0-9_]*\.csv", scanned.stderr)
    rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))

    now = dt.datetime.now().astimezone()
    days = {f"{one:%Y%m%d}" for one in (now, now - dt.timedelta(minutes=5))}
    assert Path(path).parent.name in days  # of this computer, as for chains
    assert [row["id"] for row in rows] == [one["id"] for one in document["proposals"]]
    assert [float(row["margin"]) for row in rows] == [
        one["margin"] for one in document["proposals"]
    ]


@pytest.mark.usefixtures("home")
def test_nothing_that_qualifies_is_a_result(monkeypatch):
    """A scan that refuses everything prints no proposal, names the rule and the nearest miss."""
    monkeypatch.setenv("TOMIC_SCAN__METHOD", "thinned")
    monkeypatch.setenv("TOMIC_SCAN__MAX_CONTRACTS", "60")
    done = run(
        "scan", "SPY", "--demo", "--strategy", "iron_condor", "--min-ev", 1e6, "--no-export",
        "--format", "csv",
    )  # fmt: skip

    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.startswith("rank,id,symbol,strategy")
    assert "nothing today\n  nearest: SPY" in done.stderr


def test_a_proposal_is_shown_whole(scanned, document):
    """Legs, figures and the order to type are those of the scan; as JSON it is the same."""
    first = document["proposals"][0]

    text = run("show", first["id"], "--demo").stdout
    same = json.loads(run("show", first["id"], "--demo", "--json").stdout)

    assert same["id"] == first["id"]
    assert same["credit"] == first["credit"]
    for leg in first["legs"]:
        word = "BUY " if leg["quantity"] > 0 else "SELL"
        right = "CALL" if leg["right"] == "C" else "PUT"
        assert re.search(rf"{word} 1  SPY \d\d \w+ \d+ {leg['strike']:g} {right}", text)
    mid = abs(first["credit_mid"]) / 100.0
    assert f"(mid {mid:.4g} on a tick of 0.01, as its legs are quoted)" in text
    assert text.rstrip().endswith("Not advice; nothing is sent to the broker")


def test_a_ticket_is_handed_over(scanned, document):
    """A private file for What-If, or a link alone; what the file cannot say is on stderr."""
    first = document["proposals"][0]

    written = run("show", first["id"], "--demo", "--ticket", "orders/t.csv", "--quantity", 2)
    printed = run("show", first["id"], "--demo", "--ticket", "-", "--link")
    ticket = json.loads(run("show", first["id"], "--demo", "--json").stdout)["ticket"]

    file = Path("orders/t.csv")
    assert file.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    assert [(row["Quantity"], float(row["Strike"])) for row in rows] == [
        ("2", leg["strike"]) for leg in first["legs"]
    ]
    assert written.stdout == "" and "do not place its legs one by one" in written.stderr
    assert printed.stdout == ticket["what_if_csv"] + ticket["optionstrat"] + "\n"
    assert ticket["closing_order"].startswith("then, good till cancelled: close ")


@pytest.fixture(scope="module")
def refreshed(scan_of_spy):
    """The first proposal, judged anew."""
    folder, done = scan_of_spy
    with pytest.MonkeyPatch.context() as patch:
        enter_home(folder, patch)
        return run("show", re.search(r"\b\d{8}-\d+\b", done.stdout)[0], "--demo", "--refresh")


def test_a_proposal_is_judged_anew(refreshed, document):
    """--refresh quotes the legs again and sets the new figures beside the old ones."""
    assert refreshed.exit_code == 0
    assert refreshed.stdout.startswith(f"{document['proposals'][0]['id']} · SPY ")
    assert re.search(r"^ +then +now +change$", refreshed.stdout, re.MULTILINE)
    assert re.search(r"^score +[\d.]+ +[\d.]+ +[-+][\d.]+$", refreshed.stdout, re.MULTILINE)


def test_a_proposal_quoted_anew_keeps_its_number(refreshed, document):
    """The refreshed proposal is headed by its id, as text and as JSON."""
    wanted = document["proposals"][0]["id"]
    fresh = json.loads(run("show", wanted, "--demo", "--refresh", "--json").stdout)

    assert refreshed.stdout.startswith(f"{wanted} · SPY")
    assert fresh["id"] == wanted


def test_an_unknown_proposal_is_said(scanned):
    """A number that no scan gave is refused by name."""
    done = run("show", "20000101-7", "--demo")

    assert done.exit_code != 0
    assert "20000101-7" in done.stderr


def test_why_not_names_the_rule(scanned, document):
    """The first proposal's own trade is accepted; a spread of a point far out is refused."""
    first = document["proposals"][0]

    in_order = [leg["strike"] for leg in first["legs"]]
    strikes = sorted(in_order)
    trade = f"{first['strategy']} {'/'.join(f'{x:g}' for x in in_order)} {first['expiry']}"
    own = run("why-not", "SPY", trade, "--demo")
    narrow = f"short_put_spread {strikes[0]:g}/{strikes[0] - 1:g} {first['expiry']}"
    refused = json.loads(run("why-not", "SPY", narrow, "--demo", "--json").stdout)

    assert own.stdout.splitlines()[1].startswith("accepted")
    assert refused["refusals"]


def test_strategies_are_listed_and_shown(scanned):
    """Every strategy has a line with its days; one of them is shown by the names of settings."""
    table = run("strategies").stdout
    listed = json.loads(run("strategies", "--json").stdout)
    one = run("strategies", "show", "iron_condor").stdout

    for known in listed:
        low, high = known["dte"]
        assert re.search(rf"^{known['name']} .* {low}-{high}\b", table, re.MULTILINE)
    assert "change it in tomic.toml under [strategies.iron_condor]" in one
    assert re.search(r"^  legs\.short_put: -1 ", one, re.MULTILINE)


# -- partial -------------------------------------------------------------------------------


HASTY = """
[ib]
port = {port}
request_timeout_s = 1.0
[chain]
quote_timeout_s = 0.5
silent_s = 0.1
retries = 0
[market]
spot_timeout_s = 0.5
[scan]
strategies = ["short_put_spread"]
method = "thinned"
max_contracts = 60
[web]
enabled = false
"""
"""Little patience with a gateway on some port, and a small search."""


@pytest.fixture
def partial_gateway(tmp_path, monkeypatch):
    """A gateway on which the calls of QQQ and all of IWM are silent, and settings for it."""
    make_clean_home(tmp_path, monkeypatch)
    faults = (Silent(symbol="QQQ", right="C"), Silent(symbol="IWM"))
    with inside_gateway(*faults) as gateway:
        Path("tomic.toml").write_text(HASTY.format(port=gateway.port))
        yield gateway


def test_a_partial_scan_ends_with_three_and_names_its_symbols(partial_gateway):
    """One line says what is missing of which symbols, quiet or not; JSON says it too."""
    done = run("scan", "SPY", "QQQ", "IWM", "--no-export", "-q", "--json")

    document = json.loads(done.stdout)
    (line,) = done.stderr.splitlines()
    assert done.exit_code == 3
    assert line == f"tomic: partial: {document['partial_text']}"
    assert re.fullmatch(
        r"failed IWM; cut short QQQ \(\d+ of \d+ options missing: no answer\)",
        document["partial_text"],
    )
    assert (document["complete"], document["partial"]) == (False, ["IWM", "QQQ"])
    assert document["proposals"]


def test_the_scan_after_a_partial_one_is_whole(partial_gateway):
    """What was cut is asked for again, although the settings let chains be used for a while."""
    first = run("scan", "SPY", "QQQ", "--no-export", "--json")
    partial_gateway.clear()
    second = run("scan", "SPY", "QQQ", "--no-export", "--json")
    third = run("scan", "SPY", "QQQ", "--no-export", "--json")

    assert [one.exit_code for one in (first, second, third)] == [3, 0, 0]
    assert "partial" not in second.stderr
    documents = [json.loads(one.stdout) for one in (first, second, third)]
    qqq = [
        next(one for one in document["outcomes"] if one["symbol"] == "QQQ")
        for document in documents
    ]
    assert qqq[0]["as_of"] != qqq[1]["as_of"] == qqq[2]["as_of"]
    assert documents[1]["complete"]


def test_symbols_without_any_time_are_in_one_line(capsys):
    """Those for which no time was left are named together, and not each in a line of its own."""
    late = {"ok": False, "error": "the deadline passed", "error_code": "deadline"}
    result = ScanResult(
        outcomes=(
            SymbolOutcome(symbol="IWM", **late),
            SymbolOutcome(symbol="NVDA", ok=False, error="no price", error_code="data"),
            SymbolOutcome(symbol="SPY", cut="3 of 90 options missing: lost"),
            SymbolOutcome(symbol="TLT", **late),
            SymbolOutcome(symbol="VIX", ok=False, error="VIX has no expiry", error_code="data"),
            SymbolOutcome(symbol="XLF"),
        )
    )

    scan.summarise_scan(result, [])

    assert result.partial == ("IWM", "NVDA", "SPY", "TLT", "VIX")
    assert result.partial_text == (
        "failed NVDA, VIX; out of time IWM, TLT; cut short SPY (3 of 90 options missing: lost)"
    )
    assert "tomic: NVDA: no price" in (told := capsys.readouterr().err)
    assert "tomic: VIX has no expiry" in told
    assert "the deadline passed" not in told


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ([{}], 0),
        ([{}, {"cut": "out of time"}], 3),
        ([{"cut": "out of time"}], 3),
        ([{}, {"ok": False, "error_code": "data"}], 3),
        ([{"ok": False, "error_code": "deadline"}], 6),
        ([{"ok": False, "error_code": "ib.lost"}], 4),
        ([{"ok": False, "error_code": "ib.timeout"}], 6),
        ([{"ok": False, "error_code": "ib.unknown_contract"}], 5),
        ([{"ok": False, "error_code": "data"}, {"ok": False, "error_code": "ib.timeout"}], 6),
        ([{"ok": False, "error_code": "data.missing_spot"}], 5),
    ],
)
def test_exit_codes_of_a_scan(outcomes, code):
    """0 whole, 3 when a symbol or a part of one is missing, its own code when nothing came."""
    result = ScanResult(outcomes=[SymbolOutcome(symbol="SPY", **one) for one in outcomes])

    assert exit_code(result) == code


def test_why_not_in_a_cut_chain_is_code_three(partial_gateway):
    """The verdict is given, with what the chain lacks."""
    done = run("why-not", "QQQ", "short_put_spread 500/490 2026-12-18", "-q")

    assert done.exit_code == 3
    assert re.fullmatch(
        r"tomic: partial: QQQ \(\d+ of \d+ options missing: no answer\)\n", done.stderr
    )


def test_vol_with_a_cut_chain_is_code_three(tmp_path, monkeypatch):
    """The figures that came are shown, and what is missing of the chain is said."""
    make_clean_home(tmp_path, monkeypatch)
    # A symbol with few strikes, and few of its options: each that is silent takes its time.
    with inside_gateway(Silent(symbol="XLF", right="C", share=0.2)) as gateway:
        Path("tomic.toml").write_text(HASTY.format(port=gateway.port))
        done = run("vol", "XLF", "--chain", "--no-export", "-q")

    assert done.exit_code == 3
    assert "XLF" in done.stdout
    assert re.search(r"^tomic: XLF: \d+ of \d+ options missing: no answer$", done.stderr, re.M)


@pytest.mark.usefixtures("partial_gateway")
def test_a_job_ends_with_the_code_of_its_partial_step():
    """Cron learns from the exit code that the scan of the morning was partial."""
    with Path("tomic.toml").open("a") as file:
        file.write('[jobs.partial]\nrun = ["scan SPY QQQ --no-export"]\n')
    done = run("run", "partial")

    assert done.exit_code == 3
    assert "tomic: partial: cut short QQQ" in done.stderr


# -- recordings ----------------------------------------------------------------------------


def test_a_scan_of_a_recording_is_kept_apart(tmp_path, monkeypatch):
    """Its proposals have numbers of their own, which lead to them and to entries of the journal."""
    make_clean_home(tmp_path, monkeypatch)
    words = ("--dte", "30:60", "--weeklies", 0, "--strike-range", "2s", "--out", ".")
    run("chain", "SPY", "--demo", "-q", *words)
    (file,) = Path().rglob("option_chain_SPY_*.csv")
    options = ("--as-of", "2026-11-20T15:00-05:00", "--no-export", "--strategy", "iron_condor")
    done = run("scan", "SPY", "--replay", file, *options)
    taken = run("journal", "add", "--from", "R20261120-1", "--json", "-q")
    shown = run("show", "R20261120-1")
    none = run("show", "20261120-1")

    assert done.exit_code == 0
    assert "R20261120-1" in done.stdout
    assert f"scans of recordings are kept in {Path('data/replay.db')}, apart" in done.stderr
    assert shown.stdout.startswith("R20261120-1 · SPY")
    assert json.loads(taken.stdout)["context"]["proposal"] == "R20261120-1"
    # Nothing of it is among the proposals of the market.
    assert "no proposal 20261120-1" in none.stderr


# -- amounts without bound -----------------------------------------------------------------------


def strict(text):
    """JSON as a strict reader takes it."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


@pytest.fixture(scope="module")
def scan_without_bound(tmp_path_factory):
    """A folder that the module keeps, and how a scan ended in it that takes unbounded losses."""
    folder = tmp_path_factory.mktemp("unlimited")
    kinds = "short_strangle,short_straddle,ratio_spread,naked_put,jade_lizard"
    options = ("--by-strategy", "--top", 2, "--strategy", kinds)
    with pytest.MonkeyPatch.context() as patch:
        make_clean_home(folder, patch)
        patch.setenv("TOMIC_SCAN__METHOD", "thinned")
        done = run("scan", "CRM", "SPY", "--demo", "--json", *options)
    return folder, done


@pytest.fixture
def unlimited(scan_without_bound, monkeypatch):
    """A scan of strategies that can lose without bound, in the working folder."""
    folder, done = scan_without_bound
    enter_home(folder, monkeypatch)
    return done


def test_unlimited_losses_in_the_document(unlimited):
    """Null beside a flag, on stdout and in the file; what is bounded has its number."""
    shown = strict(unlimited.stdout)

    assert unlimited.exit_code == 0
    bounded = {}
    for one in shown["proposals"]:
        bounded.setdefault(one["strategy"], set()).add(one["loss_bounded"])
        assert (one["max_loss"] is not None) is one["loss_bounded"]
    assert bounded["short_strangle"] == bounded["short_straddle"] == {False}
    assert bounded["naked_put"] == {True}
    (path,) = re.findall(r"[^ \n,]*scan_[0-9_]*\.json", unlimited.stderr)
    assert strict(Path(path).read_text(encoding="utf-8")) == shown


def test_unlimited_losses_in_the_rows(unlimited):
    """The cell is empty, and the one beside it says why."""
    (path,) = re.findall(r"[^ \n,]*scan_[0-9_]*\.csv", unlimited.stderr)
    rows = list(csv.DictReader(Path(path).read_text(encoding="utf-8").splitlines()))

    assert {row["loss_bounded"] for row in rows} == {"True", "False"}
    for row in rows:
        assert (row["max_loss"] == "") == (row["loss_bounded"] == "False")
        assert "inf" not in row.values() and "nan" not in row.values()


def test_unlimited_losses_that_were_stored(unlimited):
    """A stored one is shown as it was found, as text and as JSON; the file holds no infinity."""
    one = next(x for x in strict(unlimited.stdout)["proposals"] if not x["loss_bounded"])

    text = run("show", one["id"], "--demo").stdout
    again = strict(run("show", one["id"], "--demo", "--json").stdout)

    assert re.search(r"max profit / loss .* / unlimited", text)
    assert again.pop("ticket")["legs"]
    assert again == one
    with contextlib.closing(sqlite3.connect("data/demo.db")) as db:
        documents = [text for (text,) in db.execute("SELECT document FROM proposals")]
    assert len(documents) == len(strict(unlimited.stdout)["proposals"])
    assert all(strict(text) for text in documents)


def test_unlimited_losses_in_a_report(unlimited):
    """The page says unlimited, and its document is strict JSON."""
    run("report", "day", "--demo", "--html", "day.html")

    page = Path("day.html").read_text(encoding="utf-8")
    embedded = re.search(
        r'<script type="application/json" id="document">(.*?)</script>', page, re.S
    )
    document = strict(embedded[1])
    assert page.count(">unlimited<") >= 1
    losses = [one["loss_bounded"] for one in document["scan"]["proposals"]]
    assert page.count(">unlimited<") == losses.count(False)


@pytest.mark.usefixtures("home")
@pytest.mark.skipif(missing(XLF_FILE) is not None, reason=missing(XLF_FILE) or "")
@pytest.mark.parametrize("form", ["table", "json", "ndjson", "csv"])
def test_recorded_chain_with_unlimited_losses(form):
    """The recorded XLF chain of a closed market is scanned for ratio spreads in every form."""
    options = ("--as-of", "2025-05-18T15:00+00:00", "--format", form, "--no-export")

    found = run("scan", "--chain", DATA / XLF_FILE, "--strategy", "ratio_spread", *options)

    assert found.exit_code == 0, found.stderr
    if form == "table":
        assert "unlimited" in found.stdout
    elif form == "csv":
        assert "False" in {row["loss_bounded"] for row in csv.DictReader(found.stdout.splitlines())}
    else:
        lines = found.stdout.splitlines() if form == "ndjson" else [found.stdout]
        documents = [strict(line) for line in lines]
        proposals = documents if form == "ndjson" else documents[0]["proposals"]
        assert False in [one["loss_bounded"] for one in proposals]


@pytest.mark.usefixtures("home")
@pytest.mark.skipif(missing(SPY_FILE) is not None, reason=missing(SPY_FILE) or "")
def test_a_view_on_the_command_line_stands_beside():
    """It is of every symbol scanned, and changes no score; with a drift of 5 % a year EV moves."""
    options = ("--format", "json", "--no-export", "--strategy", "short_put_spread")
    own = ("--view-vol", "0.9", "--view-drift", "0.05")

    plain, viewed = (
        strict(run("scan", "--chain", DATA / SPY_FILE, *options, *more).stdout)["proposals"]
        for more in ((), own)
    )

    assert [one["score"] for one in viewed] == [one["score"] for one in plain]
    assert {one["view"]["volatility"] for one in viewed} == {0.9}
    assert {one["view"]["drift"] for one in viewed} == {0.05}
    assert all(one["view"]["ev"] != one["ev"] for one in viewed)
    assert {one["view"] for one in plain} == {None}
