"""Jobs: every step in order, under a lock, a line of log each."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from tomic.config import JobSettings
from tomic.errors import BadFile, GatewayUnreachable, StoreBusy
from tomic.store import Database
from tomic.workflows.jobs import INTERRUPTED, StepEnd, is_due, run_job

FRIDAY = dt.date(2026, 11, 20)


class Steps:
    """Runs nothing, and remembers what it was asked to."""

    def __init__(self, *ends: StepEnd) -> None:
        self.asked: list[list[str]] = []
        self._ends = list(ends)

    async def __call__(self, words: list[str]) -> StepEnd:
        self.asked.append(words)
        return self._ends[len(self.asked) - 1] if self._ends else StepEnd(0)


async def run(steps, store, *commands, **options):
    job = JobSettings.model_validate({"run": commands, **options})
    return await run_job("morning", job, steps, store=store, today=FRIDAY, wait_s=0.05)


async def test_steps_run_in_order_as_words(store):
    """A step is split like a shell does, and {date} becomes the day."""
    steps = Steps()

    await run(steps, store, "prices", "report day --html 'my reports/{date}.html'")

    assert steps.asked == [["prices"], ["report", "day", "--html", "my reports/2026-11-20.html"]]


async def test_a_failed_step_does_not_stop_the_others(store):
    """What comes after a step without a gateway still runs."""
    steps = Steps(StepEnd(4, GatewayUnreachable("no gateway")), StepEnd(0))

    reports = await run(steps, store, "scan", "report day")

    assert [one.end.exit_code for one in reports] == [4, 0]


async def test_an_interrupted_step_is_the_last(store):
    """Whoever interrupts a step wants the job to end."""
    steps = Steps(StepEnd(INTERRUPTED))

    reports = await run(steps, store, "scan", "report day")

    assert len(reports) == len(steps.asked) == 1


async def test_every_step_is_a_json_line(store, tmp_path):
    """The log grows by a line per step that says what ran, how long, and how it ended."""
    log = tmp_path / "logs" / "jobs.jsonl"
    steps = Steps(StepEnd(0), StepEnd(4, GatewayUnreachable("no gateway")))

    await run(steps, store, "prices", "vol SPY", log=log)
    await run(Steps(), store, "prices", log=log)

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(one["job"], one["step"], one["command"]) for one in lines] == [
        ("morning", 1, "prices"),
        ("morning", 2, "vol SPY"),
        ("morning", 1, "prices"),
    ]
    assert lines[0]["error"] is None
    assert lines[1]["error"] == {"code": "ib.unreachable", "message": "no gateway"}
    assert lines[1]["exit_code"] == 4
    assert dt.datetime.fromisoformat(lines[0]["started"]).tzinfo is not None


async def test_a_log_that_cannot_be_written_is_named(store, tmp_path):
    """A folder where the log should be ends the job with its name."""
    with pytest.raises(BadFile, match=str(tmp_path)):
        await run(Steps(), store, "prices", log=tmp_path)


async def test_two_runs_of_one_job_exclude_each_other(store, settings):
    """The second run of a job waits, then says who holds the lock; nothing of it runs."""
    steps = Steps()

    async with Database(settings.store.path) as other, other.run_lock("job-morning"):
        with pytest.raises(StoreBusy, match="job-morning"):
            await run(steps, store, "prices")

    assert steps.asked == []


@pytest.mark.parametrize(
    ("day", "due"),
    [
        (FRIDAY, True),
        (dt.date(2026, 11, 21), False),
        (dt.date(2026, 11, 26), False),
        (dt.date(2026, 11, 27), True),
    ],
    ids=["Friday", "Saturday", "Thanksgiving", "half day"],
)
def test_holidays_are_skipped_on_request(day, due):
    """With skip_holidays a job is due on trading days, half days among them."""
    job = JobSettings(run=("prices",), skip_holidays=True)

    assert is_due(job, day) is due
    assert is_due(JobSettings(run=("prices",)), day)
    assert is_due(JobSettings(run=("prices",)), day, skip_holidays=True) is due
