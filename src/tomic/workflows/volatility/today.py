"""Volatility of today: histories brought up to date, quotes and chains of the day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tomic.workflows.chain.fetch import cut_short, fetch_all, with_rules
from tomic.workflows.resources import Resources
from tomic.workflows.volatility import history, measure
from tomic.workflows.volatility.stored import SeriesName

# Skew needs strikes out to deltas of 0.25, about 0.7 standard deviations; four expiries hold the
# thirtieth day and the three months of the term structure.
_RULES: dict[str, Any] = {"strike_range": "1s", "monthlies": 2, "weeklies": 2}


async def prices(
    resources: Resources,
    symbols: Sequence[str],
    *,
    days: int | None = None,
    ib_hv: bool = False,
    force: bool = False,
    timeout_s: float | None = None,
) -> history.HistoryRun:
    """
    Bring stored bars and implied volatility of *symbols* up to date, one run at a time.

    It takes as long as IB's limits make it, unless *timeout_s* is given.
    """
    deadline = None
    if timeout_s is None:
        resources.waive_deadline()
    else:
        deadline = resources.take_deadline(timeout_s)
    return await _updated(
        resources, symbols, days=days, ib_hv=ib_hv, force=force, deadline=deadline
    )


async def _updated(
    resources: Resources,
    symbols: Sequence[str],
    *,
    days: int | None = None,
    ib_hv: bool = False,
    force: bool = False,
    deadline: float | None,
) -> history.HistoryRun:
    series: list[SeriesName] = ["bars", "ib30", "ib_hv30"] if ib_hv else ["bars", "ib30"]
    store, wait_s = await resources.store(), resources.settings.store.lock_wait_s
    async with store.run_lock("prices", wait_s=wait_s):
        return await history.update(
            resources.session,
            store,
            symbols,
            resources.settings,
            now=None if resources.origin.simulated else dt.datetime.now(dt.UTC),
            days=days,
            series=series,
            force=force,
            deadline=deadline,
            watch=resources.watch,
        )


async def vols(
    resources: Resources,
    symbols: Sequence[str],
    *,
    days: int | None = None,
    chain: bool = False,
    smiles: bool = False,
    stored: bool = False,
    deadline: float | None = None,
) -> list[measure.VolReport]:
    """
    The volatility of *symbols*; the options are those of `Desk.vols`.

    Args:
        deadline: That of the call this is a part of; a call of its own takes one.
    """
    until = resources.take_deadline() if deadline is None else deadline
    store = await resources.store()
    if resources.origin.demo and not stored:
        wanted = list(dict.fromkeys([*symbols, measure.VIX]))
        await _updated(resources, wanted, deadline=until)
    now = measure.Now(dt.datetime.now(dt.UTC))
    if not stored:
        now = await measure.observe(
            resources.session, symbols, resources.settings, deadline=until, watch=resources.watch
        )
    if chain:
        now = await _with_chains(resources, now, symbols, fetch=not stored, deadline=until)
    return await measure.volatility(
        store,
        symbols,
        resources.settings,
        now=now,
        days=days,
        visits=None if stored or resources.origin.simulated else resources.visits(),
        smiles=smiles,
        keep=not stored,
        deadline=until,
    )


async def _with_chains(
    resources: Resources, now: measure.Now, symbols: Sequence[str], *, fetch: bool, deadline: float
) -> measure.Now:
    """
    *now* with the chain of the day of each symbol; with *fetch*, those that are missing too.

    Of a chain that was cut short the figures are taken, and what it lacks is the symbol's error.
    """
    store, chains = await resources.store(), dict(now.chains)
    for name in symbols:
        if (known := await measure.chain_of_the_day(store, name, now.at)) is not None:
            chains[name] = known
    wanted = [name for name in symbols if name not in chains and name not in now.errors]
    errors = dict(now.errors)
    if fetch and wanted:
        settings = with_rules(resources.settings, None, None, _RULES)
        for outcome in await fetch_all(resources, wanted, settings, deadline=deadline):
            if outcome.chain is not None:
                chains[outcome.symbol] = outcome.chain
                if outcome.chain.is_cut:
                    errors[outcome.symbol] = cut_short(outcome.chain)
            elif outcome.error is not None:
                errors[outcome.symbol] = outcome.error
    return replace(now, chains=chains, errors=errors)
