"""Cases of a hostile gateway: odd fields, spoiled frames, silence, losses and slowness, drawn."""

from __future__ import annotations

import random

from benchmarks.fuzz.cases import Case, Command, Conditions

KIND = "gateways"

_MESSAGES = (4, 10, 11, 15, 17, 21, 46, 49, 59, 61, 63, 75, 79)
"""Errors, details, executions, accounts, bars, models, texts, time, commissions, positions, values,
parameters, symbols."""
_COMMANDS = (
    "chain SPY --no-export --monthlies 1 --weeklies 0 --strike-range 3",
    "portfolio", "portfolio --json", "portfolio --format csv --by symbol",
    "portfolio --with 'x' --ib-margin", "prices SPY QQQ", "vol SPY", "doctor",
    "scan SPY --strategy iron_condor --no-export", "journal check", "journal import --tws",
    "journal snapshot", "record out.jsonl portfolio",
)  # fmt: skip
_LEGS = "-1 SPY 2026-12-18 560P, +1 SPY 2026-12-18 550P"
_TIMEOUT = ("--timeout", "12")
_TIMED = frozenset({"chain", "portfolio", "prices", "vol", "scan"})


def case(seed: int, number: int) -> Case:
    """Case *number* of *seed*: commands in turn, the faults drawn."""
    draw = random.Random(f"{seed}/{KIND}/{number}")
    line = _COMMANDS[number % len(_COMMANDS)]
    words = [_LEGS if word == "'x'" else word for word in line.split()]
    if words[0] in _TIMED:
        words += _TIMEOUT
    faults = tuple(_fault(draw) for _ in range(draw.choice((1, 1, 2))))
    return Case(
        kind=KIND,
        name=f"{seed}/{KIND}/{number}: {' '.join(faults)}",
        commands=(Command(tuple(words)), Command(("store", "info"), codes=(0,))),
        conditions=Conditions(gateway=faults),
    )


def _fault(draw: random.Random) -> str:
    after = draw.choice((1, 2, 3, 5, 9))
    if draw.random() < 0.65:
        share, seed = draw.choice((0.02, 0.1, 0.5, 1.0)), draw.randrange(1 << 30)
        only = draw.sample(_MESSAGES, draw.choice((1, 2, len(_MESSAGES))))
        kinds = "+".join(map(str, only))
        return f"mutate:share={share},evil=1,seed={seed},only={kinds},after={after}"
    return draw.choice((
        f"mutate:share=0.1,seed={draw.randrange(1 << 30)},after={after}",
        f"garble:after={after}", f"garble:after={after},whole_frame=1", f"truncate:after={after}",
        f"deaf:after={after}", f"drop_after:messages={after},times=1",
        f"restart:after={after},down_for=1", f"drop_after:messages={after},times=9",
        "silent:on=", "silent:share=0.3", "endless:on=contract_details", "no_next_valid_id",
        "no_handshake", "close_on_connect", "slow:rate=3000,latency=0.2", "late:seconds=5",
        "refuse:code=321,on=",
        f"flood:after={after}", "no_quotes", "no_greeks", "client_id_in_use:ids=100-131",
    ))  # fmt: skip
