"""Output that cannot be written as it is, files that cannot be reached: never a traceback."""

from __future__ import annotations

import gzip
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from support import forked
from support.command_line import SMALL, inside_gateway, run
from tomic.cli import streams
from tomic.present.chain import PIPED_WIDTH, chain_table

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="redirects of a POSIX shell")

CHAIN = ("chain", "SPY", "--demo", *SMALL)
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


QUICK = {"explain", "config", "--help", "--version"}
"""Commands that import little, and are always started anew."""


def shell(
    tmp_path: Path, *words: object, redirect: str = "", before: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """
    `tomic` as a POSIX shell starts it, without any configuration of this machine.

    It is a fork of a process that has imported it, unless the interpreter's own start counts.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOMIC_")}
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    anew = before or words[0] in QUICK or any(name.startswith("PYTHON") for name in environment)
    program = [sys.executable, "-m", "tomic"] if anew else forked.program(shell.server)
    line = shlex.join([*program, *map(str, words)])
    return subprocess.run(
        ["sh", "-c", f"{before} {line} {redirect}"],
        cwd=tmp_path,
        env=clean | home | environment,
        capture_output=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module", autouse=True)
def forking(tmp_path_factory):
    """The process that commands are forks of."""
    with forked.server(tmp_path_factory.mktemp("forks")) as path:
        shell.server = path
        yield


@pytest.fixture(scope="module", autouse=True)
def of_a_silent_pipe(tmp_path_factory):
    """
    The replay of a pipe that nobody writes into, begun before any test of the module.

    It is given up after half a minute, in which the others can run.
    """
    if not hasattr(os, "mkfifo"):
        yield None
        return
    folder = tmp_path_factory.mktemp("pipe")
    os.mkfifo(folder / "pipe.csv")
    # The process that forks serves one command at a time.
    words = [sys.executable, "-m", "tomic", "chain", "SPY", "--replay", "pipe.csv"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def assert_no_traceback(done: subprocess.CompletedProcess[bytes]) -> None:
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    assert b"Exception ignored" not in done.stderr, done.stderr.decode()


@pytest.fixture
def denied(tmp_path) -> tuple[Path, str]:
    """A folder that may not be looked into, and what takes the right of root to do so anyway."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "tomic.toml").write_text("")
    before = ""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and there is no setpriv to forbid it")
        before = "setpriv --bounding-set=-dac_override,-dac_read_search"
    folder.chmod(0)
    yield folder, before
    folder.chmod(0o700)


# -- charsets ------------------------------------------------------------------------------


CHARSETS = ["cp1252", "latin-1", "ascii", "cp437", "cp1250", "utf-8"]


@pytest.fixture(scope="module")
def table(demo_chain) -> str:
    """A chain of the demo as `tomic chain` prints it."""
    return chain_table(demo_chain, width=PIPED_WIDTH)[0]


def printed(folder: Path, text: str, charset: str, *, unbuffered: bool = False) -> str:
    """What a file gets of *text*, printed over streams such as Python makes for that charset."""
    file = folder / "printed"
    raw = io.FileIO(file, "w")
    buffer = raw if unbuffered else io.BufferedWriter(raw)
    given = io.TextIOWrapper(buffer, encoding=charset, write_through=unbuffered)
    with pytest.MonkeyPatch.context() as patch:
        # The others are pytest's own, and none of this test's.
        for name, stream in (
            ("stdin", io.StringIO()),
            ("stdout", given),
            ("stderr", io.StringIO()),
        ):
            patch.setattr(sys, name, stream)
        streams.prepare()
        typer.echo(text, nl=False)
        sys.stdout.flush()
        # They would be closed with it, the one below for the next test too.
        sys.stdout.detach().detach()
    given.close()
    assert streams.take_problem() == ""
    return in_charset(file.read_bytes(), charset)


def in_charset(output: bytes, charset: str) -> str:
    """Text as it was printed; Click takes UTF-8 for what says that it takes ASCII."""
    return output.decode("utf-8" if charset == "ascii" else charset)


@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_table_in_any_charset(tmp_path, table, charset, unbuffered):
    """Signs that a charset lacks become letters of one width; columns stay where they were."""
    text = printed(tmp_path, table, charset, unbuffered=unbuffered).splitlines()

    assert [len(line) for line in text] == [len(line) for line in table.splitlines()]
    assert_heads_are_spelled(text, charset)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("charset", "unbuffered"), [("cp1252", "1"), ("ascii", "")])
def test_a_table_of_a_process_in_any_charset(tmp_path, charset, unbuffered):
    """The streams that Python gives a process are taken in the same way."""
    encoding = {"PYTHONIOENCODING": charset, "PYTHONUNBUFFERED": unbuffered}

    done = shell(tmp_path, *CHAIN, **encoding)

    assert_no_traceback(done)
    assert done.returncode == 0
    text = in_charset(done.stdout, charset).splitlines()
    whole = run(*CHAIN)
    assert [len(line) for line in text] == [len(line) for line in whole.stdout.splitlines()]
    assert_heads_are_spelled(text, charset)


def assert_heads_are_spelled(text: list[str], charset: str) -> None:
    if charset in ("cp1252", "latin-1"):
        assert " D " in text[3]
        assert " G " in text[3]


def test_json_keeps_its_letters_in_any_charset(tmp_path):
    """What a charset lacks is an escape of JSON, so nothing is lost; beyond 16 bits as a pair."""
    note = "Δ neutral, 100 € 😀"
    shell(tmp_path, "journal", "add", "--reason", note, "--offline", "--price", "1.25",
          "-1 SPY 2027-01-15 560P")  # fmt: skip
    plain = shell(tmp_path, "journal", "show", "1", "--json", PYTHONIOENCODING="utf-8")

    for charset in ("cp1252", "latin-1", "cp437"):
        done = shell(tmp_path, "journal", "show", "1", "--json", PYTHONIOENCODING=charset)
        assert_no_traceback(done)
        assert json.loads(done.stdout.decode(charset)) == json.loads(plain.stdout)


# -- full, closed --------------------------------------------------------------------------


@FULL
@pytest.mark.parametrize(
    "words", [CHAIN, ("explain", "delta"), ("--help",), ("--version",), ("config", "show")]
)
def test_a_full_disk_is_said(tmp_path, words):
    """Lost output is an error with one line, whatever the command would have ended with."""
    done = shell(tmp_path, *words, redirect="> /dev/full")

    assert_no_traceback(done)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines()[-1] == (
        "tomic: the output cannot be written (No space left on device); it is not whole"
    )


def test_a_limit_on_files_is_said(tmp_path):
    """As for a full disk; what had room is there."""
    done = shell(
        tmp_path, "explain", "--json", redirect="> out.json", before="ulimit -f 1; trap '' XFSZ;"
    )

    assert_no_traceback(done)
    assert (done.returncode, b"File too large" in done.stderr) == (1, True)


@pytest.mark.parametrize("words", [CHAIN, ("explain",), ("--help",)])
def test_a_reader_that_has_gone(tmp_path, words):
    """A pipe that nobody reads ends a command quietly."""
    done = shell(tmp_path, *words, redirect="| true")

    assert_no_traceback(done)
    assert b"tomic: " not in done.stderr


@FULL
def test_what_people_read_may_be_lost(tmp_path):
    """Nobody reads progress on a full stderr, and the chain is there."""
    done = shell(tmp_path, *CHAIN, redirect="2> /dev/full")

    assert done.returncode == 0
    assert b"strike" in done.stdout


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [CHAIN, ("explain", "delta"), ("portfolio", "--demo")])
def test_closed_streams(tmp_path, words, redirect):
    """Who closes a stream wants nothing of it, and no file that is opened next takes its place."""
    done = shell(tmp_path, *words, redirect=redirect)

    assert_no_traceback(done)
    assert done.returncode in (0, 10)


# -- folders and files ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("config", "show", "--config", "closed/tomic.toml"), 2),
        (("chain", "SPY", "--demo", "--out", "closed/below"), 2),
        (("scan", "SPY", "--demo", "--universe", "closed/u.txt"), 5),
        (("chain", "SPY", "--replay", "closed/x.csv"), 5),
        (("record", "closed/bug.jsonl", *CHAIN), 2),
        (("report", "journal", "--demo", "--html", "closed/x.html"), 5),
        (("store", "backup", "closed/b.db"), 1),
        (("config", "init", "closed/other.toml"), 2),
    ],
)
def test_a_folder_that_may_not_be_read(tmp_path, denied, words, code):
    """One line that names it, and the exit code of its kind."""
    _, before = denied

    done = shell(tmp_path, *words, before=before)

    assert_no_traceback(done)
    assert done.returncode == code, done.stderr.decode()
    assert b"tomic: " in done.stderr


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("TOMIC_STORE__PATH", ("journal", "list")),
        ("TOMIC_CONFIG", ("journal", "list")),
        ("XDG_CONFIG_HOME", ("journal", "list")),
        ("TOMIC_LOG__FILE", CHAIN),
    ],
)
def test_a_setting_in_a_folder_that_may_not_be_read(tmp_path, denied, key, words):
    """A store, a log or a configuration out of reach is no empty one."""
    folder, before = denied

    done = shell(tmp_path, *words, before=before, **{key: str(folder / "tomic" / "config.toml")})

    assert_no_traceback(done)
    assert done.returncode in (1, 2), done.stderr.decode()


@pytest.mark.parametrize("name", ["x" * 300, "y" * 300 + "/z", "~nobody-of-that-name/x"])
def test_names_that_no_file_can_have(tmp_path, name):
    """A name that is too long, and a home that does not exist, are said."""
    for words in (
        ("config", "show", "--config", name),
        ("chain", "SPY", "--demo", "--out", name + ".d"),
        ("chain", "SPY", "--replay", name),
        ("store", "import", name),
    ):
        done = shell(tmp_path, *words)
        assert_no_traceback(done)
        assert done.returncode in (0, 2, 3, 5), done.stderr.decode()


def test_a_working_folder_that_was_deleted(tmp_path):
    """A job whose configuration is named whole runs from wherever cron has left it."""
    (tmp_path / "tomic.toml").write_text('[jobs.t]\nrun = ["explain delta"]\n')
    gone = "mkdir gone; cd gone; rmdir ../gone;"

    job = shell(tmp_path, "run", "t", "--config", tmp_path / "tomic.toml", before=gone)
    chain = shell(tmp_path, *CHAIN[:-1], "--out", "here", before=gone)

    assert_no_traceback(job)
    assert job.returncode == 0, job.stderr.decode()
    assert_no_traceback(chain)
    assert chain.returncode == 2


@FULL
def test_a_log_on_a_full_disk(tmp_path):
    """The log is given up with a note; the command ends as it would have."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "tomic.log").symlink_to("/dev/full")

    done = shell(tmp_path, *CHAIN, "-vv", TOMIC_LOG__FILE="logs/tomic.log")

    assert_no_traceback(done)
    assert done.returncode == 0
    assert done.stderr.count(b"gets no further lines of the log") == 1


@pytest.mark.parametrize("file", [".", "tomic.toml/below.log"])
def test_a_log_that_cannot_be(tmp_path, file):
    """A folder, or a file below a file, is a wrong setting."""
    (tmp_path / "tomic.toml").write_text("")

    done = shell(tmp_path, *CHAIN, TOMIC_LOG__FILE=file)

    assert_no_traceback(done)
    assert done.returncode == 2
    assert b"tomic: log.file: " in done.stderr


@FULL
def test_devices_are_written_into_and_not_replaced(tmp_path):
    """A report into /dev/full is an error, one into /dev/null is gone; both stay devices."""
    full = shell(tmp_path, "report", "journal", "--demo", "--html", "/dev/full")
    null = shell(tmp_path, "report", "journal", "--demo", "--html", "/dev/null")

    assert_no_traceback(full)
    assert (full.returncode, null.returncode) == (5, 0)
    assert Path("/dev/full").is_char_device()
    assert Path("/dev/null").is_char_device()


def test_a_full_disk_under_the_store_keeps_its_reason(tmp_path):
    """SQLite rolls back by itself on a full disk; the message is about the disk."""
    shell(tmp_path, "journal", "add", "--offline", "--price", "1.25", "-1 SPY 2027-01-15 560P")

    done = shell(tmp_path, "journal", "note", "1", "x" * 9000, before="ulimit -f 2; trap '' XFSZ;")

    assert_no_traceback(done)
    assert done.returncode == 1
    assert b"disk has room" in done.stderr


# -- words and files that are no UTF-8 -----------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("journal", "note", "1", "caf\udce9"),
        ("journal", "list", "--symbol", "S\udcff"),
        ("scan", "SPY", "--demo", "--strategy", "\udcff"),
        ("show", "\udcff", "--demo"),
        ("explain", "\udcff"),
        ("vol", "\udcff", "--demo"),
        ("config", "set", "ib.host", "\udcff"),
    ],
)
def test_words_that_are_no_utf8(tmp_path, words):
    """They are refused before they are stored, looked up or printed."""
    done = shell(tmp_path, *words)

    assert_no_traceback(done)
    assert done.returncode in (2, 5), done.stderr.decode()


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (("scan", "SPY", "--demo", "--universe"), b"SPY\nCAF\xc9\n"),
        (("store", "import"), b"symbol,earnings\rSPY,0001-01-01\r"),
        (("store", "import"), b"symbol,earnings\nSPY,9999-12-31\n"),
        (("store", "import"), b"symbol,earnings\nSPY," + b"2" * 200_000 + b"\n"),
        (("chain", "SPY", "--replay"), b"[" * 100_000),
        (("chain", "SPY", "--replay"), b"\x1f\x8b\x08\x00" + b"\xff" * 99),
        (("chain", "SPY", "--replay"), gzip.compress(b"no session", mtime=0)),
        (("store", "check"), b"\xff\xfe\x00"),
    ],
)
def test_odd_files_are_named(tmp_path, words, content):
    """Each ends with a line that names the file."""
    file = tmp_path / "odd.file"
    file.write_bytes(content)

    done = shell(tmp_path, *words, file)

    assert_no_traceback(done)
    assert done.returncode in (2, 5), (done.returncode, done.stderr.decode())
    assert b"odd.file" in done.stderr


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("SECTORS", b"symbol,sector\nSPY\n"),
        ("SECTORS", b"symbol,sector\n" + b"S" * 200_000 + b",x\n"),
        ("SECTORS", b"symbol,sector\nS Y,x\n"),
        ("PINS", b"[" * 100_000),
        ("PINS", b"\xff"),
    ],
)
def test_odd_files_of_the_settings_are_named(tmp_path, key, content):
    """A file that only the settings name ends with a line that names it, too."""
    (tmp_path / "odd.file").write_bytes(content)

    done = shell(tmp_path, "portfolio", "--demo", **{f"TOMIC_PORTFOLIO__{key}": "odd.file"})

    assert_no_traceback(done)
    assert done.returncode == 5, done.stderr.decode()
    assert b"odd.file" in done.stderr


def test_lines_may_end_as_on_an_old_mac(tmp_path):
    """Excel of the Mac ends lines with a carriage return alone."""
    file = tmp_path / "earnings.csv"
    file.write_bytes(b"symbol,earnings\rSPY,2026-12-01\rQQQ,2026-12-02\r")

    done = shell(tmp_path, "store", "import", file)

    assert (done.returncode, b"2 earnings dates" in done.stderr) == (0, True), done.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
def test_a_pipe_that_nobody_writes_into_keeps_nobody_waiting(of_a_silent_pipe):
    """Waiting there, no signal would reach the program."""
    _, stderr = of_a_silent_pipe.communicate(timeout=300)

    done = subprocess.CompletedProcess((), of_a_silent_pipe.returncode, b"", stderr)
    assert_no_traceback(done)
    assert done.returncode == 5


# -- account numbers -----------------------------------------------------------------------


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("account", ["DUK1234567", "I7654321", "XY-4711-0815"])
def test_logs_show_no_account(account):
    """With -vv every message is logged, those that name the account too."""
    with inside_gateway(accounts=(account,)) as gateway:
        done = run("portfolio", "--port", gateway.port, "-vv")

    assert done.exit_code in (0, 3, 10), done.stderr
    assert "<<< 15," in done.stderr
    assert account not in done.stderr
