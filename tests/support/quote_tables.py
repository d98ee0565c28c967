"""Tables of option quotes of made-up days, in the columns in which sellers write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tomic.quant import black_scholes

HEADER = (
    "underlying,underlying_last,optionroot,type,expiration,quotedate,strike,bid,ask,volume,"
    "openinterest"
)


def table(
    spots: dict[str, float], expiries: tuple[str, ...], *, symbol: str = "ABC", iv: float = 0.25,
    half: float = 0.02, strikes: tuple[float, ...] = tuple(np.arange(80.0, 121.0, 2.5)),
) -> str:  # fmt: skip
    """A row for each option of *expiries* on each day of *spots*, at one volatility."""
    lines = [HEADER]
    for day, spot in spots.items():
        for expiry in expiries:
            days = int((np.datetime64(expiry) - np.datetime64(day)).astype(int))
            if days < 0:
                continue
            tau = max(days, 0.25) / 365.0
            for strike in strikes:
                for kind in ("call", "put"):
                    mid = float(
                        black_scholes.price(spot, strike, tau, 0.02, 0.0, iv, kind == "call")
                    )
                    bid, ask = max(mid - half, 0.0), mid + half
                    root = f"{symbol}{expiry[2:4]}{expiry[5:7]}{expiry[8:]}{kind[0].upper()}x"
                    lines.append(
                        f"{symbol},{spot},{root},{kind},{expiry},{day},{strike:g},"
                        f"{bid:.2f},{ask:.2f},500,2000"
                    )
    return "\n".join(lines) + "\n"


def written(folder: Path, text: str, name: str = "quotes.csv") -> Path:
    """The table as a file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
