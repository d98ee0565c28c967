"""The walk down the ranking: no two of a kind, not too many of one symbol, correlation shown."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tomic.config import ScanSettings
from tomic.strategies.scoring import PortfolioFit
from tomic.strategies.search import Hit

FEW_SYMBOLS = 3
"""With fewer symbols than this there is no limit per symbol."""


class Contender(NamedTuple):
    """A candidate with its fit, and what the walk takes from its score."""

    hit: Hit
    fit: PortfolioFit = PortfolioFit()
    penalty: float = 0.0
    """Share of the score taken for a correlation."""
    correlated: str = ""
    """With which chosen symbol; empty without."""

    @property
    def score(self) -> float:
        """After everything."""
        return self.hit.score * self.fit.factor * (1.0 - self.penalty)

    @property
    def key(self) -> tuple[object, ...]:
        """Sorts best first; see `Hit.key`."""
        return self.hit.key(self.score)


Correlations = Mapping[frozenset[str], float]
"""Return correlation of two symbols; a pair that is absent is not known and costs nothing."""


def walk(
    contenders: Iterable[Contender],
    scan: ScanSettings,
    *,
    top: int,
    symbols: int,
    correlations: Correlations | None = None,
    per_strategy: int | None = None,
) -> list[Contender]:
    """
    Choose the best *top*, from the top down.

    Passed over: a trade of the same symbol, strategy and first expiry as one already chosen, more
    than ``scan.max_per_symbol`` of a symbol (when 3 or more are scanned) and more than
    *per_strategy* (``scan.max_per_strategy``) of a strategy. A trade whose symbol's returns
    correlate above ``scan.max_correlation`` with another chosen symbol's on the same side loses
    ``scan.correlation_penalty`` of its score, once, and is chosen only if it still leads.
    """
    limit = scan.max_per_strategy if per_strategy is None else per_strategy
    queue = [(contender.key, place, contender) for place, contender in enumerate(contenders)]
    heapq.heapify(queue)
    chosen: list[Contender] = []
    per_symbol = scan.max_per_symbol if symbols >= FEW_SYMBOLS else None
    while queue and len(chosen) < top:
        key, place, contender = heapq.heappop(queue)
        if _barred(contender.hit, chosen, per_symbol, limit):
            continue
        other = _correlated(contender.hit, chosen, scan, correlations or {})
        charged = contender
        if other:
            charged = contender._replace(penalty=scan.correlation_penalty, correlated=other)
        # Penalties are only ever added: what still leads with one stays in the lead.
        if charged.key != key and queue and queue[0][0] < charged.key:
            heapq.heappush(queue, (charged.key, place, contender))
            continue
        chosen.append(charged)
    return chosen


def by_strategy(
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


def _barred(
    hit: Hit, chosen: Sequence[Contender], per_symbol: int | None, per_strategy: int
) -> bool:
    symbol, strategy = hit.board.chain.symbol, hit.template.name
    symbols = Counter(choice.hit.board.chain.symbol for choice in chosen)
    strategies = Counter(choice.hit.template.name for choice in chosen)
    alike = any(
        choice.hit.board.chain.symbol == symbol and choice.hit.group == hit.group
        for choice in chosen
    )
    crowded = per_symbol is not None and symbols[symbol] >= per_symbol
    return alike or crowded or strategies[strategy] >= per_strategy


def _correlated(
    hit: Hit, chosen: Sequence[Contender], scan: ScanSettings, correlations: Correlations
) -> str:
    """The first chosen symbol that this one correlates with on the same side, or empty."""
    symbol = hit.board.chain.symbol
    for choice in chosen:
        other = choice.hit.board.chain.symbol
        if other == symbol or choice.hit.template.side != hit.template.side:
            continue
        if correlations.get(frozenset((symbol, other)), 0.0) > scan.max_correlation:
            return other
    return ""
