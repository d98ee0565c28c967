"""From a chain to the best trades, and why: pure, without clock or network."""

from __future__ import annotations

import datetime as dt
import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol, Self, TypeVar

import numpy as np
from pydantic import ValidationError

from tomic._keywords import suggests
from tomic._typing import IntArray
from tomic.chain import Chain
from tomic.config import ScanSettings, ScoreWeights, Settings, View
from tomic.errors import UsageError
from tomic.models import (
    NearestMiss,
    Refusal,
    RuleCount,
    ScanResult,
    Side,
    SymbolOutcome,
    VolSnapshot,
    settles_in_cash,
)
from tomic.models.documents import first_fault
from tomic.strategies import managed, proposals, reach, rules, scoring, search, thesis
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.strategies.pricing.outlooks import Densities
from tomic.strategies.rules import CandidateGroup, Tally, near_misses
from tomic.strategies.scoring import NO_BOOK, FitModel
from tomic.strategies.search import Contender
from tomic.strategies.why_not import explain_trade

__all__ = [
    "Evaluation",
    "Gated",
    "all_open",
    "evaluate",
    "explain_trade",
    "open_gates",
    "propose",
    "rank",
    "with_views",
]

KEEP = 32
"""Candidates kept of a group, for alternatives and for the fit before its first bound is known."""


FEW_SYMBOLS = 3
"""With fewer symbols than this there is no limit per symbol."""

Views = Mapping[str, View | Mapping[str, float]]
"""Symbol to what is expected of it."""
Correlations = Mapping[frozenset[str], float]
"""Return correlation of two symbols; a pair that is absent is not known and costs nothing."""


@dataclass(frozen=True, eq=False)
class Gated:
    """The strategies that a symbol's volatility lets through, and those it does not."""

    templates: tuple[Template, ...]
    refused: tuple[Refusal, ...]
    unknown: Mapping[str, tuple[str, ...]]
    """Strategy to notes on gates whose figure is unknown."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One symbol, searched: its best candidates and what became of the others."""

    symbol: str
    contenders: tuple[Contender, ...]
    passed: Mapping[CandidateGroup, int]
    considered: int
    rejected: tuple[RuleCount, ...]
    nearest_misses: tuple[NearestMiss, ...]
    gated: Gated
    outcome: SymbolOutcome
    standings: Mapping[str, IntArray] = field(default_factory=dict)
    """Strategy to how many of those that passed score what; see `scoring.counted`."""
    unfit: tuple[dt.date, ...] = ()
    """Expiries with quotes that no smile fits; they were not searched."""


def open_gates(
    vol: VolSnapshot, settings: Settings, strategies: str | Sequence[str] | None = None
) -> Gated:
    """
    Which strategies are worth a chain of this symbol; ask before fetching one.

    Args:
        vol: Figures of the symbol; what is unknown does not refuse.
        settings: Its ``strategies`` change the catalogue, its ``scan`` chooses from it.
        strategies: Names instead of ``scan.strategies`` and the profile's.

    Raises:
        ConfigError: A strategy or field that does not exist.
    """
    passed: list[Template] = []
    refused: list[Refusal] = []
    unknown: dict[str, tuple[str, ...]] = {}
    in_cash = settles_in_cash(vol.symbol, indices=settings.market.indices)
    for template in templates.choose(settings, strategies):
        refusal = rules.no_shares(template, vol.symbol) if in_cash else None
        if refusal is not None:
            refused.append(refusal)
            continue
        result = rules.gate(template, vol, settings)
        refused += result.reasons
        if result.passed:
            passed.append(template)
            unknown[template.name] = result.unknown
    return Gated(tuple(passed), tuple(refused), unknown)


def all_open(strategy: str, settings: Settings) -> Gated:
    """
    One strategy as if its gates were open, for judging a trade that the user asks about.

    Raises:
        ConfigError: There is no such strategy.
    """
    return Gated(templates.choose(settings, (strategy,)), (), {})


def evaluate(
    chain: Chain,
    vol: VolSnapshot,
    settings: Settings | None = None,
    *,
    strategies: str | Sequence[str] | None = None,
    book: FitModel | None = None,
    gated: Gated | None = None,
    densities: Densities | None = None,
) -> Evaluation:
    """
    Search one chain: all candidates of all strategies that pass their gates.

    The best of every strategy and expiry stay arrays and rows; `rank` makes models of the few
    that are shown.

    Args:
        densities: Your own by expiry, as of `propose`.
    """
    settings = settings or Settings()
    boards.check_volatility(vol, chain)
    gated = _deliverable(gated or open_gates(vol, settings, strategies), chain)
    board = boards.prepare(chain, vol, settings, densities)
    searched, contenders = _with_fit(board, gated.templates, book)
    gated = replace(gated, refused=(*gated.refused, *reach.out_of_reach(board, gated.templates)))
    return assessed(board, gated, contenders, searched.tally)


def assessed(
    board: Board,
    gated: Gated,
    contenders: Sequence[Contender],
    tally: Tally,
    *,
    asked: Chain | None = None,
    notes: Sequence[str] = (),
) -> Evaluation:
    """
    A searched board as an evaluation: *contenders* are the best, *tally* what became of all.

    Args:
        asked: What was asked for, where the board holds more.
    """
    chain = board.chain if asked is None else asked
    blind = [f"{day}: {why}" for day, why in board.blind.items()]
    counts = tally.counts()
    unquoted = len(board.blind) - len(board.unfit)
    for rule, count in (
        ("expiry_without_quotes", unquoted),
        ("expiry_without_smile", len(board.unfit)),
    ):
        if count:
            counts += (RuleCount(rule=rule, kind="no_data", count=count),)
    outcome = SymbolOutcome(
        symbol=chain.symbol,
        cut=chain.cut,
        considered=tally.considered,
        passed=sum(tally.passed.values()),
        as_of=chain.as_of,
        notes=(*board.notes, *notes, *blind),
    )
    return Evaluation(
        symbol=chain.symbol,
        contenders=tuple(contenders),
        passed=Counter(one.hit.group for one in contenders) | tally.passed,
        considered=tally.considered,
        rejected=counts,
        nearest_misses=near_misses(tally, board),
        gated=gated,
        outcome=outcome,
        standings=tally.standings,
        unfit=tuple(board.unfit),
    )


def settled(evaluation: Evaluation, scan: ScanSettings, *, symbols: int) -> Evaluation:
    """
    *evaluation* without the candidates that `rank` cannot show, whatever other symbols bring.

    Of a strategy and side a symbol shows its best trades of different theses, at most
    ``scan.max_per_symbol``: each that comes before another bars it, or is barred itself by what
    bars the other too. They keep their runners-up. What its board can compute again is let go, so
    that a scan of hundreds of symbols holds no more than a scan of a few.

    Args:
        symbols: How many are scanned; below `FEW_SYMBOLS` nothing limits one, and all are kept.
    """
    if symbols < FEW_SYMBOLS:
        return evaluation
    sides: dict[tuple[str, Side], list[Contender]] = {}
    for contender in evaluation.contenders:
        sides.setdefault((contender.group.strategy, contender.group.side), []).append(contender)
    kept: dict[int, Contender] = {}
    for members in sides.values():
        most = scan.max_per_symbol
        for best in walk(members, scan, top=most, symbols=symbols, per_strategy=most):
            later = thesis.runners_up(best, evaluation.contenders)
            kept |= {id(contender): contender for contender in (best, *later)}
    for board in {id(one.hit.board): one.hit.board for one in kept.values()}.values():
        board.forget()
    # In their order: of equal ones the first leads.
    left = tuple(one for one in evaluation.contenders if id(one) in kept)
    narrow = {
        name: counts.astype(np.min_scalar_type(int(counts.max())))
        for name, counts in evaluation.standings.items()
    }
    return replace(evaluation, contenders=left, standings=narrow)


def contending(
    evaluations: Mapping[str, Evaluation], choose: Chooser, scan: ScanSettings
) -> dict[str, Evaluation]:
    """
    *evaluations* by symbol, without the candidates of symbols that can no longer be shown.

    A symbol is out when its best lies below as many others as bar a place whatever happens: twice
    those that are shown, as each of these takes a place of its symbol and one of its strategy, less
    what a correlation may cost them. A trade is out too when as many other symbols as are shown
    have a better one of its strategy: before it each of them has a place, or its strategy is full.

    Args:
        choose: What would be shown, without correlations.
    """
    full, choose = _full_strategies(evaluations, choose.top), choose.twice()
    leading = choose.walk([one for each in evaluations.values() for one in each.contenders])
    scores: dict[str, list[float]] = {}
    for one in leading:
        scores.setdefault(one.group.strategy if choose.by_strategy else "", []).append(one.score)
    bars = {
        name: of_it[-1] * (1.0 - scan.correlation_penalty)
        for name, of_it in scores.items()
        if len(of_it) >= choose.top
    }

    def is_out(one: Contender) -> bool:
        strategy = one.group.strategy
        led = bars.get(strategy if choose.by_strategy else "", -math.inf)
        crowded = full.get(strategy, -math.inf) * (1.0 - scan.correlation_penalty)
        return one.score < max(led, crowded) - search.ROUNDING

    return {
        symbol: replace(each, contenders=()) if all(map(is_out, each.contenders)) else each
        for symbol, each in evaluations.items()
    }


def _full_strategies(evaluations: Mapping[str, Evaluation], places: int) -> dict[str, float]:
    """Of strategies that *places* symbols have: the least of the scores of the best so many."""
    best: dict[str, dict[str, float]] = {}
    for symbol, each in evaluations.items():
        for one in each.contenders:
            of_it = best.setdefault(one.group.strategy, {})
            of_it[symbol] = max(one.score, of_it.get(symbol, -math.inf))
    return {
        strategy: heapq.nlargest(places, of_it.values())[-1]
        for strategy, of_it in best.items()
        if 0 < places <= len(of_it)
    }


def _deliverable(gated: Gated, chain: Chain) -> Gated:
    """Without the strategies that hold shares, where the underlying has none."""
    if not chain.underlying.settles_in_cash:
        return gated
    refused = {
        template: refusal
        for template in gated.templates
        if (refusal := rules.no_shares(template, chain.symbol)) is not None
    }
    left = tuple(template for template in gated.templates if template not in refused)
    return replace(gated, templates=left, refused=(*gated.refused, *refused.values()))


def _with_fit(
    board: Board, wanted: Sequence[Template], book: FitModel | None
) -> tuple[search.SearchResult, tuple[Contender, ...]]:
    """The best of each group with their fit; more of them until no other can be better."""
    if book is None:
        searched = search.search(board, wanted, keep=KEEP)
        return searched, tuple(map(Contender, searched.hits))
    keep = KEEP
    while True:
        searched = search.search(board, wanted, keep=keep)
        fits = book.fits([proposals.prospect(hit) for hit in searched.hits])
        contenders = tuple(
            Contender(hit, fit) for hit, fit in zip(searched.hits, fits, strict=True)
        )
        if _settled(contenders, keep):
            return searched, contenders
        keep *= 4


def _settled(contenders: Sequence[Contender], keep: int) -> bool:
    """Whether in each group the best with fit beats all that were left out, whose fit is <= 1."""
    groups: dict[tuple[object, ...], list[Contender]] = {}
    for contender in contenders:
        groups.setdefault((*contender.hit.group, contender.hit.expiries), []).append(contender)
    return all(
        len(members) < keep
        or max(member.score for member in members) >= min(member.hit.score for member in members)
        for members in groups.values()
    )


def rank(
    evaluations: Sequence[Evaluation],
    settings: Settings | None = None,
    *,
    top: int | None = None,
    by_strategy: bool = False,
    correlations: Correlations | None = None,
    failed: Sequence[SymbolOutcome] = (),
    with_book: bool = False,
) -> ScanResult:
    """
    One ranking over all symbols, walked from the top.

    Args:
        evaluations: From `evaluate`, one a symbol.
        settings: Limits of the walk.
        top: How many to show; None takes ``scan.top``.
        by_strategy: The best *top* of each strategy instead.
        correlations: Return correlation of pairs of symbols; unknown pairs cost nothing.
        failed: Symbols that could not be evaluated, and why.
        with_book: Whether the fit to a portfolio was known.
    """
    settings = settings or Settings()
    contenders = [contender for evaluation in evaluations for contender in evaluation.contenders]
    symbols = len(evaluations) + len(failed)
    chosen = chooser(settings, top, symbols, correlations, by_strategy).walk(contenders)
    by_symbol = {evaluation.symbol: evaluation for evaluation in evaluations}
    standings = _standings(evaluations)
    shown = []
    for place, contender in enumerate(chosen, 1):
        origin = by_symbol[contender.hit.board.chain.symbol]
        shown.append(
            proposals.describe(
                contender,
                rank=place,
                alternatives=thesis.others(contender.hit, origin.passed),
                similar=thesis.alternatives(contender, origin.contenders),
                notes=rules.of_interest(
                    origin.gated.unknown.get(contender.hit.template.name, ()),
                    contender.hit.board.chain.underlying,
                ),
                percentile=scoring.percentile(
                    standings[contender.hit.template.name], contender.hit.score
                ),
            )
        )
    return ScanResult(
        proposals=managed.with_outcomes([contender.hit for contender in chosen], shown),
        considered=sum(evaluation.considered for evaluation in evaluations),
        passed=sum(sum(evaluation.passed.values()) for evaluation in evaluations),
        rejected=_summed(evaluations),
        nearest_misses=_nearest(evaluations),
        gated=tuple(refusal for evaluation in evaluations for refusal in evaluation.gated.refused),
        outcomes=tuple(
            sorted(
                (*(evaluation.outcome for evaluation in evaluations), *failed),
                key=lambda outcome: outcome.symbol,
            )
        ),
        notes=(
            *_without_smile(evaluations),
            *_unreachable(evaluations),
            *(() if with_book else (NO_BOOK,)),
        ),
        as_of=max(
            (evaluation.outcome.as_of for evaluation in evaluations if evaluation.outcome.as_of),
            default=None,
        ),
    )


@suggests
def propose(
    chain: Chain,
    vol: VolSnapshot,
    *,
    strategies: templates.Wanted | None = None,
    weights: ScoreWeights | Mapping[str, float] | None = None,
    view: View | Mapping[str, float] | None = None,
    densities: Densities | None = None,
    settings: Settings | None = None,
    top: int | None = None,
    book: FitModel | None = None,
) -> ScanResult:
    """
    The best trades of one chain. Pure: the same input gives the same bytes as JSON.

    Args:
        chain: With quotes; missing IV and Greeks are added.
        vol: Volatility of the chain's symbol; gates on figures it does not have are passed with a
            note.
        strategies: Names, or one text with commas, or a `Template` of your own, or a list of
            both; None takes ``scan.strategies``, of which an empty list means those of
            ``scan.profile``.
        weights: Of the score, or some of them by name, instead of those in *settings*.
        view: What you expect of the underlying yourself, instead of that in *settings*.
        densities: By expiry the distribution that you expect yourself: a `tomic.quant.density`
            ``Density``, or prices of the underlying on that day, each equally likely. Trades are
            ranked by it, wholly unless ``view.trust`` says a share; ``view`` of each proposal has
            its PoS and EV, beside those of the market.
        settings: None for the defaults.
        top: Most proposals; None takes ``scan.top``.
        book: A portfolio to fit; None leaves fit at 1 and says so.

    Raises:
        ConfigError: A strategy that does not exist.
        UsageError: *vol* belongs to another symbol, or *weights*, *view* or *densities* are
            impossible.
    """
    if settings is not None and not isinstance(settings, Settings):
        raise UsageError(
            "settings are those of tomic.load_settings(scan={'top': 3}), for one; got "
            f"{type(settings).__name__}"
        )
    settings, strategies = templates.with_own(settings or Settings(), strategies)
    if weights is not None:
        changed = settings.score.model_copy(update={"weights": _weights(weights)})
        settings = settings.model_copy(update={"score": changed})
    if view is not None:
        settings = with_views(settings, {chain.symbol: view})
    evaluation = evaluate(
        chain, vol, settings, strategies=strategies, book=book, densities=densities
    )
    return rank([evaluation], settings, top=top, with_book=book is not None)


def with_views(settings: Settings, views: Views) -> Settings:
    """
    *settings* with *views* of symbols beside and over their own.

    Raises:
        UsageError: A view that is impossible, or of what is no symbol.
    """
    try:
        given = {symbol: View.model_validate(view) for symbol, view in views.items()}
        return settings.model_copy(update={"view": settings.view.named(given)})
    except ValidationError as exc:
        raise UsageError(f"view: {first_fault(exc, View.model_fields)}") from exc


def _without_smile(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Of each symbol the expiries that were not searched although they have quotes."""
    return tuple(
        f"{evaluation.symbol}: not searched, as no smile fits its quotes: "
        f"{', '.join(map(str, evaluation.unfit))}; --explain says why"
        for evaluation in evaluations
        if evaluation.unfit
    )


def _unreachable(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Of each symbol the strategies that its chain cannot hold."""
    names = {
        evaluation.symbol: [
            refusal.strategy
            for refusal in evaluation.gated.refused
            if refusal.rule == reach.OUT_OF_REACH
        ]
        for evaluation in evaluations
    }
    return tuple(
        f"{symbol}: its chain cannot hold {', '.join(strategies)}; --explain says why"
        for symbol, strategies in names.items()
        if strategies
    )


def _weights(given: ScoreWeights | Mapping[str, float]) -> ScoreWeights:
    if isinstance(given, ScoreWeights):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"weights are named, as in {{'pos': 0.25, 'ev': 0.75}}; got {given!r:.60}")
    try:
        return ScoreWeights.model_validate(dict(given))
    except ValidationError as exc:
        raise UsageError(f"weights: {first_fault(exc, ScoreWeights.model_fields)}") from exc


def _standings(evaluations: Sequence[Evaluation]) -> dict[str, IntArray]:
    """By strategy how many candidates of all symbols score what; those of each may be narrow."""
    total: dict[str, IntArray] = {}
    for name, counts in (pair for one in evaluations for pair in one.standings.items()):
        total[name] = np.add(total.get(name, 0), counts, dtype=np.int64)
    return total


def _summed(evaluations: Sequence[Evaluation]) -> tuple[RuleCount, ...]:
    total: Counter[str] = Counter()
    kinds = {}
    for rejection in (count for evaluation in evaluations for count in evaluation.rejected):
        total[rejection.rule] += rejection.count
        kinds[rejection.rule] = rejection.kind
    order = sorted(total, key=lambda rule: (-total[rule], rule))
    return tuple(RuleCount(rule=rule, kind=kinds[rule], count=total[rule]) for rule in order)


def _nearest(evaluations: Sequence[Evaluation]) -> tuple[NearestMiss, ...]:
    """Of each rule the nearest over all symbols; those that fail nothing else come first."""
    misses = sorted(
        (miss for evaluation in evaluations for miss in evaluation.nearest_misses),
        key=lambda miss: (miss.rule, not miss.only_rule, miss.distance, miss.symbol, miss.trade),
    )
    return tuple(next(of_rule) for _, of_rule in groupby(misses, key=lambda miss: miss.rule))


@dataclass(frozen=True, slots=True)
class Chooser:
    """What `rank` would show of some contenders."""

    scan: ScanSettings
    top: int
    symbols: int
    correlations: Correlations | None
    by_strategy: bool

    def walk(self, contenders: Sequence[Contender]) -> list[Contender]:
        """Those that would be shown, in the order of the ranking."""
        choose = walk_each_strategy if self.by_strategy else walk
        return choose(
            contenders,
            self.scan,
            top=self.top,
            symbols=self.symbols,
            correlations=self.correlations,
        )

    def twice(self) -> Chooser:
        """The same of twice as many places."""
        return replace(self, top=2 * self.top)


def chooser(
    settings: Settings,
    top: int | None,
    symbols: int,
    correlations: Correlations | None,
    by_strategy: bool,
) -> Chooser:
    """How `rank` chooses; arguments as there, *symbols* their number."""
    count = settings.scan.top if top is None else top
    return Chooser(settings.scan, count, symbols, correlations, by_strategy)


# -- the walk down the ranking: no two of a kind, not too many of one symbol, correlation shown ---


class Seat(Protocol):
    """What the walk must know of a candidate: a `Contender`, or one of a backtest."""

    @property
    def key(self) -> tuple[object, ...]:
        """Sorts best first."""

    @property
    def symbol(self) -> str:
        """Of the underlying."""

    @property
    def group(self) -> CandidateGroup:
        """Strategy, side and first expiry."""

    def charged(self, penalty: float, other: str) -> Self:
        """It with what a correlation with *other* costs, a share of its score."""


AnySeat = TypeVar("AnySeat", bound=Seat)


def walk(
    contenders: Iterable[AnySeat],
    scan: ScanSettings,
    *,
    top: int,
    symbols: int,
    correlations: Correlations | None = None,
    per_strategy: int | None = None,
) -> list[AnySeat]:
    """
    Choose the best *top*, from the top down.

    Passed over: a trade of the same thesis (symbol, side and week of first expiry) as one already
    chosen, more than ``scan.max_per_symbol`` of a symbol (when 3 or more are scanned) and more than
    *per_strategy* (``scan.max_per_strategy``) of a strategy. A trade whose symbol's returns
    correlate above ``scan.max_correlation`` with another chosen symbol's on the same side loses
    ``scan.correlation_penalty`` of its score, once, and is chosen only if it still leads.
    """
    limit = scan.max_per_strategy if per_strategy is None else per_strategy
    queue = [(contender.key, place, contender) for place, contender in enumerate(contenders)]
    heapq.heapify(queue)
    chosen: list[AnySeat] = []
    theses: list[thesis.Thesis] = []
    of_strategy: Counter[str] = Counter()
    per_symbol = scan.max_per_symbol if symbols >= FEW_SYMBOLS else None
    # Not by its truth: that would ask for every pair, of which few are needed.
    pairs = {} if correlations is None else correlations
    while queue and len(chosen) < top:
        key, place, contender = heapq.heappop(queue)
        own = thesis.named(contender.symbol, contender.group)
        strategy = contender.group.strategy
        if of_strategy[strategy] >= limit or _is_taken(own, theses, per_symbol):
            continue
        other = _correlated(contender, chosen, scan, pairs)
        charged = contender.charged(scan.correlation_penalty, other) if other else contender
        # Penalties are only ever added: what still leads with one stays in the lead.
        if charged.key != key and queue and queue[0][0] < charged.key:
            heapq.heappush(queue, (charged.key, place, contender))
            continue
        chosen.append(charged)
        theses.append(own)
        of_strategy[strategy] += 1
    return chosen


def walk_each_strategy(
    contenders: Sequence[Contender],
    scan: ScanSettings,
    *,
    top: int,
    symbols: int,
    correlations: Correlations | None = None,
) -> list[Contender]:
    """Walk each strategy on its own; strategies in the order of their best trade."""
    best_first = sorted(contenders, key=lambda contender: contender.key)
    names = dict.fromkeys(contender.hit.template.name for contender in best_first)
    return [
        choice
        for name in names
        for choice in walk(
            [contender for contender in contenders if contender.hit.template.name == name],
            scan,
            top=top,
            symbols=symbols,
            correlations=correlations,
            per_strategy=top,
        )
    ]


def _is_taken(own: thesis.Thesis, chosen: Sequence[thesis.Thesis], per_symbol: int | None) -> bool:
    """Whether a thesis is among those chosen, or its symbol has as many as it may."""
    of_symbol = sum(other.symbol == own.symbol for other in chosen)
    return own in chosen or (per_symbol is not None and of_symbol >= per_symbol)


def _correlated(
    seat: Seat, chosen: Sequence[Seat], scan: ScanSettings, correlations: Correlations
) -> str:
    """The first chosen symbol that this one correlates with on the same side, or empty."""
    for choice in chosen:
        if choice.symbol == seat.symbol or choice.group.side != seat.group.side:
            continue
        pair = frozenset((seat.symbol, choice.symbol))
        if correlations.get(pair, 0.0) > scan.max_correlation:
            return choice.symbol
    return ""
