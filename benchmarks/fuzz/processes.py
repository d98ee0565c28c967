"""
One command in a process that can crash, hang or change its surroundings without harm.

Most commands run in a fork of a process that has imported the whole program: that takes
milliseconds instead of a second, and state, folder, variables and hangs stay the fork's own.
Where the interpreter's own start matters, as for a charset, it is started anew.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import encodings
import faulthandler
import functools
import gc
import importlib
import io
import logging
import os
import pickle
import pkgutil
import selectors
import signal
import stat
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import httpx
import typer.main
from benchmarks.fuzz import pages
from benchmarks.fuzz.cases import USUAL, Command, Conditions

from tomic.sim import Gateway, Limits, Profile
from tomic.sim.faults import parse
from tomic.sim.market.model import ModelMarket

if sys.platform != "win32":
    import resource

NOBODY = 65534
"""Whom a case runs as where the fuzzer itself runs as root: hostile paths name devices too."""
DEADLINE_S = 90.0
"""Seconds after which a command that has no deadline of its own hangs, on an idle machine."""
OWN_DEADLINE_SLACK_S = 30.0
"""Beyond a ``--timeout``: the start of the program, imports, and the end on a loaded machine."""
MOST_OUTPUT = 2_000_000
"""Bytes kept of a stream."""
_MOST_ADDRESS_SPACE = 6 << 30
"""Keeps the machine alive whatever a file says; the judge's own bound is far below."""
_CAUGHT = frozenset({signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)})
"""Signals that a command can catch."""
_LAST_WORDS_S = 0.5
_SITE = "FUZZ_SITE"
_CLOSED_PORT = 1
"""Nothing listens there, and no TWS of the person who runs this."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    """Exit code; minus the signal's number where a signal ended it."""
    stdout: str
    stderr: str
    seconds: float
    """From its start to its end, without what it waited for a processor."""
    cpu_s: float
    grown: int
    """Bytes by which its memory exceeded that of the program just imported, at most."""
    hung: bool = False
    """Whether it was killed after its deadline; stderr then holds the stacks of its threads."""
    interrupted: bool = False
    strays: bool = False
    """Whether processes of it were left."""


def warm() -> int:
    """Import all of the program and what it imports late; return bytes of memory after it."""
    # Not one thread may exist when forks are made.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    package = importlib.import_module("tomic")
    modules = [one.name for one in pkgutil.walk_packages(package.__path__, "tomic.")]
    modules += [f"encodings.{one.name}" for one in pkgutil.iter_modules(encodings.__path__)]
    modules += ["matplotlib.pyplot", "pandas", "sqlite3", "tzdata"]
    if is_root() and not may_be_started_by_nobody():
        modules += _standard_library()
    for name in modules:
        # Of this platform's codecs some are for others, and an extra may be absent.
        with contextlib.suppress(ImportError):
            if not name.endswith("__main__"):
                importlib.import_module(name)
    _remember_parameters()
    threads = threading.enumerate()
    if len(threads) > 1:
        raise RuntimeError(f"a fork would lose threads: {threads}")
    gc.collect()
    gc.freeze()
    return memory()


def _remember_parameters() -> None:
    """
    Read every command's declaration once, here, instead of in each fork.

    A third of what a line costs that ends at its first check. Another version of typer keeps them
    elsewhere: then every fork reads for itself.
    """
    reads = getattr(typer.main, "_get_params_name_from_function", None)
    if reads is not None:
        kept = functools.cache(reads)

        def remembered(callback: Any) -> Any:
            parameters, context = kept(callback)
            return list(parameters), context

        vars(typer.main)["_get_params_name_from_function"] = remembered
    groups = [typer.main.get_command(importlib.import_module("tomic.cli.app").app)]
    while groups:
        command: Any = groups.pop()
        groups += getattr(command, "commands", {}).values()
        for parameter in command.params:
            getattr(parameter, "get_runtime_param", lambda: None)()


def _standard_library() -> list[str]:
    """All that an import inside a function may ask for, where a case could not read it any more."""
    odd = {"antigravity", "ensurepip", "idlelib", "lib2to3", "test", "this", "tkinter", "turtle"}
    names = [name for name in sys.stdlib_module_names if name not in odd and "turtle" not in name]
    packages = "asyncio concurrent ctypes email html http importlib json logging multiprocessing"
    for name in f"{packages} unittest urllib xml zoneinfo".split():
        package = importlib.import_module(name)
        names += [one.name for one in pkgutil.walk_packages(package.__path__, f"{name}.")]
    return [name for name in names if not name.startswith("multiprocessing.popen_spawn_win")]


def memory(*, now: bool = False) -> int:
    """Bytes that this process has needed at most, or, where the system tells, holds *now*."""
    # Linux counts in `ru_maxrss` what the process that started this one needed before its `exec`.
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:" if now else "VmHWM:"):
                return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def is_root() -> bool:
    """Whether cases have to give up privileges."""
    return os.geteuid() == 0


@functools.cache
def may_be_started_by_nobody() -> bool:
    """Whether everyone can reach the interpreter and the program."""
    needed = [sys.executable, sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")]
    needed.append(str(Path(__file__).parents[2]))
    return all(
        part.stat().st_mode & stat.S_IXOTH
        for one in needed
        for part in (Path(one).resolve(), *Path(one).resolve().parents)
    )


def variables(home: Path, temporary: Path, given: Mapping[str, str | None]) -> dict[str, str]:
    """The environment of a case: nothing of this machine's, and no network by accident."""
    env: dict[str, str | None] = {
        "PATH": os.defpath,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "MPLCONFIGDIR": str(temporary.parent / "matplotlib"),
        # A process started anew must run the same program as a fork of this one.
        "PYTHONPATH": os.environ.get("PYTHONPATH"),
        "LANG": "C.UTF-8",
        "TOMIC_IB__HOST": "127.0.0.1",
        "TOMIC_IB__PORT": str(_CLOSED_PORT),
        "TOMIC_WEB__ENABLED": "false",
    }
    if is_root() and not may_be_started_by_nobody():
        # A fork is nobody then, and cannot start the interpreter.
        env["TOMIC_BACKTEST__PROCESSES"] = "1"
    return {name: value for name, value in {**env, **given}.items() if value is not None}


def own_deadline(words: Sequence[str]) -> float:
    """Seconds after ``--timeout``, the last one of several; 0 where there is none that counts."""
    given = 0.0
    for word, value in pairwise(words):
        if word == "--timeout":
            with contextlib.suppress(ValueError):
                given = float(value)
    return given if 0.1 <= given < DEADLINE_S - OWN_DEADLINE_SLACK_S else 0.0


def deadline_of(words: Sequence[str]) -> float:
    """Seconds that a command may take: its own ``--timeout`` and some, or the general deadline."""
    own = own_deadline(words)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    return (own + OWN_DEADLINE_SLACK_S if own else DEADLINE_S) * max(1.0, busy)


def run(
    command: Command,
    home: Path,
    temporary: Path,
    conditions: Conditions = USUAL,
    *,
    own_process: bool = False,
    base: int = 0,
    deadline_s: float | None = None,
) -> Outcome:
    """Run *command* in *home*; *base* is the memory of the program when it is just imported."""
    held = memory(now=True)
    began = time.monotonic()
    pipes = [os.pipe(), os.pipe()]
    pid = os.fork()
    if not pid:
        try:
            env = variables(home, temporary, conditions.env)
            _surround(home, conditions, pipes, own_process=own_process)
            if own_process:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
                start = [sys.executable, "-X", "faulthandler", "-m", "tomic", *command.words]
                os.execve(sys.executable, start, env)
            os.environ.clear()
            os.environ.update(env)
            time.tzset()
            if port := os.environ.pop(_SITE, ""):
                _lead_to(int(port))
            _be_tomic(command.words)
        except BaseException:
            os.write(pipes[1][1], b"fuzz: not started\n" + traceback.format_exc().encode())
        finally:
            os._exit(125)
    for _, end in pipes:
        os.close(end)
    ends = began + (command.deadline_s or deadline_s or deadline_of(command.words))
    interrupt_at = began + command.interrupt_after_s if command.interrupt_after_s else None
    texts = [bytearray(), bytearray()]
    hung = interrupted = False
    waited = 0.0
    with selectors.DefaultSelector() as ready:
        for (source, _), text in zip(pipes, texts, strict=True):
            os.set_blocking(source, False)
            ready.register(source, selectors.EVENT_READ, text)
        while True:
            _read(ready, 0.01)
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                waited = _waited(pid)
                _, status, used = os.wait4(pid, 0)
                break
            now = time.monotonic()
            if interrupt_at is not None and now >= interrupt_at:
                os.kill(pid, getattr(signal, f"SIG{command.signal}"))
                interrupt_at, interrupted = None, True
            if now >= ends:
                hung = True
                # The first asks for the stacks of all threads, the second does not ask.
                os.kill(pid, signal.SIGABRT)
                _drain(ready, time.monotonic() + _LAST_WORDS_S)
                os.kill(pid, signal.SIGKILL)
                _, status, used = os.wait4(pid, 0)
                break
        strays = _end_group(pid)
        _drain(ready, time.monotonic() + _LAST_WORDS_S)
    for source, _ in pipes:
        os.close(source)
    # A fork begins with what its parent holds by then, the contents of large cases among it.
    grown = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) - max(base, held)
    stdout, stderr = (text.decode("utf-8", "backslashreplace") for text in texts)
    return Outcome(
        os.waitstatus_to_exitcode(status),
        stdout,
        stderr,
        time.monotonic() - began - waited,
        used.ru_utime + used.ru_stime,
        grown if base else 0,
        hung,
        interrupted,
        strays and not hung,
    )


def _waited(pid: int) -> float:
    """Seconds that a process stood ready and others had the processors; 0 where nobody says."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        told = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
        return int(told.split()[1]) / 1e9
    return 0.0


@contextlib.contextmanager
def gateway(faults: Sequence[str] | None) -> Iterator[dict[str, str]]:
    """What tells a command of a simulated gateway with *faults*, which runs meanwhile."""
    if faults is None:
        yield {}
        return
    source, end = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.closerange(3, end)
            os.closerange(end + 1, 256)
            asyncio.run(_serve(faults, end))
        finally:
            os._exit(1)
    os.close(end)
    try:
        port = os.read(source, 16).decode()
        if not port:
            raise RuntimeError(f"no gateway with the faults {' '.join(faults)}")
        yield {"TOMIC_IB__PORT": port}
    finally:
        os.close(source)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextlib.contextmanager
def page(answer: str) -> Iterator[dict[str, str]]:
    """What leads a command that asks any site to one that answers as *answer* says."""
    if not answer:
        yield {}
        return
    server, serve = pages.listen(answer)
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            serve()
        finally:
            os._exit(1)
    port = server.getsockname()[1]
    server.close()
    try:
        yield {_SITE: str(port)}
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _lead_to(port: int) -> None:
    """Let the client for sites connect to *port* of this machine, whatever the address."""
    real = httpx.AsyncHTTPTransport.handle_async_request

    async def led(transport: Any, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
        return await real(transport, request)

    vars(httpx)["AsyncHTTPTransport"].handle_async_request = led


def at_once(commands: Sequence[Command], **how: Any) -> list[Outcome]:
    """Run *commands* at one moment, each as `run` does; outcomes in their order."""
    hands: list[tuple[int, int]] = []
    for command in commands:
        source, end = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.close(source)
                with os.fdopen(end, "wb") as answer:
                    pickle.dump(run(command, **how), answer)
            finally:
                os._exit(0)
        os.close(end)
        hands.append((pid, source))
    outcomes = []
    for pid, source in hands:
        with os.fdopen(source, "rb") as answer:
            outcomes.append(pickle.load(answer))
        os.waitpid(pid, 0)
    return outcomes


async def _serve(faults: Sequence[str], end: int) -> None:
    market = ModelMarket(seed=1)
    async with Gateway(
        market,
        faults=[parse(fault) for fault in faults],
        profile=Profile.instant(),
        limits=Limits().unpaced(),
    ) as gateway:
        os.write(end, str(gateway.port).encode())
        await asyncio.sleep(600.0)


def _read(ready: selectors.BaseSelector, wait_s: float) -> bool:
    """Take what is there; False when every pipe has ended."""
    if not ready.get_map():
        time.sleep(wait_s)
        return False
    for key, _ in ready.select(wait_s):
        try:
            piece = os.read(key.fd, 1 << 16)
        except BlockingIOError:
            continue
        if not piece:
            ready.unregister(key.fd)
        elif len(key.data) < MOST_OUTPUT:
            key.data.extend(piece)
    return True


def _drain(ready: selectors.BaseSelector, until: float) -> None:
    while _read(ready, 0.01) and time.monotonic() < until:
        pass


def _end_group(pid: int) -> bool:
    """Kill what a command left in its process group; True when there was something."""
    until = time.monotonic() + _LAST_WORDS_S * 4
    try:
        # What only waits for its pipe to close ends a moment later.
        while time.monotonic() < until:
            os.killpg(pid, 0)
            time.sleep(0.01)
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


# -- in the child ------------------------------------------------------------------------------


def _surround(
    home: Path, conditions: Conditions, pipes: Sequence[tuple[int, int]], *, own_process: bool
) -> None:
    """Make the surroundings; the order matters, because privileges go last."""
    os.setsid()
    # What comes before the command has begun is for the command.
    signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.umask(0o022)
    os.chdir(home)
    if conditions.cwd == "deleted":
        gone = home / "gone"
        gone.mkdir()
        os.chdir(gone)
        gone.rmdir()
    elif conditions.cwd != ".":
        os.chdir(home / conditions.cwd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for fd, how, (_, end) in zip(
        (1, 2), (conditions.stdout, conditions.stderr), pipes, strict=True
    ):
        if how == "full":
            end = os.open("/dev/full", os.O_WRONLY)
        elif how == "deserted":
            source, end = os.pipe()
            os.close(source)
        if how == "closed":
            os.close(fd)
        else:
            os.dup2(end, fd)
    os.closerange(3, 256)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_ADDRESS_SPACE, _MOST_ADDRESS_SPACE))
    for name, limit in conditions.limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limit, limit))
    if is_root() and (not own_process or may_be_started_by_nobody()):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _be_tomic(words: Sequence[str]) -> NoReturn:
    """Do what the interpreter does for ``python -m tomic``, from the first line to the last."""
    faulthandler.enable(2)
    # What this process's parent wants done at its own end is none of the fork's business.
    atexit._clear()
    atexit.register(logging.shutdown)
    stdin, stdout, stderr = (_stream(fd) for fd in range(3))
    sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
    sys.argv = ["tomic", *words]
    from tomic.cli.app import main

    code = 0
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
        main()
    except SystemExit as exc:
        if exc.code is not None and not isinstance(exc.code, int):
            print(exc.code, file=sys.stderr)
        code = exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    # What comes now finds the command ended.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        print("Exception ignored in: stdout", file=sys.stderr)
        traceback.print_exc()
        code = 120
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(code & 0xFF)


def _stream(fd: int) -> io.TextIOWrapper:
    raw = io.FileIO(fd, "rb" if fd == 0 else "wb", closefd=False)
    if fd == 0:
        return io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8")
    errors = "backslashreplace" if fd == 2 else "strict"
    writer = io.BufferedWriter(raw)
    return io.TextIOWrapper(writer, "utf-8", errors, line_buffering=fd == 2)
