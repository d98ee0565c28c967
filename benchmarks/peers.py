"""
Peers in environments of their own, driven over a pipe, so that they alternate with ours.

An environment is made on first use from the package index, with the versions of constraints.txt,
under ``.nox/peers``, and kept there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".nox" / "peers"
INSTALL_S = 800
KNOWN = {
    "vollib": (("fast-vollib", "vollib", "lets_be_rational"), ""),
    "optionlab": (("optionlab",), "pandas"),
    "optopsy": (("optopsy",), ""),
}
"""Environments: the packages that are installed, and which of ours they cannot live with."""
_LOOP = """
import json, sys, time
import numpy as np
from importlib.metadata import version
for line in sys.stdin:
    asked = json.loads(line)
    if "load" in asked:
        data = {name: value for name, value in np.load(asked["load"]).items()}
        answer = {}
    elif "version" in asked:
        answer = {"version": version(asked["version"])}
    else:
        work = WORKS[asked["work"]]
        began = time.perf_counter()
        found = work(**{name: data[name] for name in asked["given"]}, **asked["options"])
        answer = {"seconds": time.perf_counter() - began}
        if asked["keep"]:
            np.save(asked["keep"], np.asarray(found, dtype=float))
    print(json.dumps(answer), flush=True)
"""


class Foreign:
    """A process that has loaded a peer and does its work when told to."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def version(self, package: str) -> str:
        """The version of an installed package."""
        found: str = self._ask({"version": package})["version"]
        return found

    def load(self, **arrays: Any) -> None:
        """Hand arrays over; the next works take them by name."""
        import numpy as np

        file = self._folder / "given.npz"
        np.savez(file, **arrays)
        self._ask({"load": str(file)})

    def seconds(self, work: str, *given: str, keep: Path | None = None, **options: Any) -> float:
        """
        Do *work* on the arrays named *given*, and tell its seconds as the peer's process saw them.

        Args:
            keep: File for what it found.
        """
        kept = str(keep) if keep is not None else ""
        asked = {"work": work, "given": given, "keep": kept, "options": options}
        found: float = self._ask(asked)["seconds"]
        return found

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise subprocess.SubprocessError(f"the peer ended while it was asked for {asked}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def foreign(name: str, works: str) -> Iterator[Foreign]:
    """
    A peer's process.

    Args:
        name: Of its environment, one of `KNOWN`.
        works: Python that defines ``WORKS``: name to function of arrays.

    Raises:
        subprocess.SubprocessError, OSError: It cannot be installed or started.
    """
    python = environment(name)
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [str(python), "-c", works + _LOOP],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield Foreign(process, Path(folder))
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=60)


def environment(name: str) -> Path:
    """The interpreter of the environment of a peer, made when there is none yet."""
    return made(name, *KNOWN[name])


def made(name: str, packages: tuple[str, ...], clash: str = "") -> Path:
    """
    The interpreter of an environment with *packages*, made when there is none yet.

    Args:
        clash: Which of our packages they cannot live with in the versions that we pin.
    """
    pins = _pins(clash)
    wanted = [f"{package}=={pins[package]}" for package in packages]
    folder = FOLDER / name
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    done = folder / "installed.txt"
    if done.is_file() and done.read_text(encoding="utf-8").split() == wanted:
        return python
    print(f"  (installing {', '.join(wanted)} into an environment of its own)", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("".join(f"{k}=={v}\n" for k, v in pins.items()), encoding="utf-8")
    install = [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), *wanted]
    subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_S)
    done.write_text("\n".join(wanted), encoding="utf-8")
    return python


def _pins(clash: str) -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = dict(line.split("==", 1) for line in lines if "==" in line and line[0] != "#")
    return {name: version for name, version in found.items() if name not in clash.split()}


if __name__ == "__main__":
    for known in KNOWN:
        print(f"{known}: {environment(known)}")
