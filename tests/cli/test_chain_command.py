"""`tomic chain`: what it prints, writes and refuses, and how it ends."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.command_line import SMALL, inside_gateway, outside_gateway, run, start
from support.recorded_chains import DATA, missing
from tomic.sim import Profile, faults

ROW_FIELDS = [
    "con_id", "expiry", "dte", "strike", "right", "bid", "ask", "last", "close", "iv", "delta",
    "gamma", "vega", "theta", "volume", "open_interest", "parity_deviation", "status",
    "quote_source", "greeks_source", "quoted_at",
]  # fmt: skip
META_FIELDS = {
    "symbol", "spot", "spot_source", "data_type", "as_of", "rate", "expiries", "requested", "ok",
    "gaps", "seconds", "messages",
}  # fmt: skip
VARYING = ("seconds", "messages_per_second", "as_of", "quoted_at")
ORIGINAL_CHAIN = (
    "Expiry,Type,Strike,Bid,Ask,Close,IV,Delta,Gamma,Vega,Theta,Volume,OpenInterest,ParityDeviation"
)
ORIGINAL_OTHER = (
    "Symbol,SpotPrice,HV_30,ATR_14,VIX,Skew,Term_M1_M2,Term_M1_M3,IV_Rank,Implied_Volatility,"
    "IV_Percentile,Avg_Parity_Deviation"
)
SPY_FILE = "tomic_ib_SPY_20250519_2026cest.csv"
XLF_FILE = "tomic_ib_XLF_20250518_sunday_closed.csv"

pytestmark = pytest.mark.usefixtures("home")


def document(*words: object):
    """The JSON of a command that must succeed."""
    result = run("chain", *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout, parse_constant=pytest.fail)


# -- what is refused before anything is connected -------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("chain", ""),
        ("chain", "SP Y"),
        ("chain", "SPY;"),
        ("chain", "SPY", "--dte", "-1"),
        ("chain", "SPY", "--dte", "60:15"),
        ("chain", "SPY", "--dte", "soon"),
        ("chain", "SPY", "--delta", "0.5:-0.5"),
        ("chain", "SPY", "--delta", "-2:2"),
        ("chain", "SPY", "--strike-range", "-10"),
        ("chain", "SPY", "--strike-range", "10q"),
        ("chain", "SPY", "--monthlies", "-1"),
        ("chain", "SPY", "--side", "up"),
        ("chain", "SPY", "--expiries", "some"),
        ("chain", "SPY", "--timeout", "0"),
        ("chain", "SPY", "--json", "--format", "csv"),
        ("chain", "SPY", "--config", "nowhere.toml"),
        ("chain", "SPY", "--demo", "--replay", "x.csv"),
        ("chain",),
    ],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_bad_input_opens_no_connection(words):
    """What cannot be right ends with exit code 2 and a message, and nobody is connected to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)

        result = run(*words, "--port", server.getsockname()[1])

        with pytest.raises(BlockingIOError):
            server.accept()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_a_wrong_configuration_is_named():
    """A key that does not exist is refused with file, table, key and the likely one."""
    Path("tomic.toml").write_text("[chain]\nmonthlys = 3\n", encoding="utf-8")

    result = run("chain", "SPY", "--demo")

    assert result.exit_code == 2
    assert "tomic.toml: [chain] monthlys: unknown key; did you mean monthlies?" in result.stderr


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "does not exist"),
        (b"garbage\n", "not an option chain"),
        (b"Expiry,Type,Strike,Bid,Ask\n20250815,C,many,1,2\n", "line 2"),
        (b'{"schema": "tomic.chain/1", "meta": ', "damaged or cut short"),
        (b'{"schema": "tomic.session/1"}\n{"at": 0.1', "damaged or cut short"),
        (b'{"schema": "tomic.session/9"}\n', "tomic.session/9"),
        (b"\xff\xfe\x00", "CSV"),
    ],
)
def test_a_replay_file_that_cannot_be_used(content, says):
    """A missing or corrupt recording ends with exit code 5 and says what is wrong with it."""
    if content is not None:
        Path("x_20250519.csv").write_bytes(content)

    result = run("chain", "SPY", "--replay", "x_20250519.csv")

    assert result.exit_code == 5
    assert result.stdout == ""
    assert says in result.stderr


def test_errors_are_objects_with_json():
    """With --json the error is an object on stderr, and stdout stays empty."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    result = run("chain", "SPY", "--json", "--port", port)

    error = json.loads(result.stderr.splitlines()[-1])["error"]
    assert result.exit_code == 4
    assert result.stdout == ""
    assert error["code"] == "ib.unreachable"
    assert error["retryable"] is True
    assert str(port) in error["message"]


# -- what is printed ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spy(tmp_path_factory):
    """SPY of the demo market, with its files: the document, stderr and the folder."""
    folder = tmp_path_factory.mktemp("spy")
    result = run("chain", "SPY", "--demo", "--json", "--out", folder)
    assert result.exit_code == 0
    return json.loads(result.stdout, parse_constant=pytest.fail), result.stderr, folder


def test_document(spy):
    """The document has the schema's fields, a row per expiry, strike and right, and no NaN."""
    chain, _, _ = spy

    assert chain["schema"] == "tomic.chain/1"
    assert set(chain["meta"]) >= META_FIELDS
    assert all(list(row) == ROW_FIELDS for row in chain["rows"])
    keys = [(row["expiry"], row["strike"], row["right"]) for row in chain["rows"]]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys) == chain["meta"]["requested"] == 280
    assert {row["expiry"] for row in chain["rows"]} == set(chain["meta"]["expiries"])
    assert chain["meta"]["ok"] + sum(chain["meta"]["gaps"].values()) == 280
    assert {row["right"] for row in chain["rows"]} == {"C", "P"}


def test_demo_is_complete(spy):
    """Every listed option of the demo has quotes, IV and Greeks, and says where they are from."""
    chain, _, _ = spy
    listed = [row for row in chain["rows"] if row["status"] != "unknown_contract"]

    assert len(listed) == chain["meta"]["ok"] == 248
    for row in listed:
        assert 0.0 < row["bid"] <= row["ask"]
        assert 0.05 < row["iv"] < 0.6
        assert 0.0 < abs(row["delta"]) < 1.0
        assert (row["quote_source"], row["greeks_source"]) == ("live", "ib")
    for row in chain["rows"]:
        if row["status"] == "unknown_contract":
            assert [row[name] for name in ("con_id", "bid", "ask", "iv", "delta")] == [None] * 5


def test_summary(spy):
    """One line on stderr counts contracts and gaps and says where the files went."""
    _, stderr, folder = spy
    summary = stderr.splitlines()[-1]

    assert re.fullmatch(
        r"SPY: 280 contracts · 248 ok · gaps: 32 unknown_contract · \d+\.\d s · \d+ messages, "
        r"\d+\.\d/s · spot 590\.16 \(last\) · live · .*",
        summary,
    )
    for file in folder.rglob("*_SPY_*.csv"):
        assert str(file) in summary


def test_files(spy):
    """The export has the original's columns first, then ours, and the demo's first rows."""
    chain, _, folder = spy
    (options,) = folder.glob("20*/option_chain_SPY_*.csv")
    (other,) = folder.glob("20*/other_data_SPY_*.csv")
    header, *lines = options.read_text(encoding="utf-8").splitlines()

    stamp = r"\d{8}_\d{6}_\d{6}"
    assert re.fullmatch(rf"option_chain_SPY_{stamp}\.csv", options.name)
    assert re.fullmatch(rf"other_data_SPY_{stamp}\.csv", other.name)
    assert header.startswith(f"{ORIGINAL_CHAIN},Status,QuoteSource,GreeksSource,Spot,")
    assert len(lines) == chain["meta"]["ok"]
    assert [line.split(",")[:8] for line in lines[:3]] == [
        ["20261211", "C", "581.0", "16.73", "16.83", "16.55", "0.187384", "0.665618"],
        ["20261211", "P", "581.0", "6.15", "6.18", "6.5", "0.190663", "-0.34073"],
        ["20261211", "C", "582.0", "16.01", "16.09", "15.83", "0.186245", "0.652371"],
    ]
    assert other.read_text(encoding="utf-8").startswith(f"{ORIGINAL_OTHER},")
    assert not list(folder.rglob(".*"))


def test_same_seed_same_bytes():
    """Two runs give the same JSON but for the clock and the pace."""

    def plain() -> str:
        text = run("chain", "SPY", "--demo", "--json", *SMALL).stdout
        return re.sub(rf'"({"|".join(VARYING)})": [^\n]*', "", text)

    first, second = plain(), plain()

    assert len(first) > 1000
    assert first == second


def test_several_symbols():
    """Several symbols make an array, in the order asked, also when only one of them is known."""
    both = document("QQQ", "SPY", "--demo", *SMALL)
    one = run("chain", "SPY", "SPYY", "--demo", "--json", *SMALL)

    assert [chain["meta"]["symbol"] for chain in both] == ["QQQ", "SPY"]
    assert one.exit_code == 3
    assert [chain["meta"]["symbol"] for chain in json.loads(one.stdout)] == ["SPY"]
    assert "did you mean SPY" in json.loads(one.stderr.splitlines()[-1])["error"]["message"]


def test_ndjson():
    """NDJSON has a row a line, with its symbol."""
    result = run("chain", "SPY", "--demo", "--format", "ndjson", *SMALL)

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert {row["symbol"] for row in rows} == {"SPY"}
    assert [name for name in rows[0] if name != "symbol"] == ROW_FIELDS


def test_stdout_is_data_and_stderr_is_for_people():
    """The table goes to stdout; greeting, progress and summary to stderr, and -q drops them."""
    loud = run("chain", " spy ", "--demo", "--side", "puts", *SMALL)
    quiet = run("chain", "SPY", "--demo", "--delta", "-0.5:0.5", "--format", "csv", "-q", *SMALL)

    assert "demo market" in loud.stderr
    assert "SPY: spot 590.16" in loud.stderr
    assert "6 contracts ·" in loud.stderr
    assert "contracts ·" not in loud.stdout
    assert loud.stdout.startswith("SPY 590.16 (last) · live · 2026-11-20 20:00:")
    assert quiet.stderr == ""
    assert quiet.stdout.startswith(ORIGINAL_CHAIN)
    rows = list(csv.DictReader(io.StringIO(quiet.stdout)))
    assert {row["Status"] for row in rows} == {"ok"}
    assert all(abs(float(row["Delta"])) <= 0.5 for row in rows)
    assert not Path("exports").exists()


# -- which options ---------------------------------------------------------------------------


def test_delta_and_side():
    """Rows outside the delta range are marked and counted; one side asks for one right only."""
    chain = document("SPY", "--demo", "--delta", "-0.5:0.5", "--side", "calls", *SMALL)

    marked = [row for row in chain["rows"] if row["status"] == "delta_out_of_range"]
    assert chain["meta"]["gaps"]["delta_out_of_range"] == len(marked) > 0
    assert all(row["delta"] > 0.5 for row in marked)
    assert {row["right"] for row in chain["rows"]} == {"C"}


def test_all_expiries():
    """`--expiries all` brings the dailies too; both ends of --dte hold."""
    words = ("SPY", "--demo", "--dte", "3:14", "--strike-range", "1", "--no-export")
    some, every = document(*words), document(*words, "--expiries", "all")

    assert some["meta"]["expiries"] == ["2026-11-27", "2026-12-04"]
    assert set(some["meta"]["expiries"]) < set(every["meta"]["expiries"])
    assert "2026-11-24" in every["meta"]["expiries"]
    assert all(3 <= row["dte"] <= 14 for row in every["rows"])


def test_days_of_the_command_replace_those_of_the_file():
    """`--dte 100` takes away an upper bound that the configuration has."""
    Path("tomic.toml").write_text("[chain]\nmax_dte = 30\n", encoding="utf-8")

    chain = document("SPY", "--demo", "--dte", "100", *SMALL)

    assert min(row["dte"] for row in chain["rows"]) >= 100


def test_trading_class():
    """An index has a PM class by default and its AM class on request."""
    evening = document("SPX", "--demo", *SMALL[:4], "--strike-range", "10", "--no-export")
    morning = document(
        "SPX", "--demo", *SMALL[:4], "--strike-range", "10", "--no-export",
        "--trading-class", "SPX",
    )  # fmt: skip

    assert evening["meta"]["trading_class"] == "SPXW"
    assert morning["meta"]["trading_class"] == "SPX"
    assert evening["meta"]["underlying"]["sec_type"] == "IND"


def test_share_class(tmp_path):
    """BRK.B keeps its dot in documents and file names."""
    chain = document("brk.b", "--demo", *SMALL[:4], "--strike-range", "10", "--out", tmp_path)

    assert chain["meta"]["symbol"] == "BRK.B"
    assert [file.name[:19] for file in tmp_path.rglob("option*.csv")] == ["option_chain_BRK.B_"]


def test_unknown_symbol():
    """An unknown symbol ends with exit code 5 and the symbol that was perhaps meant."""
    result = run("chain", "SPYY", "--demo", *SMALL)

    assert result.exit_code == 5
    assert "IB knows no symbol SPYY; did you mean SPY?" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--strike-range", "0.1"), "the nearest are 590 and 591"),
        (("--dte", "2:3"), "2026-11-23 (3 days, daily)"),
        (("--trading-class", "SPYQ"), "SPY"),
    ],
)
def test_empty_window(words, says):
    """Where nothing is in the window, the message says what exists nearby."""
    result = run("chain", "SPY", "--demo", "--no-export", *words)

    assert result.exit_code in (2, 5)
    assert says in result.stderr


# -- files -----------------------------------------------------------------------------------


def test_exports_by_default():
    """Without options the files go to exports/YYYYMMDD."""
    run("chain", "SPY", "--demo", *SMALL[:-1])

    names = {file.name[:12] for file in Path("exports").glob("20*/*.csv")}
    assert {"option_chain", "other_data_S"} <= names


def test_a_wrong_folder_costs_no_connection():
    """What is named with --out is tried before anything is asked, and refused with exit code 2."""
    Path("file").write_text("in the way", encoding="utf-8")

    result = run("chain", "SPY", "--demo", *SMALL[:-1], "--out", "file/deeper")
    one_file = run("chain", "SPY", "--demo", *SMALL[:-1], "--out", "spy.csv")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "no folder that can be written to" in result.stderr.splitlines()[-1]
    assert (one_file.exit_code, one_file.stdout) == (2, "")
    assert "name a folder" in one_file.stderr.splitlines()[-1]


def test_a_folder_that_cannot_be_written():
    """It is refused before anything is asked: nobody waits for what cannot be kept."""
    Path("file").write_text("in the way", encoding="utf-8")
    Path("tomic.toml").write_text('[export]\ndir = "file"\n', encoding="utf-8")

    result = run("chain", "SPY", "QQQ", "--demo", *SMALL[:-1])

    assert result.exit_code == 5
    assert result.stdout == ""
    assert "cannot be written" in result.stderr.splitlines()[-1]


# -- recorded chains -------------------------------------------------------------------------


def quotes(name: str) -> dict[tuple[str, float, str], dict[str, str]]:
    """The last row of each option in a recorded file."""
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {(row["Expiry"], float(row["Strike"]), row["Type"]): row for row in rows}


def number(text: str) -> float | None:
    return None if text in ("", "-1", "-1.0") else float(text)


@pytest.mark.skipif(missing(SPY_FILE) is not None, reason=missing(SPY_FILE) or "")
def test_recorded_spy():
    """SPY as recorded: 88 options within ten points, all quoted, and the file's own quotes."""
    chain = document("SPY", "--replay", DATA / SPY_FILE, "--no-export")
    source = quotes(SPY_FILE)

    assert chain["meta"]["spot_source"] == "parity"
    assert chain["meta"]["spot"] == pytest.approx(593.6, abs=0.6)
    listed = [row for row in chain["rows"] if row["status"] != "unknown_contract"]
    assert len(listed) == chain["meta"]["ok"] == 88
    for row in listed:
        recorded = source[row["expiry"].replace("-", ""), row["strike"], row["right"]]
        assert (row["bid"], row["ask"]) == (number(recorded["Bid"]), number(recorded["Ask"]))
        assert row["close"] is row["volume"] is row["open_interest"] is None
        assert row["quote_source"] == "replay"


@pytest.mark.skipif(missing(XLF_FILE) is not None, reason=missing(XLF_FILE) or "")
def test_recorded_closed_xlf():
    """XLF on a Sunday: frozen, 120 options, 23 without a bid, and nothing made up."""
    chain = document("XLF", "--replay", DATA / XLF_FILE, "--no-export")
    source = quotes(XLF_FILE)

    assert chain["meta"]["data_type"] == "frozen"
    assert chain["meta"]["spot"] == pytest.approx(51.6, abs=0.3)
    assert len(chain["rows"]) == 120
    assert sum(row["bid"] is None for row in chain["rows"]) == 23
    for row in chain["rows"]:
        recorded = source[row["expiry"].replace("-", ""), row["strike"], row["right"]]
        assert (row["bid"], row["ask"]) == (number(recorded["Bid"]), number(recorded["Ask"]))
        assert row["close"] is row["volume"] is row["open_interest"] is None
        if recorded["IV"] and float(recorded["IV"]) > 0.0 and row["bid"] is not None:
            # Also where rounding put delta beyond -1 and gamma below 0.
            assert row["iv"] == pytest.approx(float(recorded["IV"]))
            assert row["delta"] == pytest.approx(float(recorded["Delta"]))


@pytest.mark.parametrize("form", ["csv", "json"])
def test_own_files_replay(form, spy):
    """What was exported, as CSV or as JSON, replays with its quotes."""
    chain, _, folder = spy
    if form == "csv":
        (file,) = folder.glob("20*/option_chain_SPY_*.csv")
    else:
        file = folder / "chain.json"
        file.write_text(json.dumps(chain), encoding="utf-8")

    again = document("SPY", "--replay", file, "--no-export")

    fields = ("expiry", "strike", "right", "bid", "ask", "volume", "open_interest")
    listed = [
        [row[name] for name in fields] for row in chain["rows"] if row["status"] == "ok"
    ]  # fmt: skip
    assert [[row[name] for name in fields] for row in again["rows"] if row["bid"]] == listed
    assert math.isclose(again["meta"]["spot"], chain["meta"]["spot"], abs_tol=0.5)


# -- how it ends -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words", "code", "says"),
    [
        (faults.Silent(share=0.3), (), 3, "timeout"),
        (faults.Silent(on="market_data"), (), 5, ""),
        (faults.Silent(on="contract_details"), (), 6, "no answer within"),
        (faults.Silent(on="option_params"), (), 6, "no answer within"),
        (faults.NotSubscribed(), ("--realtime-only",), 5, "subscribed"),
        (faults.Competing(), (), 4, "another session"),
        (faults.CloseOnConnect(), (), 4, "closed the connection at once"),
        (faults.NoHandshake(), (), 4, "does not answer the API handshake"),
        (faults.NoNextValidId(), (), 4, "never sent nextValidId"),
        (faults.ClientIdInUse(ids=tuple(range(100, 132))), (), 4, "100 to 131"),
        (faults.ClientIdInUse(ids=(100, 101)), (), 0, "client id 101 is in use"),
        (faults.NotSubscribed(), (), 0, "delayed"),
        (faults.NoGreeks(), (), 0, "ok"),
        (faults.DropAfter(messages=12), (), 0, "reconnected"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, faults.Fault) else str(value),
)
def test_exit_codes(fault, words, code, says):
    """Each way of ending has its exit code, and stderr says why."""
    mute = isinstance(fault, faults.NoHandshake | faults.NoNextValidId)
    toml = (
        f"[ib]\nconnect_timeout_s = {0.5 if mute else 60.0}\n"
        "request_timeout_s = 1.5\nparams_timeout_s = 1.5\n"
        "reconnect_pauses_s = [0.05]\n"
        "[chain]\nsilent_s = 0.1\nquote_timeout_s = 0.5\n"
        "[market]\nspot_timeout_s = 0.4\n[web]\nenabled = false\n"
    )
    Path("tomic.toml").write_text(toml, encoding="utf-8")
    with inside_gateway(fault) as gateway:
        result = run("chain", "SPY", "--port", gateway.port, "--timeout", "20", *SMALL, *words)

    assert result.exit_code == code, result.stderr
    assert says in result.stderr
    assert gateway.leaked == 0
    assert "Traceback" not in result.stderr


def test_interrupt_exports_what_is_there(tmp_path):
    """Ctrl-C writes the chain as far as it came, whole files only, and ends with 130."""
    running = start("chain", "SPY", "--demo", "--paced", "--json", cwd=tmp_path)
    for line in running.stderr:
        if "first of" in line:
            running.send_signal(signal.SIGINT)
            break
    stdout, stderr = running.communicate(timeout=120)

    chain = json.loads(stdout)
    statuses = {row["status"] for row in chain["rows"]}
    assert running.returncode == 130
    assert "ok" in statuses
    assert statuses & {"timeout", "lost"}
    assert "Traceback" not in stderr
    files = [path for path in (tmp_path / "exports").rglob("*") if path.is_file()]
    assert {file.suffix for file in files} == {".csv"}
    (options,) = [file for file in files if file.name.startswith("option_chain")]
    assert options.read_text(encoding="utf-8").endswith("\n")


@pytest.mark.parametrize("lines", [1, 2], ids=["while it starts", "while it connects"])
def test_interrupt_before_anything_arrives(tmp_path, lines):
    """Ctrl-C while the gateway is still silent ends at once with 130 and writes nothing."""
    with outside_gateway(faults.NoNextValidId(), profile=Profile.instant()) as gateway:
        running = start("chain", "SPY", "--port", gateway.port, cwd=tmp_path)
        for _ in range(lines):
            running.stderr.readline()
        running.send_signal(signal.SIGINT)
        stdout, stderr = running.communicate(timeout=120)

    # A Python that was interrupted while it executed a text, as dataclasses do, ends by the
    # signal itself; a shell says 130 all the same.
    assert running.returncode in (130, -signal.SIGINT)
    assert stdout == ""
    assert "Traceback" not in stderr
    assert not (tmp_path / "exports").exists()


def test_reader_that_leaves_early(tmp_path):
    """`tomic chain … | head` ends quietly."""
    running = start("chain", "SPY", "--demo", "-q", *SMALL, cwd=tmp_path)
    running.stdout.close()
    running.wait(timeout=120)

    assert running.stderr.read() == ""
    running.stderr.close()


def test_something_is_said_before_the_slow_imports(tmp_path):
    """The first line comes before numpy and ib_async are imported; pandas never is."""
    code = (
        "import sys\n"
        "sys.argv = ['tomic', 'chain', 'SPY', '--port', '1']\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('numpy', 'pandas', 'scipy', 'ib_async'):\n"
        "            print('importing', name, file=sys.stderr, flush=True)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "from tomic.cli.app import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    lines = done.stderr.splitlines()
    assert done.returncode == 4
    assert lines[0].endswith("chain SPY --port 1")
    assert lines[1] == "connecting to 127.0.0.1:1"
    assert any(line.startswith("importing numpy") for line in lines)
    assert not any(line.startswith("importing pandas") for line in lines)
