"""
Chains by the rules asked for: fetched, kept, and priced where the gateway gives no spot.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from pydantic import ValidationError

from tomic import selection
from tomic.config.market import ChainSettings
from tomic.errors import StoreError, UsageError
from tomic.models import DataType, Spot, SpotSource
from tomic.models.documents import first_fault
from tomic.workflows.chain.fetch import ChainOutcome, fetch_chain, fetch_chains
from tomic.workflows.chain.setup import ChainRequest, ContractMemory

if TYPE_CHECKING:
    from tomic.chain import Chain
    from tomic.config import Settings
    from tomic.models import Underlying, VolSnapshot
    from tomic.workflows.chain.setup import Chooser, SpotFallback
    from tomic.workflows.resources import Resources

_RECORDED_SPOT_S = 0.5


async def fetch(
    resources: Resources,
    symbol: str,
    settings: Settings,
    deadline: float,
    choose: Chooser | None = None,
    *,
    keep: bool = True,
    rank: int = 0,
) -> tuple[Chain, VolSnapshot | None]:
    """
    One chain, and the figures beside it when it is kept in the store.

    Args:
        settings: Those of *resources*, or with rules of their own.
        choose: Picks the options instead of the rules of *settings*.
        keep: Whether it may stand for the chain of the day.
        rank: Place among several that are fetched at once.
    """
    session = await resources.session(symbol)
    recorded_spot = resources.stand_in.recorded_spot if resources.stand_in else None
    if recorded_spot is not None:
        settings = _less_patient(settings)
    # A recording must hold the contracts too, so it takes none from the store.
    forgetful = resources.origin.simulated or resources.recording is not None
    memory = None if forgetful else ContractMemory(await resources.store(), session.note)
    request = ChainRequest(
        session,
        symbol,
        settings,
        memory=memory,
        deadline=deadline,
        watch=resources.watch,
        spot_fallback=_fallback(resources),
        recorded_spot=recorded_spot,
        choose=choose,
        # The same seed is to give the same document, its count of messages included.
        eager=resources.origin.paced or not resources.origin.demo,
        rank=rank,
    )
    chain = await fetch_chain(request)
    if resources.recording is not None:
        resources.recording.note_spot(symbol, chain.spot)
    return chain, await _remembered(resources, chain) if keep else None


async def fetch_all(
    resources: Resources,
    symbols: Sequence[str],
    settings: Settings,
    *,
    deadline: float | None = None,
    on_done: Callable[[ChainOutcome], None] | None = None,
) -> list[ChainOutcome]:
    """
    The chains of *symbols* at once, within one deadline; an outcome per symbol, in order.

    Args:
        deadline: That of the call this is a part of; a call of its own takes one.

    Raises:
        UsageError: Several symbols of one recording.
        SessionError: The gateway cannot be reached.
    """
    if resources.origin.replay is not None and len(set(symbols)) > 1:
        raise UsageError("a recording holds one symbol; name one")
    if not symbols:
        resources.waive_deadline()
        return []
    until = resources.take_deadline(settings.chain.deadline_s) if deadline is None else deadline
    await resources.session(symbols[0])
    return await fetch_chains(
        lambda symbol, place: fetch(resources, symbol, settings, until, rank=place),
        symbols,
        on_done=on_done,
    )


async def quoted(
    resources: Resources, symbol: str, choose: Chooser, deadline: float, *, keep: bool = True
) -> Chain:
    """A chain of just the options that *choose* picks, by the deadline of the whole call."""
    chain, _ = await fetch(resources, symbol, resources.settings, deadline, choose, keep=keep)
    return chain


def with_rules(
    settings: Settings,
    dte: int | tuple[int, int | None] | str | None,
    delta: tuple[float, float] | str | None,
    rules: Mapping[str, Any],
) -> Settings:
    """
    Settings with another section ``chain``.

    Raises:
        UsageError: A key is unknown or a value cannot be right.
    """
    changes = dict(rules)
    if isinstance(dte, SupportsIndex):
        changes["min_dte"], changes["max_dte"] = operator.index(dte), None
    elif isinstance(dte, str):
        changes["min_dte"], changes["max_dte"] = selection.parse_dte(dte)
    elif dte is not None:
        changes["min_dte"], changes["max_dte"] = _ends(dte, "dte", "15, (15, 60) or '15:60'")
    if isinstance(delta, str):
        changes["min_delta"], changes["max_delta"] = selection.parse_delta(delta)
    elif delta is not None:
        ends = _ends(delta, "delta", "(-0.8, 0.8) or '-0.8:0.8'")
        changes["min_delta"], changes["max_delta"] = ends
    if not changes:
        return settings
    try:
        chain = ChainSettings.model_validate({**settings.chain.model_dump(), **changes})
    except ValidationError as exc:
        raise UsageError(first_fault(exc)) from exc
    return settings.model_copy(update={"chain": chain})


def _ends(given: Any, name: str, form: str) -> tuple[Any, Any]:
    """Both ends of a range."""
    try:
        low, high = given
    except (TypeError, ValueError):
        raise UsageError(f"{name}={given!r}: write {form}") from None
    return low, high


async def _remembered(resources: Resources, chain: Chain) -> VolSnapshot | None:
    """The figures beside *chain*; None when the store cannot be used, which costs no chain."""
    from tomic.workflows.volatility.measure import remember_chain

    try:
        return await remember_chain(await resources.store(), chain, resources.settings)
    except StoreError as exc:
        resources.note(f"{exc}; volatility history left out")
        return None


def _fallback(resources: Resources) -> SpotFallback:
    """What gives a price when the gateway has none: a public page, or what was recorded of it."""

    async def recorded(underlying: Underlying) -> Spot | None:
        return resources.stand_in.web_spots.get(underlying.symbol) if resources.stand_in else None

    async def visited(underlying: Underlying) -> Spot | None:
        visits = resources.visits()
        page = await visits.page(underlying.symbol) if visits is not None else None
        if page is None or page.spot_price is None:
            return None
        return Spot(
            price=page.spot_price,
            source=SpotSource.WEB,
            data_type=DataType.DELAYED,
            as_of=page.fetched_at,
        )

    return recorded if resources.origin.simulated else visited


def _less_patient(settings: Settings) -> Settings:
    """A recorded chain of which the price is known has no quote of the underlying to wait for."""
    patience_s = min(_RECORDED_SPOT_S, settings.market.spot_timeout_s)
    market = settings.market.model_copy(update={"spot_timeout_s": patience_s})
    return settings.model_copy(update={"market": market})
