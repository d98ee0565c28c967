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
from typing import Any

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
    """Tries cases, each in a folder that begins as a copy of the prepared one."""

    prepared: Path | None
    """The folder that a user may have, or None where every case brings its own files."""
    base: int
    """Memory of the program just imported."""
    deadline_s: float | None = None
    _looks: judge.Looks = field(default_factory=judge.Looks, init=False)
    _kept: Path | None = field(default=None, init=False)
    """Where the last case ran: the next one begins there, with what that one changed made good."""
    _sound: dict[str, tuple[int, ...]] = field(default_factory=dict, init=False)
    """Every entry of that folder as it is when just made."""

    def attempt(self, case: Case) -> Verdict:
        """Run the commands of *case* one after the other and judge them and what they left."""
        if why := cannot(case.conditions):
            return Verdict(case, skipped=why)
        if self.prepared is None or case.bare or case.conditions.disk:
            with tempfile.TemporaryDirectory(prefix="tomic-fuzz-") as name:
                root = _rooms(Path(name).resolve())
                with _disk(root / "home", case.conditions):
                    if not case.bare:
                        self._furnish(root / "home")
                    return self._tried(case, root)
        return self._tried(case, self._as_new())

    def close(self) -> None:
        """Remove the folder of the cases."""
        if self._kept is not None:
            shutil.rmtree(self._kept, ignore_errors=True)
            self._kept = None

    def _tried(self, case: Case, root: Path) -> Verdict:
        _put(root / "home", case)
        _hand_over(root)
        try:
            return self._judged(case, root / "home", root / "tmp")
        finally:
            _unlock(root)

    def _as_new(self) -> Path:
        """The folder as the prepared one is. To copy that anew takes longer than most cases."""
        if self._kept is None or not self._made_good(self._kept):
            self.close()
            self._kept = _rooms(Path(tempfile.mkdtemp(dir=self._place())).resolve())
            self._furnish(self._kept / "home")
            _hand_over(self._kept)
            self._sound = judge.signatures(self._kept)
        return self._kept

    def _made_good(self, root: Path) -> bool:
        """Undo what a case did to files; False where it did more than that."""
        now = judge.signatures(root)
        changed = [name for name, was in self._sound.items() if now.get(name) != was]
        ours = [self._of_prepared(name) for name in changed]
        if not all(one is not None and one.is_file() and not one.is_symlink() for one in ours):
            return False
        for name in sorted(now.keys() - self._sound.keys(), reverse=True):
            path = root / name
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()
        for name, source in zip(changed, ours, strict=True):
            path = root / name
            if path.is_dir() and not path.is_symlink():
                return False
            path.unlink(missing_ok=True)
            assert source is not None
            shutil.copy2(source, path)
            _give(path)
            self._sound[name] = judge.signature(path)
        return True

    def _place(self) -> str | None:
        return str(self.prepared.parent) if self.prepared else None

    def _of_prepared(self, name: str) -> Path | None:
        home, _, within = name.partition("/")
        return self.prepared / within if self.prepared and home == "home" and within else None

    def _furnish(self, home: Path) -> None:
        if self.prepared is not None:
            shutil.copytree(self.prepared, home, symlinks=True, dirs_exist_ok=True)
        _put_special_files(home)

    def _judged(self, case: Case, home: Path, temporary: Path) -> Verdict:
        before = self._looks.snapshot(home)
        for path, mode in case.conditions.modes.items():
            # A smaller case may lack the file.
            if (home / path).exists():
                (home / path).chmod(mode)
        outcomes: list[Outcome] = []
        faults: list[Fault] = []
        with (
            processes.gateway(case.conditions.gateway) as port,
            processes.page(case.conditions.page) as site,
        ):
            conditions = replace(case.conditions, env={**case.conditions.env, **port, **site})
            how: dict[str, Any] = {
                "home": home,
                "temporary": temporary,
                "conditions": conditions,
                "own_process": case.own_process,
                "base": self.base,
                "deadline_s": self.deadline_s,
            }
            outcomes += processes.at_once(case.commands[: case.together], **how)
            for command in case.commands[case.together :]:
                outcomes.append(processes.run(command, **how))
            for command, outcome in zip(case.commands, outcomes, strict=True):
                faults += judge.of_outcome(command, outcome, conditions)
        _unlock(home)
        # Where a case had to run as root, its files are root's.
        _hand_over(home)
        after = self._looks.snapshot(home)
        name = " && ".join(judge.named(one) for one in case.commands)
        if not any(one.hung for one in outcomes):
            faults += judge.of_folder(case, before, after, home)
            faults += judge.of_promises(case, outcomes, home)
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


def _rooms(root: Path) -> Path:
    """Make the folders that a case has."""
    for folder in (root, root / "home", root / "tmp", root / "matplotlib"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777 if folder.name == "tmp" else 0o755)
    (root / "empty.toml").touch()
    return root


def _put(home: Path, case: Case) -> None:
    """The files and links of *case* over what is there."""
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


def _put_special_files(home: Path) -> None:
    """What may be named by mistake and must survive it: links, and where root may, a device."""
    for name, goal in (("link.csv", "chain.csv"), ("loop", "loop"), ("dangling", "nowhere/x")):
        (home / name).symlink_to(goal)
    os.mkfifo(home / "fifo")
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
    if processes.is_root():
        for path in (root, *root.rglob("*")):
            _give(path)


def _give(path: Path) -> None:
    if processes.is_root() and path.lstat().st_uid != NOBODY:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def _unlock(root: Path) -> None:
    """Let every folder and file be looked at and removed again."""
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            needed = mode | (0o700 if stat.S_ISDIR(mode) else 0o600)
            if needed != mode and not stat.S_ISLNK(mode):
                path.chmod(needed)
