"""
Where the processor time of `tomic chain` and `tomic scan` goes: ``python -m benchmarks.profiles``.

Each command runs as a whole process on the demo market, from the first import to the last line,
under cProfile with a profile for every thread, on the clock of that thread. The demo's gateway is
in the same process, so its share is part of what is shown. cProfile makes functions of Python
about twice as slow as they are, and nothing else; so shares are to be trusted more than seconds.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

COMMANDS = (
    ("chain", "SPY", "--demo", "--no-export", "-q"),
    ("scan", "--demo", "--no-export", "-q"),
)
MOST = 25
PATIENT = "[ib]\nconnect_timeout_s = 60\n[chain]\ndeadline_s = 600\n"


def main() -> None:
    """Print the profile of each command."""
    chosen = sys.argv[1:]
    for words in [tuple(chosen)] if chosen else COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "profile"
            # The profiler is slow, and on a busy machine slower than anyone's patience.
            (Path(folder) / "tomic.toml").write_text(PATIENT, encoding="utf-8")
            subprocess.run(
                [sys.executable, __file__, "--into", str(file), *words],
                cwd=folder,
                env=dict(os.environ, HOME=folder),
                stdout=subprocess.DEVNULL,
                check=False,
            )
            show(words, pstats.Stats(str(file)))


def profiled(file: str, words: list[str]) -> None:
    """Run a command in this process and write the profiles of all its threads, added up."""
    threads: list[cProfile.Profile] = []

    def begin(*_: object) -> None:
        one = cProfile.Profile(time.thread_time)
        threads.append(one)
        one.enable()

    # Called at the first event in every new thread, which it then leaves to its own profile.
    threading.setprofile(begin)
    begin()
    sys.argv = ["tomic", *words]
    try:
        from tomic.cli.app import main as command

        command()
    finally:
        threading.setprofile(None)  # type: ignore[arg-type]
        for one in threads:
            one.disable()
        whole = pstats.Stats(threads[0])
        for one in threads[1:]:
            whole.add(one)
        whole.dump_stats(file)


def show(words: tuple[str, ...], found: pstats.Stats) -> None:
    """Own time by package, and the functions of ours that hold most, with all they call."""
    rows = found.stats  # type: ignore[attr-defined]
    own: Counter[str] = Counter()
    for (file, _, name), (_, _, seconds, _, _) in rows.items():
        own[package(file, name)] += seconds
    total = own.total()
    print(f"\ntomic {' '.join(words)}: {total:.2f} s of processor time under cProfile\n")
    for name, seconds in own.most_common(MOST):
        print(f"  {seconds / total:6.1%}  {name}")
    print("\n  with all they call:")
    inside = [
        (seconds, f"{package(file, name)}:{name}", calls)
        for (file, _, name), (_, calls, _, seconds, _) in rows.items()
        if "tomic" in package(file, name) or "importlib" in file
    ]
    for seconds, name, calls in sorted(inside, reverse=True)[: 2 * MOST]:
        print(f"  {seconds / total:6.1%}  {calls:>9,} x  {name}")


def package(file: str, name: str) -> str:
    """Whose a function is: a module of ours, a package of others, or the interpreter."""
    path = Path(file)
    if file.startswith("<frozen importlib") or "exec_module" in name or "exec}" in name:
        return "imports"
    if file == "~":
        return name.strip("<>").split(" of ")[0] if "numpy" in name else "builtins"
    parts = path.with_suffix("").parts
    for root in ("tomic", "site-packages"):
        if root in parts:
            below = parts[len(parts) - parts[::-1].index(root) :]
            return ".".join(("tomic", *below)) if root == "tomic" else below[0]
    return f"python's {path.stem}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["--into"]:
        profiled(sys.argv[2], sys.argv[3:])
    else:
        main()
