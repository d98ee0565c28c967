"""
The search with few quotes: estimates say what to ask for, and only what was quoted is proposed.

Pure and without a clock: a `Survey` holds what is known of one symbol, a `Hunt` says of several
what to ask for next, round by round, until no trade that lacks a quote could be among the best.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tomic._typing import BoolArray
from tomic.chain import Chain
from tomic.config import Settings
from tomic.models import OptionQuote, RowStatus, VolSnapshot
from tomic.selection import Wanted
from tomic.strategies import estimates, proposals, propose, search
from tomic.strategies.estimates import Estimated
from tomic.strategies.pricing.board import Board
from tomic.strategies.propose import Evaluation, Gated
from tomic.strategies.rules import Tally
from tomic.strategies.scoring import FitModel
from tomic.strategies.search import Contender, Hit

KEPT = 40
"""Trades of each strategy, variant and pair of expiries that are rescored, not sought anew."""
LEGS_OF = 6
"""Best estimates of each strategy and expiry whose legs are asked for in a round."""
ROUNDS = 6
MARGIN = 0.3
"""Points below the last place from which on an estimate is worth its quotes."""
GROUP_MARGIN = 1.0
"""Points below the best quoted trade of its strategy and expiry: the same for the others of it."""
COARSE_MARGIN = 2.0
"""Points below it from which on a symbol's best coarse estimate gets it no more quotes."""

Make = Callable[[Sequence[OptionQuote]], Chain]
"""The chain of rows, IV and Greeks filled in."""
Choose = Callable[[Sequence[Contender]], list[Contender]]
"""The walk down a ranking: which trades would be shown."""


@dataclass(slots=True, kw_only=True)
class Survey:
    """
    What is known of one symbol: which options are listed, and the quotes of those asked so far.

    Attributes:
        make: Builds its chain.
        kept: The best trades by estimate, best first, with their fit.
        tally: How the estimates were judged.
    """

    symbol: str
    vol: VolSnapshot
    settings: Settings
    gated: Gated
    make: Make
    book: FitModel | None = None
    listed: tuple[Wanted, ...] = ()
    quotes: dict[Wanted, OptionQuote] = field(default_factory=dict)
    estimated: Estimated | None = None
    """None before the first quotes, and again after a coarse look."""
    kept: tuple[Contender, ...] = ()
    tally: Tally = field(default_factory=Tally)
    _quoted: BoolArray = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))
    _is_quoted: Sequence[bool] = ()
    """The same for those who look at the few legs of thousands of trades."""
    _sought: Counter[tuple[object, ...]] = field(default_factory=Counter)
    """How many trades of each group were kept when it was searched."""
    _keep: int = 0
    """How many of a group the last search of everything kept; 0 before it."""
    _light: Board | None = None
    """What a coarse look left of its board."""
    has_quotes: bool = False
    """Whether any option has a quote with Greeks."""
    _chain: Chain | None = None
    """Of what was asked, once somebody wanted it."""

    def missing(self, options: Iterable[Wanted]) -> tuple[Wanted, ...]:
        """Those of *options* that were not asked for yet, each once."""
        return tuple(dict.fromkeys(option for option in options if option not in self.quotes))

    def learn(
        self,
        quotes: Mapping[Wanted, OptionQuote],
        listed: Sequence[Wanted] = (),
        *,
        coarse: bool = False,
    ) -> None:
        """
        Take in *quotes*, of options just asked; *listed* replaces what is known to exist.

        Of a *coarse* sample only the best of each group is kept: it is sampled again or put aside.
        """
        self.quotes |= {option: row for option, row in quotes.items() if self._is_news(option, row)}
        known = dict.fromkeys((*(listed or self.listed), *self.quotes))
        grown = len(known) != len(self.listed)
        self.listed = tuple(known) if grown else self.listed
        self.estimated = self._estimate()
        self._quoted, self._chain = self.estimated.quoted, None
        self._is_quoted = self._quoted.tolist()
        counts = self.estimated.chain.counts
        self.has_quotes = any(RowStatus(name) is RowStatus.OK for name in counts)
        # A book may like any of them best.
        keep = 1 if coarse and self.book is None else KEPT
        if grown or not self.kept or keep > self._keep:
            self._search(keep)
        else:
            self._rescore()
        if coarse:
            self._let_go()

    def _let_go(self) -> None:
        """
        Keep of the prices what the ranking of coarse looks needs: hundreds of symbols have one.

        What it is sampled again for, or asked in earnest, is computed from its quotes as before.
        """
        assert self.estimated is not None
        light = self.estimated.board.without_outlooks()
        self.kept = tuple(
            contender._replace(hit=replace(contender.hit, board=light)) for contender in self.kept
        )
        self._light, self.estimated = light, None

    def _priced(self) -> Estimated:
        """Every listed option priced, anew after a coarse look."""
        if self.estimated is None:
            self.estimated = self._estimate()
        return self.estimated

    def _is_news(self, option: Wanted, row: OptionQuote) -> bool:
        """Whether *row* says more than what is known: an answer that did not come takes nothing."""
        return row.status.is_final or option not in self.quotes

    def _estimate(self) -> Estimated:
        rows = [self.quotes.get(option) or unasked(option) for option in self.listed]
        chain = self.make(rows)
        keys = zip(
            chain["expiry"].tolist(), chain["strike"].tolist(), chain["right"].tolist(), strict=True
        )
        rows_of = {Wanted(*key): row for row, key in enumerate(keys)}
        asked = np.zeros(len(chain), dtype=np.bool_)
        asked[[rows_of[option] for option in self.quotes]] = True
        return estimates.complete(chain, asked, self.vol, self.settings)

    def _search(self, keep: int) -> None:
        assert self.estimated is not None
        self._keep = keep
        found = search.search(self.estimated.board, self.gated.templates, keep=keep)
        self.tally, self.kept = found.tally, self._with_fit(found.hits)
        self._sought = Counter(map(_group, found.hits))

    def _rescore(self) -> None:
        """Judge again what was kept; of a strategy that has little left to ask for, seek anew."""
        assert self.estimated is not None
        board = self.estimated.board
        hits = search.among(board, [contender.hit for contender in self.kept], keep=KEPT)
        left = Counter(_group(hit) for hit in hits if not self._are_quoted(hit.rows))
        spent = {group[0] for group, size in self._sought.items() if 2 * left[group] < size}
        if spent:
            again = [template for template in self.gated.templates if template.name in spent]
            found = search.seek(board, again, keep=KEPT)
            self._sought |= Counter(map(_group, found))
            # Quoted ones stay: they may be worth less than those that are now estimated.
            new = {_key(hit) for hit in found}
            hits = (*found, *(hit for hit in hits if _key(hit) not in new))
        self.kept = self._with_fit(sorted(hits, key=Hit.key))

    def _with_fit(self, hits: Sequence[Hit]) -> tuple[Contender, ...]:
        if self.book is None:
            return tuple(map(Contender, hits))
        fits = self.book.fits([proposals.prospect(hit) for hit in hits])
        both = (Contender(hit, fit) for hit, fit in zip(hits, fits, strict=True))
        return tuple(sorted(both, key=lambda contender: contender.key))

    @property
    def has_pairs(self) -> bool:
        """Whether a strategy of two expiries is sought."""
        return any(template.gap is not None for template in self.gated.templates)

    @property
    def chain(self) -> Chain:
        """The options that were asked for, and nothing else."""
        if self._chain is None:
            self._chain = self.make(list(self.quotes.values()))
        return self._chain

    @property
    def is_coarse(self) -> bool:
        """Whether only the best of each group are known."""
        return self._keep < KEPT

    @property
    def quoted(self) -> BoolArray:
        """Rows of the board with a true quote of their own."""
        return self._quoted

    def is_exact(self, contender: Contender) -> bool:
        """Whether every leg has its own bid and ask."""
        return self._are_quoted(contender.hit.rows)

    def _are_quoted(self, rows: Iterable[int]) -> bool:
        return all(map(self._is_quoted.__getitem__, rows))

    def exact(self) -> tuple[Contender, ...]:
        """Of what was kept, the trades with quotes on all legs."""
        return tuple(contender for contender in self.kept if self.is_exact(contender))

    def legs(self, contender: Contender) -> tuple[Wanted, ...]:
        """The options of a trade."""
        return legs_of(contender.hit)

    def keep(self, contenders: Iterable[Contender]) -> None:
        """Rescore *contenders* too from now on."""
        known = {_key(contender.hit) for contender in self.kept}
        new = [contender for contender in contenders if _key(contender.hit) not in known]
        self.kept = tuple(sorted((*self.kept, *new), key=lambda contender: contender.key))

    def sought(self) -> tuple[Contender, ...]:
        """The best of all trades of what was asked, found by a search of those alone."""
        return self._with_fit(search.seek(self._priced().of_asked(), self.gated.templates))

    def evaluation(self, *, with_trades: bool = True) -> Evaluation:
        """
        The symbol as `propose.evaluate` leaves it, of kept trades with quotes on all legs.

        Without them it is what became of all that were considered.
        """
        board, exact = self._light, tuple[Contender, ...]()
        if with_trades:
            priced = self._priced()
            hits = [contender.hit for contender in self.exact()]
            board, exact = priced.board, self._with_fit(search.among(priced.of_asked(), hits))
        elif self.estimated is not None:
            board = self.estimated.board
        assert board is not None
        return propose.assessed(
            board, self.gated, exact, self.tally, asked=self.chain, notes=(self._note(),)
        )

    def _note(self) -> str:
        return (
            f"{len(self.quotes)} of {len(self.listed)} options quoted, the others estimated to "
            "choose them; refusals are counted on estimates"
        )


def _group(hit: Hit) -> tuple[object, ...]:
    return hit.template.name, hit.template.side, hit.expiries


def _key(hit: Hit) -> tuple[object, ...]:
    return hit.template.name, hit.template.side, hit.expiries, hit.rows


def legs_of(hit: Hit) -> tuple[Wanted, ...]:
    """The options of a trade."""
    chain = hit.board.chain
    return tuple(
        Wanted(chain["expiry"][row].item(), float(chain["strike"][row]), leg.right)
        for row, leg in zip(hit.rows, hit.template.legs, strict=True)
    )


def unasked(option: Wanted) -> OptionQuote:
    """The row of an option that is listed and was not asked for."""
    return OptionQuote(
        expiry=option.expiry,
        dte=0,
        strike=option.strike,
        right=option.right,
        status=RowStatus.NO_QUOTE,
        greeks_source="none",
    )


@dataclass(slots=True, kw_only=True)
class Hunt:
    """
    Several surveys on the way to one ranking.

    Attributes:
        choose: What would be shown of some trades, in the order of the ranking.
        top: How many, overall or with *by_strategy* of each strategy.
        others: Trades of symbols that were searched whole.
        margin, coarse_margin: As `MARGIN` and `COARSE_MARGIN`.
        aside: Surveys that get no more quotes, unless the ranking turns out lower than estimated.
    """

    surveys: dict[str, Survey]
    choose: Choose
    top: int
    others: tuple[Contender, ...] = ()
    by_strategy: bool = False
    margin: float = MARGIN
    coarse_margin: float = COARSE_MARGIN
    legs_of: int = LEGS_OF
    rounds: int = 0
    aside: dict[str, Survey] = field(default_factory=dict)

    def in_the_running(self) -> set[str]:
        """
        Symbols whose best coarse estimate is near enough to what would be shown.

        Most trades of two expiries are refused once they are quoted, so those of one expiry are
        held to a ranking of their own kind: not to places that may turn out empty.
        """
        everything = [contender for survey in self.surveys.values() for contender in survey.kept]
        bars, plain_bars = self._bars(everything), self._bars(list(filter(_is_plain, everything)))
        return {
            survey.symbol
            for survey in self.surveys.values()
            if any(
                contender.score
                >= _bar(plain_bars if _is_plain(contender) else bars, contender)
                - self.coarse_margin
                for contender in survey.kept
            )
        }

    def put_aside(self) -> set[str]:
        """Leave all that is not in the running, and say what is."""
        running = self.in_the_running()
        self.aside = {name: survey for name, survey in self.surveys.items() if name not in running}
        self.surveys = {name: survey for name, survey in self.surveys.items() if name in running}
        return running

    def take_back(self) -> set[str]:
        """
        After the rounds: symbols that were put aside and would be shown, now in the running again.

        Their coarse estimates are held to what was quoted, which refusals have brought down.
        """
        bars = self._exact_bars()
        back = {
            name
            for name, survey in self.aside.items()
            if any(contender.score >= _bar(bars, contender) for contender in survey.kept)
        }
        self.surveys |= {name: self.aside.pop(name) for name in back}
        self.rounds = min(self.rounds, 1) if back else self.rounds
        return back

    def wanted(self) -> dict[str, tuple[Wanted, ...]]:
        """
        What to ask for in the next round, by symbol; empty when it is over.

        Of each strategy and pair of expiries with an estimate that would be shown, the legs of its
        best ones above the bar: the last place among trades that are quoted, less the margin.
        """
        if self.rounds >= ROUNDS:
            return {}
        rivals = [contender for survey in self.surveys.values() for contender in survey.exact()]
        bars = self._bars(rivals)
        if self.rounds == 0 or not bars:
            rivals = [contender for survey in self.surveys.values() for contender in survey.kept]
            bars = self._bars(rivals)
        self.rounds += 1
        near = {
            key: contender
            for key, contender in _best_of_groups([*self.others, *rivals]).items()
            if contender.score >= _bar(bars, contender) - self.margin
        }
        wanted = {
            symbol: survey.missing(self._promising(survey, bars, near))
            for symbol, survey in self.surveys.items()
        }
        return {symbol: options for symbol, options in wanted.items() if options}

    def _would_be_shown(self, contender: Contender, rivals: Mapping[object, Contender]) -> bool:
        """Whether a trade would have a place among *rivals* of other groups, the margin added."""
        hit = replace(contender.hit, score=contender.hit.score + self.margin)
        own = _group_of(contender)
        others = [contender for key, contender in rivals.items() if key != own]
        chosen = self.choose([*others, contender._replace(hit=hit)])
        return any(contender.hit is hit for contender in chosen)

    def _promising(
        self, survey: Survey, bars: Mapping[str, float], rivals: Mapping[object, Contender]
    ) -> list[Wanted]:
        legs: list[Wanted] = []
        shown: dict[object, bool] = {}
        taken: dict[object, int] = defaultdict(int)
        best: dict[object, float] = {}
        for contender in survey.exact():
            best.setdefault(_group(contender.hit), contender.score)
        for contender in survey.kept:
            key = _group(contender.hit)
            # Of a group one is shown, so what is quoted there is a bar of its own.
            bar = max(_bar(bars, contender) - self.margin, best.get(key, -np.inf) - GROUP_MARGIN)
            if contender.score < bar or taken[key] >= self.legs_of or survey.is_exact(contender):
                continue
            # Where the best of a group would not be shown, no other of it would.
            if key not in shown:
                shown[key] = self._would_be_shown(contender, rivals)
            if shown[key]:
                taken[key] += 1
                legs += survey.legs(contender)
        return legs

    def _exact_bars(self) -> dict[str, float]:
        return self._bars(
            [contender for survey in self.surveys.values() for contender in survey.exact()]
        )

    def _bars(self, contenders: Sequence[Contender]) -> dict[str, float]:
        """Score of the last place, by strategy where each has its own ranking; {} where fewer."""
        # Of a group one is shown at most, and thousands are kept.
        chosen = self.choose([*self.others, *_best_of_groups(contenders).values()])
        if not self.by_strategy:
            return {"": chosen[-1].score} if len(chosen) >= self.top else {}
        scores: dict[str, list[float]] = defaultdict(list)
        for contender in chosen:
            scores[contender.hit.template.name].append(contender.score)
        return {name: of_it[-1] for name, of_it in scores.items() if len(of_it) >= self.top}


def _group_of(contender: Contender) -> tuple[object, ...]:
    return contender.hit.board.chain.symbol, *_group(contender.hit)


def _best_of_groups(contenders: Iterable[Contender]) -> dict[object, Contender]:
    best: dict[object, Contender] = {}
    for contender in sorted(contenders, key=lambda contender: -contender.score):
        best.setdefault(_group_of(contender), contender)
    return best


def _is_plain(contender: Contender) -> bool:
    return contender.hit.expiries[1] is None


def _bar(bars: Mapping[str, float], contender: Contender) -> float:
    """Without a bar every estimate is worth asking."""
    return bars.get("", bars.get(contender.hit.template.name, -np.inf))
