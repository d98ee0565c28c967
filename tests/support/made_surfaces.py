"""Tables of daily surfaces that were made up: a random walk with the volatility it announces."""

from __future__ import annotations

import numpy as np

from tomic.evidence.history import SurfaceRows


def rows(
    symbols: tuple[str, ...] = ("AAA",),
    days: int = 400,
    *,
    first: str = "2022-01-03",
    seed: int = 0,
) -> SurfaceRows:
    """*days* business days of each symbol, volatility around 25 %, a skew of 8 points."""
    generator = np.random.default_rng(seed)
    calendar = np.busday_offset(first, np.arange(days), roll="forward").astype("datetime64[D]")
    tables = []
    for name in symbols:
        iv = 0.25 * np.exp(0.05 * np.cumsum(generator.normal(size=days)) * 0.3)
        moves = iv / np.sqrt(252.0) * generator.normal(size=days)
        close = 100.0 * np.exp(np.cumsum(moves))
        skew = 8.0 + generator.normal(size=days)
        term = -0.5 + 0.2 * generator.normal(size=days)
        tables.append((np.full(days, name), calendar, close, iv, skew, term))
    return SurfaceRows._make(np.concatenate(parts) for parts in zip(*tables, strict=True))


def changed(table: SurfaceRows, **columns: np.ndarray) -> SurfaceRows:
    """The same table with other columns."""
    return table._replace(**columns)
