"""`tomic manage` from the command line, and how it prints."""

from __future__ import annotations

import json

import pytest

from support.command_line import run
from support.managed_positions import SCRIPTS, attacked_put, judge
from tomic.errors import RequestTimeout
from tomic.models.journal import ExitSignal
from tomic.models.manage import Advice
from tomic.models.moves import EndedMoves, MoveKind, MoveRecord
from tomic.present import manage as present
from tomic.present.forms import Format
from tomic.workflows.journal.manage import ManageRun

FIRED = ExitSignal(rule="stop", fired=True, text="loss 2.10x credit (stop 2.00x)", advice="close")


def advice_of(script=attacked_put, *, signals=()) -> Advice:
    case = judge(*script(), signals=signals, targets=True, excess=50_000.0)
    return Advice(
        id="7",
        entry_id=7,
        symbol="SPY",
        strategy=case.entry.strategy,
        as_of=case.board.chain.as_of,
        held=("-2 590P 2025-06-20",),
        spot=case.board.spot,
        pnl=case.at.pnl,
        dte=20,
        signals=tuple(signals),
        moves=case.moves,
        refused=case.refused,
    )


def text(one: Advice, shape=Format.TABLE, *, whole=True) -> str:
    return present.shown(ManageRun((one,), as_of=one.as_of), shape, whole=whole)


def test_one_position_whole():
    """What is held, every alternative with its order and figures, and why there are no others."""
    shown = text(advice_of(signals=(FIRED,)))

    lines = shown.splitlines()
    assert lines[0].startswith("7  SPY naked put · -2 590P 2025-06-20 · spot 589.00 · 20 days")
    assert "stop: loss 2.10x credit (stop 2.00x) · close" in lines[1]
    assert "1  close now" in shown
    assert "by your rule, for 6.30 of costs" in shown
    assert "against your rule stop" in shown
    assert "not: roll the tested side out, roll the untested side in, go to an iron fly · " in shown
    assert "only for a debit of" in shown


def test_a_narrow_screen_drops_what_matters_least():
    """Order, difference and score stay."""
    one = advice_of()

    shown = present.shown(ManageRun((one,)), Format.TABLE, whole=True, width=110)

    (head,) = [line for line in shown.splitlines() if line.startswith("#")]
    assert {"limit", "score"} <= set(head.split())
    assert "vega" not in head


def test_all_positions_a_line_each():
    """The best alternative, what it costs, and why; what could not be judged says so."""
    good = advice_of(signals=(FIRED,))
    bad = good.model_copy(update={"id": "8", "moves": (), "problem": "no quotes"})

    lines = present.shown(ManageRun((good, bad)), Format.TABLE, whole=False).splitlines()

    assert "close now" in lines[1] and "debit" in lines[1]
    assert lines[2].split()[0] == "8" and lines[2].endswith("no quotes")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda one: one.__name__)
def test_machine_forms(script):
    """JSON reads back as it was; CSV has the same columns in every row."""
    one = advice_of(script)

    document = json.loads(text(one, Format.JSON))
    rows = text(one, Format.CSV).splitlines()

    assert document["schema"] == "tomic.manage/1"
    assert Advice.model_validate(document["advice"][0]) == one
    assert len(rows) == 1 + len(one.moves) + len(one.refused)
    assert json.loads(text(one, Format.NDJSON))["id"] == "7"


def test_history_beside_holding():
    """A line a kind of alternative; holding is what they are compared with."""
    records = (
        MoveRecord(kind=MoveKind.HOLD, n=3, result=50, change=0, better=0, expected=0, chosen=2),
        MoveRecord(
            kind=MoveKind.ROLL, n=2, result=90, change=40, better=0.5, expected=-4, chosen=1
        ),
    )
    known = EndedMoves(records=records, settled=3, waiting=1, unpriced=("XLF",))

    lines = present.history(known, Format.TABLE).splitlines()
    notes = " ".join(present.history_notes(known))

    assert lines[2].split() == ["roll", "out", "2", "1", "+90.00", "+40.00", "-4.00", "50%"]
    assert "1 are not known yet" in notes and "tomic prices XLF" in notes


def test_summary_counts_positions_with_a_signal():
    """Nothing is sent, and that is said."""
    run_of = ManageRun((advice_of(signals=(FIRED,)), advice_of()), {"XLF": RequestTimeout("x", 1)})

    assert present.summary(run_of).startswith("2 positions, an exit rule fired of 1")
    assert run_of.fired


def test_command(home):
    """A structure of the demo's book: the table, what is held after a roll, a wrong number."""
    shown = run("manage", "IWM", "--demo", "-q")
    closed = run("manage", "IWM", "--demo", "-q", "--pick", 2, "--link")
    link = run("manage", "IWM", "--demo", "-q", "--pick", 3, "--link")
    wrong = run("manage", "IWM", "--demo", "-q", "--pick", 99)

    assert shown.exit_code == 0
    assert "1  hold" in shown.stdout
    assert "2  close now" in shown.stdout and "3  roll out to" in shown.stdout
    assert (closed.exit_code, closed.stdout) == (2, "")
    assert "nothing is held afterwards" in closed.stderr
    assert link.stdout.startswith("https://optionstrat.com/build/custom/IWM/-.IWM")
    assert "," not in link.stdout
    assert wrong.exit_code == 2
    assert "no alternative 99 of IWM-1: it has" in wrong.stderr
