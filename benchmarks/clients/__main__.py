"""
Other clients against `tomic gateway`: do they all get through, and do they end?

    python -m benchmarks.clients [CLIENT …]

Each client lives in an environment of its own under ``.nox/peers`` and runs a script beside this
one, for the versions of constraints.txt; what a script prints is shown, and its exit code counts.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import peers

HERE = Path(__file__).parent
CLASHES = {"thetagang": "python-dateutil"}
"""Which of our packages a client cannot live with in the versions that we pin."""
CLIENTS = {
    "ibapi-stable": "official.py",
    "ibapi-latest": "official.py",
    "ib_insync": "asynchronous.py",
    "ib_async": "asynchronous.py",
    "thetagang": "",
}
"""Packages of the index, with the script that each runs; thetagang is a program itself."""
LIMIT_S = 300
_PORT = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_CONFIG = HERE / "thetagang.toml"


@contextlib.contextmanager
def gateway() -> Iterator[int]:
    """A gateway of its own, as a user starts it; its port."""
    command = [sys.executable, "-m", "tomic", "gateway", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if match := _PORT.search(line):
                yield int(match[1])
                break
        else:
            raise SystemExit("the gateway did not start")
    finally:
        process.terminate()
        process.communicate(timeout=30)


def command_of(client: str, port: int, folder: Path) -> list[str]:
    """What runs one client."""
    python = peers.made(client, (client,), CLASHES.get(client, ""))
    if script := CLIENTS[client]:
        return [str(python), str(HERE / script), str(port), client]
    config = folder / _CONFIG.name
    text = _CONFIG.read_text(encoding="utf-8").replace("= 7497", f"= {port}")
    config.write_text(text, encoding="utf-8")
    program = python.with_name("thetagang")
    return [str(program), "-c", str(config), "--dry-run", "--without-ibc"]


def run(client: str) -> bool:
    """Whether one client got through everything and ended."""
    print(f"== {client}", flush=True)
    with gateway() as port, tempfile.TemporaryDirectory() as folder:
        command = command_of(client, port, Path(folder))
        try:
            ended = subprocess.run(command, cwd=folder, timeout=LIMIT_S, check=False)
        except subprocess.TimeoutExpired:
            print(f"{client} was still running after {LIMIT_S} s", flush=True)
            return False
    print(f"{client} ended with {ended.returncode}", flush=True)
    return ended.returncode == 0


def main() -> None:
    """Run the clients named, or all; the exit code says whether all got through."""
    chosen = sys.argv[1:] or list(CLIENTS)
    if unknown := set(chosen) - CLIENTS.keys():
        raise SystemExit(f"no client called {', '.join(sorted(unknown))}: {', '.join(CLIENTS)}")
    failed = [client for client in chosen if not run(client)]
    if failed:
        raise SystemExit(f"did not get through: {', '.join(failed)}")


if __name__ == "__main__":
    main()
