"""How long each command takes to say its help, and light ones to do their work."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Limit, Peer, Row, clocked, figure, in_turns

COMMANDS = (
    "chain",
    "scan",
    "show",
    "why-not",
    "portfolio",
    "prices",
    "vol",
    "explain",
    "doctor",
    "gateway",
    "run",
    "record",
    "panel",
    "config",
    "report",
    "store",
    "journal",
    "strategies",
)
LIGHT = (
    ("--version",),
    ("config", "path"),
    ("config", "show"),
    ("explain", "delta"),
    ("strategies",),
    ("store", "info"),
    ("journal", "list"),
)
"""Commands that ask no gateway."""
CHAIN = ("chain", "SPY", "--demo", "--no-export")
CHAIN_S = 1.6
ROUNDS = 5


def run() -> list[Row]:
    """Each command beside ``import typer`` and a Python that does nothing, taking turns."""
    with tempfile.TemporaryDirectory() as folder:
        helps = [("--help",), *((one, "--help") for one in COMMANDS)]
        works = [*helps, *LIGHT, CHAIN]
        rows = [_failing(words, Path(folder)) for words in works]
        samples = in_turns(
            _started(Path(folder), "-c", "pass"),
            _started(Path(folder), "-c", "import typer"),
            *(_started(Path(folder), "-m", "tomic", *words) for words in works),
            rounds=ROUNDS,
        )
    nothing, typer, *ours = samples
    peer = Peer(f"import typer {version('typer')}", typer)
    floor = Limit("python -c pass", nothing.median)
    return [
        *(row for row in rows if row is not None),
        *(
            figure(
                f"start: tomic {' '.join(words)}",
                sample,
                "ms",
                asked=_asked(words),
                peer=peer,
                limit=floor,
            )
            for words, sample in zip(works, ours, strict=True)
        ),
    ]


def _started(folder: Path, *words: str) -> Callable[[], float]:
    """A fresh Python with these arguments, in milliseconds."""
    return clocked(lambda: _python(folder, *words), scale=1e3)


def _asked(words: tuple[str, ...]) -> str:
    if words == CHAIN:
        return f"<= {CHAIN_S * 1e3:,.0f} ms"
    return "<= 3 x import typer" if words == ("--help",) else ""


def _python(folder: Path, *words: str) -> int:
    # As an installed program has them, whose modules are not compiled anew with each start.
    compiled = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    home = dict(os.environ, HOME=str(folder), **compiled)
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=home, capture_output=True, check=False
    ).returncode


def _failing(words: tuple[str, ...], folder: Path) -> Row | None:
    """A row that says so when a command does not end well; the time of a failure is none."""
    code = _python(folder, "-m", "tomic", *words)
    name = f"start: tomic {' '.join(words)}"
    return {"name": name, "failed": f"exit code {code}"} if code else None
