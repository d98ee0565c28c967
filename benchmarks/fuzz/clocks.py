"""Cases of a computer whose clock is far from right."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "clocks"
_MOMENTS = {
    "1970": 86_400, "2000": 946_684_800, "the last second of 32 bits": 2_147_483_640,
    "2099": 4_102_358_400, "2200": 7_258_118_400,
}  # fmt: skip
_COMMANDS = (
    "journal note 1 more", "journal list --all", "journal check --offline", "journal stats",
    "chain SPY --demo", "portfolio --demo", "prices QQQ --demo", "store backup out.db",
    "store check", "report day --html day.html", "vol SPY --stored", "run morning --demo",
    "journal import flex.csv",
)  # fmt: skip
_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long moved(void) {
    static long by; static int known;
    if (!known) {
        int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
        struct timespec now; real(CLOCK_REALTIME, &now);
        by = atol(getenv("FUZZ_CLOCK")) - now.tv_sec; known = 1;
    }
    return by;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += moved();
    return code;
}
int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec; at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *at) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


def cases(prepared: Path) -> Iterator[Case]:
    """Every clock with every command; there are no random ones."""
    shim = _compiled(prepared.parent)
    for label, moment in _MOMENTS.items():
        for line in _COMMANDS:
            env = {"LD_PRELOAD": str(shim), "FUZZ_CLOCK": str(moment)}
            yield Case(
                KIND,
                f"{label}: {line}",
                (Command(tuple(line.split())), Command(("store", "check"), codes=(0,))),
                own_process=True,
                conditions=Conditions(env=env),
            )


def absent() -> str:
    """Why it cannot be tried here, or nothing."""
    return "" if shutil.which("cc") else "no C compiler here"


@cache
def _compiled(folder: Path) -> Path:
    source, target = folder / "clock.c", folder / "clock.so"
    source.write_text(_SHIM, encoding="ascii")
    words = ["cc", "-shared", "-fPIC", "-o", str(target), str(source), "-ldl"]
    subprocess.run(words, check=True)
    target.chmod(0o755)
    return target
