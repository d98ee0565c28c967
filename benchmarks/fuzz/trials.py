"""A case tried from an empty folder to the judge's verdict."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.fuzz import judge, processes
from benchmarks.fuzz.cases import Case, Command, Conditions
from benchmarks.fuzz.judge import Fault
from benchmarks.fuzz.processes import NOBODY, Outcome

_DISK_BYTES = 24 << 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case."""

    case: Case
    outcomes: tuple[Outcome, ...] = ()
    faults: tuple[Fault, ...] = ()
    skipped: str = ""
    """Why it was not tried."""


@dataclass(slots=True)
class Trials:
    """Tries cases, each in a folder of its own that begins as a copy of the prepared one."""

    prepared: Path | None
    """The folder that a user may have, or None where every case brings its own files."""
    base: int
    """Memory of the program just imported."""
    deadline_s: float | None = None
    _count: int = field(default=0, init=False)

    def attempt(self, case: Case) -> Verdict:
        """Run the commands of *case* one after the other and judge them and what they left."""
        if why := cannot(case.conditions):
            return Verdict(case, skipped=why)
        with tempfile.TemporaryDirectory(prefix="tomic-fuzz-") as name:
            root = Path(name).resolve()
            home, temporary = root / "home", root / "tmp"
            for folder in (root, home, temporary, root / "matplotlib"):
                folder.mkdir(exist_ok=True)
                folder.chmod(0o777 if folder == temporary else 0o755)
            (root / "empty.toml").touch()
            with _disk(home, case.conditions):
                self._furnish(home, case)
                _hand_over(root)
                try:
                    return self._judged(case, home, temporary)
                finally:
                    _unlock(root)

    def _furnish(self, home: Path, case: Case) -> None:
        if self.prepared is not None and not case.bare:
            shutil.copytree(self.prepared, home, symlinks=True, dirs_exist_ok=True)
        if not case.bare:
            _put_special_files(home)
        for path, content in case.files.items():
            target = home / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(content)
        for path, goal in case.links.items():
            (home / path).unlink(missing_ok=True)
            (home / path).symlink_to(goal)
        if case.conditions.disk:
            free = shutil.disk_usage(home).free
            (home / "filler").write_bytes(bytes(max(0, free - case.conditions.disk)))

    def _judged(self, case: Case, home: Path, temporary: Path) -> Verdict:
        before = judge.snapshot(home)
        for path, mode in case.conditions.modes.items():
            # A smaller case may lack the file.
            if (home / path).exists():
                (home / path).chmod(mode)
        outcomes: list[Outcome] = []
        faults: list[Fault] = []
        with processes.gateway(case.conditions.gateway) as told:
            conditions = replace(case.conditions, env={**case.conditions.env, **told})
            for command in case.commands:
                outcome = processes.run(
                    command,
                    home,
                    temporary,
                    conditions,
                    own_process=case.own_process,
                    base=self.base,
                    deadline_s=self.deadline_s,
                )
                outcomes.append(outcome)
                faults += judge.of_outcome(command, outcome, conditions)
        _unlock(home)
        # Where a case had to run as root, its files are root's.
        _hand_over(home)
        after = judge.snapshot(home)
        name = " && ".join(judge.named(one) for one in case.commands)
        if not any(one.hung for one in outcomes):
            faults += judge.of_folder(case, before, after, home)
            faults += [
                Fault("half file", f"{name} left a file in TMPDIR", detail=path.name)
                for path in temporary.iterdir()
            ]
        if not case.conditions.disk:
            for store in judge.changed_stores(case, before, after):
                faults += self._of_store(name, home, temporary, store)
        return Verdict(case, tuple(outcomes), tuple(faults))

    def _of_store(self, name: str, home: Path, temporary: Path, store: str) -> Iterator[Fault]:
        """What `tomic store check` says of a store that the commands *name* have changed."""
        conditions = Conditions(env={"TOMIC_STORE__PATH": str(home / store)})
        command = Command(("store", "check", "--config", str(temporary.parent / "empty.toml")))
        outcome = processes.run(command, home, temporary, conditions, base=self.base)
        if outcome.code:
            said = (outcome.stdout + outcome.stderr)[-800:]
            yield Fault("store", f"store check refuses what {name} left", detail=said)


def _put_special_files(home: Path) -> None:
    """What may be named by mistake and must survive it: links, and where root may, a device."""
    for name, goal in (("link.csv", "chain.csv"), ("loop", "loop"), ("dangling", "nowhere/x")):
        (home / name).symlink_to(goal)
    with contextlib.suppress(OSError):
        os.mknod(home / "device", stat.S_IFCHR | 0o666, os.makedev(1, 7))


def cannot(conditions: Conditions) -> str:
    """Why these conditions cannot be made here, or nothing."""
    if conditions.disk and not processes.is_root():
        return "a disk of its own needs root"
    if conditions.stdout == "full" and not Path("/dev/full").exists():
        return "no /dev/full here"
    return ""


@contextmanager
def _disk(home: Path, conditions: Conditions) -> Iterator[None]:
    if not conditions.disk:
        yield
        return
    size = f"size={_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(home)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(home)], check=True)


def _hand_over(root: Path) -> None:
    """Give everything to the user that the case runs as."""
    if not processes.is_root():
        return
    for path in (root, *root.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _unlock(root: Path) -> None:
    """Let every folder and file be looked at and removed again."""
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | (0o700 if path.is_dir() else 0o600))
