"""From a chain to the best trades, and why: pure, without clock or network."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from tomic.chain import Chain
from tomic.config import ScoreWeights, Settings
from tomic.errors import UsageError
from tomic.models import NearestMiss, Refusal, RuleCount, ScanResult, SymbolOutcome, VolSnapshot
from tomic.models.documents import first_fault
from tomic.strategies import diversify, proposals, rules, search
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.diversify import Contender, Correlations
from tomic.strategies.pricing import board as boards
from tomic.strategies.pricing.board import Board
from tomic.strategies.rules import Group, near_misses
from tomic.strategies.scoring import NO_BOOK, FitModel
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
]

KEEP_FOR_FIT = 16
"""Candidates of a group whose fit is looked at before the first bound is known."""


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
    passed: Mapping[Group, int]
    considered: int
    rejected: tuple[RuleCount, ...]
    nearest_misses: tuple[NearestMiss, ...]
    gated: Gated
    outcome: SymbolOutcome
    unfit: tuple[dt.date, ...] = ()
    """Expiries with quotes that no smile fits; they were not searched."""


def open_gates(
    vol: VolSnapshot, settings: Settings, strategies: str | Sequence[str] | None = None
) -> Gated:
    """
    Which strategies are worth a chain of this symbol; ask before fetching one.

    Args:
        vol: Figures of the symbol; what is unknown does not refuse.
        settings: Its ``strategies`` change the catalogue, its ``scan.strategies`` choose from it.
        strategies: Names instead of ``scan.strategies``.

    Raises:
        ConfigError: A strategy or field that does not exist.
    """
    names = settings.scan.strategies if strategies is None else strategies
    passed: list[Template] = []
    refused: list[Refusal] = []
    unknown: dict[str, tuple[str, ...]] = {}
    for template in templates.choose(names, settings.strategies):
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
    return Gated(templates.choose((strategy,), settings.strategies), (), {})


def evaluate(
    chain: Chain,
    vol: VolSnapshot,
    settings: Settings | None = None,
    *,
    strategies: str | Sequence[str] | None = None,
    book: FitModel | None = None,
    gated: Gated | None = None,
) -> Evaluation:
    """
    Search one chain: all candidates of all strategies that pass their gates.

    The best of every strategy and expiry stay arrays and rows; `rank` makes models of the few
    that are shown.
    """
    settings = settings or Settings()
    boards.check_volatility(vol, chain)
    gated = gated or open_gates(vol, settings, strategies)
    board = boards.prepare(chain, vol, settings)
    searched, contenders = _with_fit(board, gated.templates, book)
    tally = searched.tally
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
        notes=(*board.notes, *blind),
    )
    return Evaluation(
        symbol=chain.symbol,
        contenders=contenders,
        passed=dict(tally.passed),
        considered=tally.considered,
        rejected=counts,
        nearest_misses=near_misses(tally, board),
        gated=gated,
        outcome=outcome,
        unfit=tuple(board.unfit),
    )


def _with_fit(
    board: Board, wanted: Sequence[Template], book: FitModel | None
) -> tuple[search.SearchResult, tuple[Contender, ...]]:
    """The best of each group with their fit; more of them until no other can be better."""
    if book is None:
        searched = search.search(board, wanted)
        return searched, tuple(map(Contender, searched.hits))
    keep = KEEP_FOR_FIT
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
        groups.setdefault(
            (*contender.hit.group, contender.hit.expiries, contender.hit.template.side), []
        ).append(contender)
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
    count = settings.scan.top if top is None else top
    contenders = [contender for evaluation in evaluations for contender in evaluation.contenders]
    choose = diversify.by_strategy if by_strategy else diversify.walk
    symbols = len(evaluations) + len(failed)
    chosen = choose(
        contenders, settings.scan, top=count, symbols=symbols, correlations=correlations
    )
    by_symbol = {evaluation.symbol: evaluation for evaluation in evaluations}
    shown = []
    for place, contender in enumerate(chosen, 1):
        origin = by_symbol[contender.hit.board.chain.symbol]
        shown.append(
            proposals.describe(
                contender,
                rank=place,
                alternatives=origin.passed[contender.hit.group] - 1,
                notes=origin.gated.unknown.get(contender.hit.template.name, ()),
            )
        )
    return ScanResult(
        proposals=tuple(shown),
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
        notes=(*_without_smile(evaluations), *(() if with_book else (NO_BOOK,))),
        as_of=max(
            (evaluation.outcome.as_of for evaluation in evaluations if evaluation.outcome.as_of),
            default=None,
        ),
    )


def propose(
    chain: Chain,
    vol: VolSnapshot,
    *,
    strategies: str | Sequence[str] | None = None,
    weights: ScoreWeights | Mapping[str, float] | None = None,
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
        strategies: Names, or one text with commas; None takes ``scan.strategies``, of which an
            empty list means all.
        weights: Of the score, or some of them by name, instead of those in *settings*.
        settings: None for the defaults.
        top: Most proposals; None takes ``scan.top``.
        book: A portfolio to fit; None leaves fit at 1 and says so.

    Raises:
        ConfigError: A strategy that does not exist.
        UsageError: *vol* belongs to another symbol, or *weights* are impossible.
    """
    settings = settings or Settings()
    if weights is not None:
        changed = settings.score.model_copy(update={"weights": _weights(weights)})
        settings = settings.model_copy(update={"score": changed})
    evaluation = evaluate(chain, vol, settings, strategies=strategies, book=book)
    return rank([evaluation], settings, top=top, with_book=book is not None)


def _without_smile(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Of each symbol the expiries that were not searched although they have quotes."""
    return tuple(
        f"{evaluation.symbol}: not searched, as no smile fits its quotes: "
        f"{', '.join(map(str, evaluation.unfit))}; --explain says why"
        for evaluation in evaluations
        if evaluation.unfit
    )


def _weights(given: ScoreWeights | Mapping[str, float]) -> ScoreWeights:
    if isinstance(given, ScoreWeights):
        return given
    try:
        return ScoreWeights.model_validate(dict(given))
    except ValidationError as exc:
        raise UsageError(f"weights: {first_fault(exc)}") from exc


def _summed(evaluations: Sequence[Evaluation]) -> tuple[RuleCount, ...]:
    total: Counter[str] = Counter()
    kinds = {}
    for evaluation in evaluations:
        for rejection in evaluation.rejected:
            total[rejection.rule] += rejection.count
            kinds[rejection.rule] = rejection.kind
    order = sorted(total, key=lambda rule: (-total[rule], rule))
    return tuple(RuleCount(rule=rule, kind=kinds[rule], count=total[rule]) for rule in order)


def _nearest(evaluations: Sequence[Evaluation]) -> tuple[NearestMiss, ...]:
    """Of each rule the nearest over all symbols; those that fail nothing else come first."""
    best: dict[str, NearestMiss] = {}
    for evaluation in evaluations:
        for miss in evaluation.nearest_misses:
            nearest = best.get(miss.rule)
            key = (not miss.only_rule, miss.distance, miss.symbol, miss.trade)
            if nearest is None or key < (
                not nearest.only_rule,
                nearest.distance,
                nearest.symbol,
                nearest.trade,
            ):
                best[miss.rule] = miss
    return tuple(best[rule] for rule in sorted(best))
