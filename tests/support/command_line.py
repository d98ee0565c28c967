"""Running `tomic` as people do: in this process, in one of its own, against a gateway outside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
import typer.main
from typer.testing import CliRunner

from support import virtual_time
from tomic.cli.app import app
from tomic.cli.running import say
from tomic.errors import TomicError
from tomic.sim import Gateway, Limits, Profile
from tomic.sim.market.model import ModelMarket

T = TypeVar("T")

TREE = typer.main.get_command(app)
SMALL = ("--monthlies", "1", "--weeklies", "0", "--strike-range", "3", "--no-export")
"""Options that make a chain of one expiry and a dozen options."""


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


def run(*words: object, terminal: int = 0, **how: object) -> Finished:
    """
    A command in this process, with stdout and stderr apart; *how* goes to its context.

    Args:
        terminal: Columns of the terminal that its stdout is; 0 for a pipe.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    environment = {"COLUMNS": str(terminal)} if terminal else {}
    with CliRunner().isolation(env=environment, color=bool(terminal)) as (out, err, _):
        if terminal:
            sys.stdout.isatty = lambda: True  # type: ignore[method-assign]
        try:
            # Typer's own invoke would build the whole tree of commands again for every command.
            code = TREE.main(args=[str(word) for word in words], prog_name="tomic", **how)
        except SystemExit as exc:
            code = exc.code
        except TomicError as exc:
            say(exc)
            code = exc.exit_code
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            sys.stdout.flush()
        return Finished(code or 0, out.getvalue().decode(), err.getvalue().decode())


def start(*words: object, cwd: Path, **options: object) -> subprocess.Popen[str]:
    """A command in a process of its own, without any configuration of this machine."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TOMIC_")}
    environment = clean | {"HOME": str(cwd), "XDG_CONFIG_HOME": str(cwd), "PYTHONUTF8": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tomic", *map(str, words)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        **options,
    )


def _gateway(
    faults: tuple[object, ...], closed: bool, accounts: tuple[str, ...], **options: object
) -> Gateway:
    """The gateway of commands: at once, without a limit of messages."""
    given = {"profile": Profile.instant(), "limits": Limits().unpaced(), "seed": 1, **options}
    market = ModelMarket(seed=1, closed=closed, accounts=accounts, fills=given.pop("fills", ()))
    return Gateway(market, faults=faults, **given)


@contextlib.contextmanager
def inside_gateway(
    *faults: object,
    closed: bool = False,
    accounts: tuple[str, ...] = ("DU1234567",),
    **options: object,
) -> Iterator[Gateway]:
    """
    A simulated gateway in the loop of every command that `run` runs meanwhile, in virtual time.

    What never answers costs nothing, and no machine is too slow for what does.
    """
    loop = virtual_time.VirtualLoop()
    gateway = _gateway(faults, closed, accounts, **options)

    def run_in_it(command: Coroutine[object, object, T], **_: object) -> T:
        ours = asyncio.all_tasks(loop)
        try:
            return loop.run_until_complete(command)
        finally:
            # As asyncio.run does, except that a gateway restarts although nobody is connected.
            left = asyncio.all_tasks(loop) - ours - {gateway._restarting}
            for task in left:
                task.cancel()
            if left:
                loop.run_until_complete(asyncio.wait(left))

    with virtual_time.with_stores(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "run", run_in_it)
        loop.run_until_complete(gateway.__aenter__())
        try:
            yield gateway
        finally:
            loop.run_until_complete(gateway.close())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()


@contextlib.contextmanager
def outside_gateway(
    *faults: object,
    closed: bool = False,
    accounts: tuple[str, ...] = ("DU1234567",),
    **options: object,
) -> Iterator[Gateway]:
    """A simulated gateway on a loop in another thread, as TWS is in another process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    gateway = _gateway(faults, closed, accounts, **options)

    def wait(job):
        return asyncio.run_coroutine_threadsafe(job, loop).result(60.0)

    try:
        wait(gateway.__aenter__())
        yield gateway
    finally:
        wait(gateway.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
