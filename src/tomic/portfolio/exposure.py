"""
What the book is exposed to: Greeks, the delta in terms of an index, concentration.

Money is in the base currency. Only lines that are counted enter; `tomic.portfolio.lines.gaps` names
the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tomic._typing import FloatArray
from tomic.models.book import Book
from tomic.models.review import BetaDelta, Concentration, PortfolioGreeks, Structure, SymbolBeta
from tomic.portfolio.grouping import Group
from tomic.portfolio.lines import BookLine
from tomic.quant import realized

_SHARES_PER_LOT = 100.0
"""Shares that count as one contract where no option beside them tells its size."""
_LEAST_RETURNS = 60
"""With fewer pairs of returns a beta is not estimated but taken as 1."""
_PRIOR, _PRIOR_ERROR = 1.0, 0.4
"""Mean and spread of the betas of all stocks (Vasicek 1973); the estimate without returns."""


@dataclass(frozen=True, slots=True)
class Total:
    """A sum that does not count unknown amounts as zero."""

    known: float
    """Of the amounts that are known and bounded."""
    unknown: tuple[str, ...]
    """Names of the others."""

    @classmethod
    def of(cls, amounts: Iterable[tuple[str, float | None]]) -> Total:
        """Add up named amounts."""
        named = list(amounts)
        known = [value for _, value in named if value is not None and math.isfinite(value)]
        unknown = (name for name, value in named if value is None or not math.isfinite(value))
        return cls(math.fsum(known), tuple(unknown))

    @property
    def value(self) -> float | None:
        """The sum; None where one of the amounts is unknown or without bound."""
        return None if self.unknown else self.known


@dataclass(frozen=True, slots=True)
class ExposureRow:
    """A part of a line that belongs to one group."""

    line: BookLine
    quantity: float
    group: int


def rows_of(groups: Sequence[Group], lines: Iterable[BookLine]) -> tuple[ExposureRow, ...]:
    """The legs of *groups* with the numbers of their lines, group by group."""
    by_key = {(line.position.account, line.position.contract): line for line in lines}
    return tuple(
        ExposureRow(by_key[leg.position.account, leg.position.contract], leg.quantity, number)
        for number, group in enumerate(groups)
        for leg in group.legs
    )


def greeks(rows: Iterable[ExposureRow]) -> PortfolioGreeks:
    """
    Sum of sensitivities; see `PortfolioGreeks` for the units.

    Delta carries the multiplier: two short calls of delta .30 are -60 shares, not -0.60.
    """
    total = dict.fromkeys(PortfolioGreeks.model_fields, 0.0)
    rows = list(rows)
    sizes = {row.group: row.line.position.multiplier for row in rows if row.line.position.is_option}
    for row in rows:
        line = row.line
        if not line.counted:
            continue
        per_contract = sizes.get(row.group, _SHARES_PER_LOT)
        contracts = row.quantity / per_contract if line.position.is_stock else row.quantity
        shares = row.quantity * line.position.multiplier
        delta, gamma = line.delta * shares, line.gamma * shares
        total["contract_delta"] += line.delta * contracts
        total["delta"] += delta
        total["delta_value"] += delta * line.underlying * line.fx
        total["gamma"] += gamma
        total["gamma_value"] += gamma * line.underlying**2 * line.fx / 100.0
        total["vega"] += line.vega * shares * line.fx
        total["theta"] += line.theta * shares * line.fx
    return PortfolioGreeks(**total)


def add(parts: Iterable[PortfolioGreeks]) -> PortfolioGreeks:
    """The sum of several Greeks."""
    summands = list(parts)
    return PortfolioGreeks(
        **{
            name: math.fsum(getattr(part, name) for part in summands)
            for name in PortfolioGreeks.model_fields
        }
    )


# -- in terms of an index ---------------------------------------------------------------------


def betas(book: Book, symbols: Iterable[str], *, window: int) -> dict[str, SymbolBeta]:
    """
    Beta of each symbol against the book's benchmark, shrunk, with its error.

    A symbol with fewer than 60 pairs of returns, or none, gets 1 with the spread of the betas of
    all stocks as its error, and n = 0 says so. The benchmark itself is 1 exactly.

    Source: Vasicek (1973), "A Note on Using Cross-Sectional Information in Bayesian Estimation".
    """
    market = _returns(book, book.benchmark)
    result = {}
    for symbol in sorted(set(symbols)):
        if symbol == book.benchmark:
            result[symbol] = SymbolBeta(symbol=symbol, beta=1.0, error=0.0, n=market.size)
            continue
        result[symbol] = _beta(symbol, _returns(book, symbol), market, window)
    return result


def _beta(symbol: str, asset: FloatArray, market: FloatArray, window: int) -> SymbolBeta:
    assumed = SymbolBeta(symbol=symbol, beta=_PRIOR, error=_PRIOR_ERROR, n=0)
    if asset.size < _LEAST_RETURNS or market.size < _LEAST_RETURNS:
        return assumed
    fit = realized.beta(
        asset, market, window, least=_LEAST_RETURNS, prior=_PRIOR, prior_error=_PRIOR_ERROR
    )
    error = float(fit.error)
    if math.isnan(error):
        return assumed
    shrunk = error * _PRIOR_ERROR / math.hypot(error, _PRIOR_ERROR)
    return SymbolBeta(symbol=symbol, beta=float(fit.shrunk), error=shrunk, n=int(fit.n))


def _returns(book: Book, symbol: str) -> FloatArray:
    values = book.returns.get(symbol, ())
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def beta_weighted(
    by_symbol: Mapping[str, PortfolioGreeks],
    betas: Mapping[str, SymbolBeta],
    book: Book,
    *,
    window: int,
) -> BetaDelta:
    """
    Delta in shares of the benchmark: the sum of delta x beta x price over the benchmark's price.

    The error adds those of the betas as independent ones.
    """
    value = math.fsum(part.delta_value * betas[name].beta for name, part in by_symbol.items())
    spread = math.sqrt(
        math.fsum((part.delta_value * betas[name].error) ** 2 for name, part in by_symbol.items())
    )
    market = book.markets.get(book.benchmark)
    price = market.spot.price if market is not None and market.spot is not None else None
    rate = book.rate_of(market.underlying.currency if market and market.underlying else "USD")
    unit = price * rate if price is not None and rate is not None else None
    return BetaDelta(
        benchmark=book.benchmark,
        delta=value / unit if unit else None,
        error=spread / unit if unit else None,
        delta_value=value,
        window=window,
        betas=tuple(betas[name] for name in sorted(by_symbol)),
    )


# -- concentration -----------------------------------------------------------------------------


def concentration(
    structures: Sequence[Structure], sectors: Mapping[str, str | None]
) -> tuple[Concentration, ...]:
    """
    Margin and delta per symbol, sector, strategy and expiry, the largest margin first.

    Sectors appear only where some are known; symbols without one are then ``unknown``.
    """
    kinds: dict[Literal["symbol", "sector", "strategy", "expiry"], list[str]] = {
        "symbol": [structure.symbol for structure in structures],
        "sector": [sectors.get(structure.symbol) or "unknown" for structure in structures],
        "strategy": [structure.strategy for structure in structures],
        "expiry": [str(structure.expiry or "none") for structure in structures],
    }
    if not any(sectors.values()):
        del kinds["sector"]
    total = Total.of((structure.id, structure.margin) for structure in structures).known
    result: list[Concentration] = []
    for kind, names in kinds.items():
        parts = []
        for name in set(names):
            members = [
                structure
                for structure, label in zip(structures, names, strict=True)
                if label == name
            ]
            margin = Total.of((structure.id, structure.margin) for structure in members)
            part = Concentration(
                kind=kind,
                name=name,
                structures=len(members),
                margin=margin.value,
                margin_known=margin.known,
                margin_unknown=margin.unknown,
                share=margin.value / total if margin.value is not None and total else None,
                delta_value=math.fsum(structure.greeks.delta_value for structure in members),
            )
            parts.append(part)
        result += sorted(parts, key=lambda part: (-part.margin_known, part.name))
    return tuple(result)
