"""How a desk measures volatility: histories brought up to date, quotes and chains of the day."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tomic.desk.fetching import fetch_all, with_rules
from tomic.workflows import volatility

if TYPE_CHECKING:
    from tomic.desk.resources import Resources
    from tomic.workflows.history import HistoryRun
    from tomic.workflows.missing_days import SeriesName
    from tomic.workflows.volatility import Now, VolReport

# Skew needs strikes out to deltas of 0.25, about 0.7 standard deviations; four expiries hold the
# thirtieth day and the three months of the term structure.
_RULES: dict[str, Any] = {"strike_range": "1s", "monthlies": 2, "weeklies": 2}


async def prices(
    held: Resources,
    symbols: Sequence[str],
    *,
    days: int | None = None,
    ib_hv: bool = False,
    force: bool = False,
    timeout_s: float | None = None,
) -> HistoryRun:
    """Bring stored bars and implied volatility of *symbols* up to date, one run at a time."""
    from tomic.workflows import history

    series: list[SeriesName] = ["bars", "ib30", "ib_hv30"] if ib_hv else ["bars", "ib30"]
    store, wait_s = await held.store(), held.settings.store.lock_wait_s
    deadline = None if timeout_s is None else asyncio.get_running_loop().time() + timeout_s
    async with store.run_lock("prices", wait_s=wait_s):
        return await history.update(
            held.session,
            store,
            symbols,
            held.settings,
            now=None if held.origin.simulated else dt.datetime.now(dt.UTC),
            days=days,
            series=series,
            force=force,
            deadline=deadline,
            watch=held.watch,
        )


async def vols(
    held: Resources,
    symbols: Sequence[str],
    *,
    days: int | None = None,
    chain: bool = False,
    smiles: bool = False,
    stored: bool = False,
) -> list[VolReport]:
    """The volatility of *symbols*; the options are those of `Desk.vols`."""
    store = await held.store()
    if held.origin.demo and not stored:
        await prices(held, list(dict.fromkeys([*symbols, volatility.VIX])))
    now = volatility.Now(dt.datetime.now(dt.UTC))
    if not stored:
        now = await volatility.observe(
            held.session,
            symbols,
            held.settings,
            deadline=held.coming_deadline(),
            watch=held.watch,
        )
    if chain:
        now = await _with_chains(held, now, symbols, fetch=not stored)
    return await volatility.volatility(
        store,
        symbols,
        held.settings,
        now=now,
        days=days,
        visits=None if stored or held.origin.simulated else held.visits(),
        smiles=smiles,
        keep=not stored,
    )


async def _with_chains(held: Resources, now: Now, symbols: Sequence[str], *, fetch: bool) -> Now:
    """*now* with the chain of the day of each symbol; with *fetch*, those that are missing too."""
    store, found = await held.store(), dict(now.chains)
    for name in symbols:
        if (known := await volatility.chain_of_the_day(store, name, now.at)) is not None:
            found[name] = known
    wanted = [name for name in symbols if name not in found and name not in now.errors]
    errors = dict(now.errors)
    if fetch and wanted:
        settings = with_rules(held.settings, None, None, _RULES)
        for outcome in await fetch_all(held, wanted, settings):
            if outcome.chain is not None:
                found[outcome.symbol] = outcome.chain
            elif outcome.error is not None:
                errors[outcome.symbol] = outcome.error
    return replace(now, chains=found, errors=errors)
