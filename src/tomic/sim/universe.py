"""Which underlyings a model market holds: the demo's, and made-up ones by the hundred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tomic.sim.instruments import Instrument
from tomic.sim.symbols import DEMO, SHARE, listed


def synthetic(count: int = 500) -> tuple[Instrument, ...]:
    """
    *count* made-up shares ``S001``, ``S002``, …, different from each other but always the same.

    Raises:
        ValueError: Fewer than 1 or more than 900.
    """
    if not 1 <= count <= 900:
        raise ValueError(f"a synthetic universe has 1 to 900 symbols, got {count}")
    return tuple(_synthetic_share(i) for i in range(1, count + 1))


def _synthetic_share(number: int) -> Instrument:
    # The golden ratio spreads the numbers 1..n evenly over the unit interval, whatever n is.
    first, second, third = ((number * step) % 1.0 for step in (0.618034, 0.414214, 0.732051))
    spot = round(12.0 * 40.0**first + 0.37, 2)
    steps = (0.5, 1.0) if spot < 40 else (1.0, 2.5) if spot < 100 else (2.5, 5.0)
    symbol = f"S{number:03d}"
    return replace(
        SHARE,
        symbol=symbol,
        long_name=f"SYNTHETIC COMPANY {number}",
        spot=spot,
        iv30=0.16 + 0.5 * second,
        iv_stretch=2.6 * third - 1.1,
        classes=listed(symbol, *steps),
        primary_exchange="NYSE",
        div_yield=0.03 * third if number % 3 else 0.0,
        liquidity=0.15 + 0.6 * second,
        market_share=0.3 + 0.5 * first,
    )


def select(
    universe: str | Sequence[Instrument], symbols: Sequence[str] | None
) -> tuple[Instrument, ...]:
    """
    The instruments a market is built on: ``demo``, ``synthetic`` (demo plus 500), or those given.

    Raises:
        ValueError: The name of the universe, or one of *symbols*, is not known.
    """
    named = {"demo": lambda: DEMO, "synthetic": lambda: DEMO + synthetic()}
    if isinstance(universe, str):
        if universe not in named:
            raise ValueError(f"universe is demo or synthetic, got {universe!r}")
        instruments = named[universe]()
    else:
        instruments = tuple(universe)
    if symbols is None:
        return instruments
    by_symbol = {instrument.symbol: instrument for instrument in instruments}
    missing = [symbol for symbol in symbols if symbol not in by_symbol]
    if missing:
        raise ValueError(f"not in this universe: {', '.join(missing)}")
    return tuple(by_symbol[symbol] for symbol in symbols)
