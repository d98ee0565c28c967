"""What a refusal says: file or variable, table, key and remedy."""

from __future__ import annotations

import pytest

from clean_home import refusal, write


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ib]\nprot = 1", "tomic.toml: [ib] prot: unknown key; did you mean port?"),
        (
            "[chain]\nmonthlys = 1",
            "tomic.toml: [chain] monthlys: unknown key; did you mean monthlies?",
        ),
        ("[chian]\nmin_dte = 1", "tomic.toml: [chian]: unknown table; did you mean [chain]?"),
        (
            "[ib]\nmonthlies = 1",
            "tomic.toml: [ib] monthlies: unknown key; did you mean [chain] monthlies?",
        ),
        ("port = 1", "tomic.toml: port: unknown key; did you mean [ib] port?"),
        (
            "[ib]\nport = 70000",
            "tomic.toml: [ib] port: must be less than or equal to 65535, got 70000",
        ),
        ("[ib]\nport = 'x'", "tomic.toml: [ib] port: must be a valid integer, got 'x'"),
        ("[ib]\nport = true", "tomic.toml: [ib]: port must be a number, got true"),
        ("ib = 5", "tomic.toml: [ib]: must be a table"),
        (
            "[limits]\nlines = 91",
            "tomic.toml: [limits] lines: must be less than or equal to 90, got 91",
        ),
        ("[scan]\nmin_pos = nan", "tomic.toml: [scan] min_pos: must be a finite number, got nan"),
        (
            "[score.weights]\nposs = 1.0",
            "tomic.toml: [score.weights] poss: unknown key; did you mean pos?",
        ),
        (
            "[portfolio.stress]\nspot_steps = 40",
            "tomic.toml: [portfolio.stress] spot_steps: must be odd, got 40",
        ),
        (
            "[journal.exits_of.iron_condor]\nstpo = 1.0",
            "tomic.toml: [journal.exits_of.iron_condor] stpo: unknown key; did you mean stop?",
        ),
        ("[jobs.night]\nlog = 'x'", "tomic.toml: [jobs.night] run: must be given"),
        (
            "[market]\nsymbols = ['SP Y']",
            "tomic.toml: [market] symbols.0: 'SP Y' is not a ticker symbol",
        ),
        (
            "[chain]\nstrike_range = '10x'",
            "tomic.toml: [chain] strike_range: '10x' is no strike range; "
            "write 10 (points), 5% or 2s (sigmas)",
        ),
        (
            "[chain]\nmin_dte = 20\nmax_dte = 10",
            "tomic.toml: [chain]: max_dte must be >= min_dte, got 10 with min_dte 20",
        ),
    ],
)
def test_message_names_file_table_key_and_remedy(text, message):
    """A person can mend the file from the message alone."""
    write("tomic.toml", text)

    assert refusal() == message


def test_every_fault_is_listed():
    """Several faults give several lines, so that one edit mends all."""
    write("tomic.toml", "[ib]\nprot = 1\nport = 0\n[foo]\n")

    lines = refusal().splitlines()

    assert len(lines) == 3
    assert lines[-1] == "tomic.toml: [foo]: unknown table"


def test_broken_toml_names_the_line():
    """The place of a syntax error is said."""
    write("tomic.toml", "[ib]\nport == 1\n")

    assert refusal() == "tomic.toml: invalid value (at line 2, column 7)"


def test_unreadable_files_are_named(tmp_path):
    """Bytes that are no UTF-8 and a folder in place of a file give a ConfigError."""
    file = tmp_path / "latin.toml"
    file.write_bytes(b"[ib]\nhost = '\xe9'\n")

    assert refusal(file) == f"{file}: not UTF-8 at byte 13"
    assert "no such file" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TOMIC_IB__PROT", "1", "TOMIC_IB__PROT: unknown key; did you mean TOMIC_IB__PORT?"),
        ("TOMIC_IB__PORT", "x", "TOMIC_IB__PORT: must be a valid integer, got 'x'"),
        ("TOMIC_IB_PORT", "1", "TOMIC_IB_PORT: unknown setting; did you mean TOMIC_IB__PORT?"),
        ("TOMIC_CHIAN__SIDE", "x", "TOMIC_CHIAN__SIDE: unknown section; did you mean TOMIC_CHAIN?"),
        ("TOMIC_FOO__BAR", "x", "TOMIC_FOO__BAR: unknown section"),
    ],
)
def test_message_names_the_variable(monkeypatch, name, value, message):
    """A wrong environment variable is named, with the one that was probably meant."""
    monkeypatch.setenv(name, value)

    assert refusal() == message
