"""
The library in recipes of a few lines each; docs/python.md explains them one by one.

    python examples/recipes.py          # the demo market, no TWS
"""

from __future__ import annotations

import asyncio
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

import tomic
from tomic.quant import american, density, margin, realized, revaluation, smile


def chain_to_frame(chain: tomic.Chain) -> pd.DataFrame:
    frame = chain.to_frame()
    liquid = frame[(frame.status == "ok") & (frame.ask - frame.bid < 0.10)]
    return liquid.pivot_table(index="strike", columns="expiry", values="iv")


def smile_picture(chain: tomic.Chain, file: Path) -> None:
    chain.plot_smile(chain.expiries[0]).figure.savefig(file)


def file_to_proposals(file: Path) -> pd.DataFrame:
    chain = tomic.load_chain(file)
    vol = tomic.VolSnapshot(symbol=chain.symbol, as_of=chain.as_of, iv30=0.17, iv_rank=0.6)
    best = tomic.propose(chain, vol, weights={"pos": 0.5, "ev": 0.5}, top=3)
    return best.to_frame()[["trade", "credit", "pos", "ev", "score"]]


def frame_to_chain(frame: pd.DataFrame) -> tomic.Chain:
    few = frame[["strike", "right", "bid", "ask", "expiry"]]
    return tomic.Chain.from_frame(few, symbol="SPY", as_of="2026-11-20", spot=590.0)


def own_strategy(chain: tomic.Chain, vol: tomic.VolSnapshot) -> tomic.ScanResult:
    legs = (
        tomic.LegRule("short_put", "P", -1, tomic.DeltaBand(-0.35, -0.15)),
        tomic.LegRule("long_put", "P", +2, tomic.Below("short_put", sigmas=(0.25, 1.0))),
    )
    mine = tomic.Template(
        name="mine", outlook="a crash, or nothing", side="bearish", legs=legs, dte=(20, 60)
    )
    return tomic.propose(chain, vol, strategies=[mine, "short_put_spread"])


def own_density(chain: tomic.Chain, vol: tomic.VolSnapshot) -> tomic.ScanResult:
    expiry, tau = chain.expiries[0], float(chain["tau"][0])
    mine = density.lognormal(1.02 * chain.spot.price, tau, 0.15)
    return tomic.propose(chain, vol, densities={expiry: mine})


def backtest_by_hand(files: list[Path]) -> pd.DataFrame:
    days = []
    for file in files:
        chain = tomic.load_chain(file)
        vol = tomic.VolSnapshot(symbol=chain.symbol, as_of=chain.as_of, iv_rank=0.6)
        found = tomic.propose(chain, vol, strategies="short_put_spread", top=1)
        days.append(found.to_frame().assign(file=file.name))
    return pd.concat(days, ignore_index=True)


def own_surface(frame: pd.DataFrame, forward: float) -> pd.DataFrame:
    fitted = smile.fit_chain(frame.strike, frame.iv, tau=frame.tau, forward=forward)
    strikes = forward * np.linspace(0.9, 1.1, 9)
    return pd.DataFrame({tau: curve.iv(strikes) for tau, curve in fitted.items()}, index=strikes)


def american_options(frame: pd.DataFrame, spot: float) -> pd.DataFrame:
    terms = (spot, frame.strike, frame.tau, 0.04, 0.012)
    greeks = american.greeks(*terms, frame.iv, frame.right)
    mid = 0.5 * (frame.bid + frame.ask)
    return frame.assign(
        model=greeks.price,
        model_delta=greeks.delta,
        own_iv=american.implied_vol(mid, *terms, frame.right),
    )


def own_volatility(close: pd.Series[float], iv: pd.Series[float]) -> tuple[pd.Series[float], float]:
    hv = realized.close_to_close(close, 30)
    rank = realized.iv_rank(iv.iloc[-1], iv.iloc[:-1])
    return hv, float(rank.value)


def margin_and_stress() -> tuple[float, pd.DataFrame]:
    strike, right, quantity = [560.0, 550.0], ["P", "P"], [-1, 1]
    asked = margin.requirement(strike, right, quantity, [6.2, 4.4], spot=590.0)
    moves, days = [-0.10, -0.05, 0.0, 0.05], [0, 7, 14]
    option = (590.0, strike, 28 / 365, 0.04, 0.012, [0.19, 0.20], right)
    grid = revaluation.stress_grid(
        *option, quantity=quantity, spot_moves=moves, vol_moves=[0.0], days=days
    )
    return float(asked.requirement), pd.DataFrame(grid[0, :, 0], index=moves, columns=days)


def own_book(chain: tomic.Chain) -> tuple[pd.DataFrame, pd.DataFrame]:
    legs = ["-2 SPY 2026-12-18 560P @3.10, +2 550P @1.95", "+100 SPY @575"]
    book = tomic.book_of(legs, chains=chain, spots={"SPY": 590.0}, iv={"SPY": 0.17})
    review = tomic.review_book(book)
    return review.to_frame(), review.stress().to_frame()


async def journal_to_frame(desk: tomic.Desk) -> pd.DataFrame:
    journal = await desk.journal(offline=True)
    opened = await journal.add("SPY short_put_spread 560/550 2026-12-18", price=1.10)
    await journal.close(opened.entry.id or 0, price=0.40)
    return (await journal.stats("strategy")).to_frame()


async def several_symbols(desk: tomic.Desk, symbols: list[str]) -> pd.DataFrame:
    done = await desk.chains(symbols, weeklies=0, on_done=lambda one: print(one.symbol, "done"))
    return pd.concat([one.chain.to_frame() for one in done if one.chain], keys=symbols)


async def history_to_frame(desk: tomic.Desk) -> pd.DataFrame:
    bars, iv = await desk.bars("SPY", days=60), await desk.iv("SPY", days=60)
    return bars.to_frame().join(iv.to_frame())


async def fetch(file: str) -> tuple[tomic.Chain, pd.DataFrame]:
    async with tomic.Desk(demo=True) as desk:
        chain = await desk.chain("SPY", dte=(20, 60), weeklies=0, strike_range="1s")
        print((await several_symbols(desk, ["SPY", "QQQ"])).shape)
        print(await journal_to_frame(desk))
        history = await history_to_frame(desk)
    chain.to_csv(file)
    return chain, history


def main(folder: Path) -> None:
    chain, history = asyncio.run(fetch(str(folder / "chain.csv")))
    frame, vol = chain.to_frame(), tomic.VolSnapshot(symbol="SPY", as_of=chain.as_of, iv_rank=0.6)
    print(chain_to_frame(chain).tail(3))
    if find_spec("matplotlib"):
        smile_picture(chain, folder / "smile.svg")
    print(file_to_proposals(folder / "chain.csv"))
    print(frame_to_chain(frame).completeness)
    for result in (own_strategy(chain, vol), own_density(chain, vol)):
        print(result.to_frame()[["trade", "ev", "score"]])
    print(backtest_by_hand(sorted(folder.glob("*.csv")))[["file", "trade"]])
    print(own_surface(frame, chain.spot.price).round(3))
    print(american_options(frame, chain.spot.price)[["strike", "model", "own_iv"]].tail(3))
    print(own_volatility(history.close, history.ib30)[1])
    print(*margin_and_stress(), *own_book(chain), sep="\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(Path(temporary))
