"""
The scan with few quotes: a coarse pass, a sample, rounds of legs that matter, and all legs again.

What to ask for is decided in `strategies.survey`; this is the asking. Every proposal that is shown
has a quote of its own on each leg, asked for last of all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ParamSpec, TypeVar

from tomic import errors
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import OptionQuote, VolSnapshot
from tomic.selection import Wanted
from tomic.strategies import sampling, windows
from tomic.strategies.propose import Evaluation, Gated
from tomic.strategies.scoring import FitModel
from tomic.strategies.survey import Choose, Hunt, Survey, legs_of
from tomic.workflows.chain import fetch
from tomic.workflows.chain.portions import Portions
from tomic.workflows.progress import Event, counted
from tomic.workflows.resources import Resources
from tomic.workflows.volatility.measure import keep_chain, remember_chain

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 12
"""Symbols asked at the same time: a sample is over before details of contracts have come."""
_CONFIRMATIONS = 4
"""How often the last places may change hands when their legs are quoted again."""


@dataclass(slots=True)
class _Asked:
    """One symbol on its way."""

    portions: Portions
    survey: Survey
    sigma: float

    def sample(self, *, coarse: bool, strikes: int) -> tuple[Wanted, ...]:
        """The options of its coarse or whole sample, as far as it is known what is listed."""
        setup = self.portions.setup
        pairs = self.survey.has_pairs
        pick = partial(sampling.coarse, pairs=pairs) if coarse else sampling.sample
        return pick(self.portions.options, setup.spot.price, setup.today, self.sigma, strikes)


@dataclass(slots=True, kw_only=True)
class SampledScan:
    """
    Symbols of one scan that are sampled.

    Attributes:
        settings: Those of the resources, with the views of this scan.
        deadline: Of all that is asked, a time of the running loop.
        coarse: Whether each symbol is looked at coarsely first.
        choose, top, by_strategy: As of `Hunt`.
        failures: Symbols that were given up, and why; those of the scan.
    """

    resources: Resources
    settings: Settings
    deadline: float
    choose: Choose
    top: int
    by_strategy: bool
    coarse: bool
    failures: dict[str, errors.TomicError]
    book: FitModel | None = None
    _computing: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 1))
    _asked: dict[str, _Asked] = field(default_factory=dict)
    _confirmed: dict[str, set[Wanted]] = field(default_factory=dict)

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._asked

    async def begin(self, symbol: str, vol: VolSnapshot, gated: Gated) -> bool:
        """
        Ask for the first sample of *symbol*; False where its market is closed: see `fetch`.

        Raises:
            TomicError: It cannot be had.
        """
        resources, settings = self.resources, self.settings
        choose = partial(windows.choose_for, gated.templates, windows.unthinned(settings.scan))
        request = await fetch.request_for(resources, symbol, settings, self.deadline, choose)
        portions = await Portions.opened(request)
        if not portions.setup.is_open:
            return False
        if resources.recording is not None:
            resources.recording.note_spot(symbol, portions.setup.spot)
        survey = Survey(
            symbol=symbol,
            vol=vol,
            settings=settings,
            gated=gated,
            make=portions.chain,
            book=self.book,
        )
        sigma = portions.setup.ticks.implied_volatility or vol.iv30 or windows.UNKNOWN_VOLATILITY
        asked = _Asked(portions, survey, sigma)
        await self._sample(asked, coarse=self.coarse)
        if not survey.has_quotes:
            chain = survey.chain
            if chain.is_cut:
                raise fetch.cut_short(chain)
            raise errors.DataError(f"{symbol}: no option has a quote and Greeks: {chain.gaps}")
        self._asked[symbol] = asked
        return True

    async def _sample(self, asked: _Asked, *, coarse: bool) -> None:
        """A sample, and what takes the place of strikes that turned out not to be listed."""
        strikes = self.settings.scan.sample
        quotes: dict[Wanted, OptionQuote] = {}
        for _ in range(2):
            wanted = asked.sample(coarse=coarse, strikes=strikes)
            missing = [one for one in asked.survey.missing(wanted) if one not in quotes]
            if not missing or self._is_over():
                break
            quotes |= await asked.portions.quote(missing)
        await self._learn(asked, quotes, coarse=coarse)

    async def _learn(
        self, asked: _Asked, quotes: Mapping[Wanted, OptionQuote], *, coarse: bool = False
    ) -> None:
        if not quotes:
            return
        days = {option.expiry for option in (*asked.survey.listed, *quotes)}
        listed = asked.portions.listed(days)
        await self._compute(asked.survey.learn, quotes, listed, coarse=coarse)

    async def finish(self, others: Sequence[Evaluation]) -> list[Evaluation]:
        """
        Rounds and the quotes of what will be shown; the evaluations of all that were begun.

        Args:
            others: Symbols that were searched whole, which compete for the same places.
        """
        hunt = Hunt(
            surveys={symbol: asked.survey for symbol, asked in sorted(self._asked.items())},
            choose=self.choose,
            top=self.top,
            by_strategy=self.by_strategy,
            others=tuple(one for other in others for one in other.contenders),
        )
        if self.coarse and hunt.surveys:
            running = await self._compute(hunt.put_aside)
            self._tell(f"sampling {len(running)} of {len(self._asked)} symbols")
            await self._each(running, partial(self._sample, coarse=False))
        await self._rounds(hunt)
        while not self._is_over() and (back := await self._compute(hunt.take_back)):
            self._tell(f"sampling {len(back)} more symbols")
            await self._each(back, partial(self._sample, coarse=False))
            await self._rounds(hunt)
        for symbol in sorted(await self._compute(hunt.in_the_running)):
            survey = hunt.surveys[symbol]
            survey.keep(await self._compute(survey.sought))
        await self._confirm(hunt)
        return [
            await self._compute(self._evaluation, symbol, is_over=self._is_over())
            for symbol in sorted(self._asked)
        ]

    async def _rounds(self, hunt: Hunt) -> None:
        while not self._is_over() and (wanted := await self._compute(hunt.wanted)):
            count = sum(map(len, wanted.values()))
            asked = f"{counted(count, 'option')} of {counted(len(wanted), 'symbol')}"
            self._tell(f"round {hunt.rounds}: {asked}")
            await self._quote(wanted)

    async def _confirm(self, hunt: Hunt) -> None:
        """Quote the legs of what would be shown once more, until they all have been."""
        for _ in range(_CONFIRMATIONS):
            exact = [one for survey in hunt.surveys.values() for one in survey.exact()]
            shown = self.choose([*hunt.others, *exact])
            wanted: dict[str, tuple[Wanted, ...]] = {}
            for one in shown:
                symbol = one.hit.board.chain.symbol
                if symbol in hunt.surveys:
                    fresh = self._confirmed.setdefault(symbol, set())
                    legs = [leg for leg in legs_of(one.hit) if leg not in fresh]
                    wanted[symbol] = tuple(dict.fromkeys((*wanted.get(symbol, ()), *legs)))
            wanted = {symbol: legs for symbol, legs in wanted.items() if legs}
            if not wanted or self._is_over():
                break
            self._tell(f"quoting {sum(map(len, wanted.values()))} legs again")
            await self._quote(wanted, confirm=True)

    async def _quote(
        self, wanted: Mapping[str, Sequence[Wanted]], *, confirm: bool = False
    ) -> None:
        async def ask(asked: _Asked) -> None:
            symbol = asked.survey.symbol
            quotes = await asked.portions.quote(wanted[symbol])
            await self._learn(asked, quotes)
            if confirm:
                answered = {one for one, row in quotes.items() if row.status.is_final}
                self._confirmed.setdefault(symbol, set()).update(answered)

        await self._each(wanted, ask)

    async def _each(self, symbols: Iterable[str], job: Callable[[_Asked], Awaitable[None]]) -> None:
        """Do *job* for each, a few at once; one that fails is given up alone."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def do(symbol: str) -> None:
            async with gate:
                try:
                    await job(self._asked[symbol])
                except errors.TomicError as exc:
                    self.failures[symbol] = exc

        with errors.ungrouped():
            async with asyncio.TaskGroup() as group:
                for symbol in symbols:
                    group.create_task(do(symbol), name=f"tomic scan {symbol}")

    def _evaluation(self, symbol: str, *, is_over: bool) -> Evaluation:
        """A symbol with only the trades whose legs were all quoted, and again if there was time."""
        survey = self._asked[symbol].survey
        if is_over:
            if survey.is_coarse:
                survey.keep(survey.sought())
            return survey.evaluation()
        fresh = self._confirmed.get(symbol, set())
        own = survey.evaluation(with_trades=bool(fresh))
        exact = [one for one in own.contenders if fresh.issuperset(legs_of(one.hit))]
        return replace(own, contenders=tuple(exact))

    async def _compute(self, job: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """
        Do *job* in a thread, one at a time.

        Kernels are pure, and the session must go on answering meanwhile: several at once would
        fight it and each other for the interpreter, which only their loops give up.
        """
        async with self._computing:
            return await asyncio.to_thread(job, *args, **options)

    def _is_over(self) -> bool:
        """Whether nothing more may be asked."""
        late = asyncio.get_running_loop().time() >= self.deadline
        return late or self.resources.interrupted

    def _tell(self, text: str) -> None:
        self.resources.watch(Event("stage", "", text))

    async def keep_chains(self) -> None:
        """
        Store what was quoted, marked as a sample where it is one.

        Raises:
            StoreError: The store cannot be used.
        """
        store = await self.resources.store()
        for asked in self._asked.values():
            chain: Chain = asked.survey.chain
            if chain.fetch.sampled:
                # Its volatility was measured before; a part changes nothing of that.
                await keep_chain(store, chain, self.settings)
            else:
                await remember_chain(store, chain, self.settings)
