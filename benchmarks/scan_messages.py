"""
How many messages the scan needs, and what it misses beside one of every listed option.

On whole chains of the model market and on recorded ones, without a gateway between: a message is
counted where one would be sent. Regret is the mean score of the five best of all options less that
of the five that were found, both on the board of all options.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from benchmarks import model_chains
from benchmarks.figures import Row, fact

from support import recorded_chains
from tomic import valuation
from tomic.chain import Chain
from tomic.config import Settings
from tomic.errors import EmptyChain
from tomic.files import load_chain
from tomic.models import OptionQuote, VolSnapshot
from tomic.selection import Wanted
from tomic.sim.market.model import ModelMarket
from tomic.strategies import propose, sampling, search, survey
from tomic.strategies.catalogue import templates
from tomic.strategies.catalogue.leg_rules import Template
from tomic.strategies.pricing import board as boards
from tomic.strategies.propose import Gated
from tomic.strategies.search import Contender, Hit
from tomic.strategies.survey import Hunt, Survey

sys.path.append(str(Path(__file__).parents[1] / "tests"))

PER_OPTION, PER_EXPIRY, PER_SYMBOL = 2, 1, 6
PACE = 48.0
"""Messages a second."""


@dataclass
class Whole:
    """One symbol with every listed option quoted."""

    chain: Chain
    vol: VolSnapshot
    sigma: float
    quotes: dict[Wanted, OptionQuote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.quotes = {Wanted(row.expiry, row.strike, row.right): row for row in self.chain.rows()}


@dataclass
class Found:
    """What a way of scanning found, and what it took."""

    messages: int
    regret: float
    worst: float
    same: bool
    best: bool
    best_regret: float
    seconds: float
    full_messages: int
    rounds: int
    symbols: int
    unquoted: int
    """Legs of what was found that had no quote of their own."""


def compare(
    wholes: dict[str, Whole],
    chosen: Sequence[Template],
    settings: Settings,
    *,
    strikes: int = 7,
    margin: float | None = None,
    coarse_margin: float | None = None,
    top: int = 5,
) -> Found:
    """Scan *wholes* with few quotes and with all."""
    full = {
        name: search.search(boards.prepare(one.chain, one.vol, settings), chosen, keep=1)
        for name, one in wholes.items()
    }
    choose = partial(propose.walk, scan=settings.scan, top=top, symbols=len(wholes))
    best = choose([Contender(hit) for one in full.values() for hit in one.hits])
    board_of = {name: one.hits[0].board for name, one in full.items() if one.hits}
    began = time.process_time()
    hunt, messages = hunted(
        wholes, chosen, settings, strikes=strikes, margin=margin, coarse_margin=coarse_margin
    )
    found, more, unquoted = shown(hunt, wholes, choose)
    took = time.process_time() - began
    scores = [on_full(one.hit, board_of) for one in found]
    wanted = [one.score for one in best]
    keys = [(one.hit.board.chain.symbol, one.hit.template.name, one.hit.legs) for one in best]
    have = {(one.hit.board.chain.symbol, one.hit.template.name, one.hit.legs) for one in found}
    scores += [0.0] * (len(wanted) - len(scores))
    places = sorted(scores, reverse=True)
    gaps = [want - got for want, got in zip(wanted, places, strict=True)]
    return Found(
        messages=messages + more,
        regret=float(np.mean(gaps)) if gaps else 0.0,
        worst=max(gaps, default=0.0),
        same=set(keys) == have,
        best=not keys or keys[0] in have,
        best_regret=gaps[0] if gaps else 0.0,
        seconds=took,
        full_messages=sum(_cost(one.chain) for one in wholes.values()),
        rounds=hunt.rounds,
        symbols=len(hunt.surveys),
        unquoted=unquoted,
    )


def _cost(chain: Chain) -> int:
    return PER_OPTION * len(chain) + PER_EXPIRY * len(chain.expiries) + PER_SYMBOL


def hunted(
    wholes: dict[str, Whole],
    chosen: Sequence[Template],
    settings: Settings,
    *,
    strikes: int,
    margin: float | None,
    coarse_margin: float | None,
) -> tuple[Hunt, int]:
    """Coarse pass, sample and rounds; and their messages."""
    choose = partial(propose.walk, scan=settings.scan, top=5, symbols=len(wholes))
    hunt = Hunt(
        surveys={name: survey_of(name, one, chosen, settings) for name, one in wholes.items()},
        choose=choose,
        top=5,
        margin=survey.MARGIN if margin is None else margin,
        coarse_margin=survey.COARSE_MARGIN if coarse_margin is None else coarse_margin,
    )
    messages = PER_SYMBOL * len(wholes)
    running = set(wholes)
    if len(wholes) >= sampling.COARSE_FROM:
        for name, one in wholes.items():
            of = hunt.surveys[name]
            few = sampling.coarse(one.quotes, *_money(one), strikes, pairs=of.has_pairs)
            messages += _ask(of, one, few, {option.expiry for option in few}, coarse=True)
        running = hunt.put_aside()
    while running:
        for name in running:
            one = wholes[name]
            few = sampling.sample(one.quotes, *_money(one), strikes)
            messages += _ask(hunt.surveys[name], one, few, {option.expiry for option in few})
        while wanted := hunt.wanted():
            for name, options in wanted.items():
                messages += _ask(hunt.surveys[name], wholes[name], options, set())
        running = hunt.take_back()
    return hunt, messages


def shown(hunt: Hunt, wholes: dict[str, Whole], choose: survey.Choose) -> tuple[list, int, int]:
    """The trades that are shown, what it takes to quote their legs again, and how many lack one."""
    exact = [contender for one in hunt.surveys.values() for contender in one.sought()]
    found = choose(exact)
    legs = {
        (one.hit.board.chain.symbol, option) for one in found for option in survey.legs_of(one.hit)
    }
    unquoted = sum(option not in hunt.surveys[name].quotes for name, option in legs)
    return found, PER_OPTION * len(legs), unquoted


def on_full(hit: Hit, board_of: dict[str, boards.Board]) -> float:
    """The score of a trade on the board of all options."""
    board = board_of[hit.board.chain.symbol]
    row = {key: at for at, key in enumerate(_keys(board.chain))}
    rows = tuple(row[option] for option in survey.legs_of(hit))
    again = search.among(board, [replace(hit, rows=rows)])
    return again[0].score if again else 0.0


def _keys(chain: Chain) -> list[Wanted]:
    columns = (chain[name].tolist() for name in ("expiry", "strike", "right"))
    return [Wanted(*key) for key in zip(*columns, strict=True)]


def survey_of(name: str, one: Whole, chosen: Sequence[Template], settings: Settings) -> Survey:
    """Nothing known yet of a symbol."""
    chain = one.chain

    def make(rows: Sequence[OptionQuote]) -> Chain:
        made = Chain.from_quotes(
            rows,
            underlying=chain.underlying,
            spot=chain.spot,
            as_of=chain.as_of,
            rate=chain.rate,
            div_yield=chain.div_yield,
            multiplier=chain.multiplier,
            trading_class=chain.trading_class,
        )
        return valuation.complete(made, settings.market, settings.chain)

    return Survey(
        symbol=name, vol=one.vol, settings=settings, gated=Gated(tuple(chosen), (), {}), make=make
    )


def _money(one: Whole) -> tuple[float, object, float]:
    return one.chain.spot.price, one.chain.as_of.date(), one.sigma


def _ask(
    of: Survey, one: Whole, options: Sequence[Wanted], touched: set[object], *, coarse: bool = False
) -> int:
    known = {option.expiry for option in of.listed}
    listed = [option for option in one.quotes if option.expiry in known | touched]
    missing = of.missing(options)
    of.learn({option: one.quotes[option] for option in missing}, listed, coarse=coarse)
    return PER_OPTION * len(missing) + PER_EXPIRY * len(touched - known)


def model_market(seed: int, chosen: Sequence[Template], settings: Settings) -> dict[str, Whole]:
    """The demo symbols that have expiries in the windows."""
    market, wholes = ModelMarket(seed=seed), {}
    for symbol in settings.market.symbols:
        try:
            chain, _ = model_chains.listed(market, symbol, chosen, settings)
        except EmptyChain:
            continue
        chain = valuation.complete(chain, settings.market, settings.chain)
        instrument = market.board.catalogue.instrument(symbol)
        sigma = market.board.level(instrument)[1]
        vol = VolSnapshot(symbol=symbol, as_of=chain.as_of, iv30=sigma)
        wholes[symbol] = Whole(chain, vol, sigma)
    return wholes


RECORDED = {
    "GOOG 2015-12-24": (
        "lean_GOOG_20151224_eod_chain.csv", {"spot": 748.40, "rate": 0.003},
    ),
    "SPY 2025-05-19": ("tomic_ib_SPY_20250519_2026cest.csv", {}),
}  # fmt: skip
SEEDS = (1, 2, 3)
"""Of the default run; others by ``--seeds``, as each takes half a minute."""


def recorded(chosen: Sequence[Template], settings: Settings) -> Iterator[tuple[str, Whole | None]]:
    """Recorded chains that are present, None where they have no expiry in windows of *chosen*."""
    low = min(template.dte[0] for template in chosen)
    high = max(template.dte[1] + (template.gap or (0, 0))[1] for template in chosen)
    chains = [
        (name, load_chain(recorded_chains.DATA / file, **known))
        for name, (file, known) in RECORDED.items()
        if not recorded_chains.missing(file)
    ]
    for name, chain in (*model_chains.spx(), *chains):
        chain = chain.where((chain["dte"] >= low) & (chain["dte"] <= high))
        if not len(chain):
            yield name, None
            continue
        chain = valuation.complete(chain, settings.market, settings.chain)
        near = np.abs(chain["strike"] / chain.spot.price - 1.0) < 0.02
        sigma = float(np.nanmedian(chain["iv"][near]))
        away = np.log(chain["strike"] / chain.spot.price) / (sigma * np.sqrt(chain["tau"]))
        outside = np.where(chain.is_call, away, -away)
        # What a window asks for: to three deviations out, and a little in the money.
        chain = chain.where((outside <= settings.scan.sigmas) & (outside >= -0.3))
        vol = VolSnapshot(symbol=chain.symbol, as_of=chain.as_of, iv30=sigma)
        yield name, Whole(chain, vol, sigma)


def rows_of(name: str, found: Sequence[Found], asked: str, worst: str) -> list[Row]:
    """What several runs took and missed, as rows."""
    count = len(found)
    messages = [one.messages for one in found]
    best, same = (sum(getattr(one, key) for one in found) for key in ("best", "same"))
    regrets = [one.regret for one in found]
    full = np.mean([one.full_messages for one in found])
    return [
        fact(
            f"scan: {name}: messages",
            f"{min(messages):,}-{max(messages):,}, {max(messages) / PACE:.0f} s of pace at most; "
            f"every listed option {full:,.0f}",
            asked,
        ),
        fact(f"scan: {name}: best trade found", f"{best} of {count}; same five {same}", ">= 90 %"),
        fact(
            f"scan: {name}: regret of the five, points",
            f"mean {np.mean(regrets):.3f}, worst place {max(one.worst for one in found):.2f}",
            worst,
        ),
        fact(f"scan: {name}: legs without a quote", f"{sum(one.unquoted for one in found)}", "0"),
        fact(
            f"scan: {name}: processor beside fetching",
            f"{max(one.seconds for one in found):.1f} s at most",
        ),
    ]


def run(seeds: Sequence[int] = SEEDS) -> list[Row]:
    """The seller's strategies on the model market and on recorded chains."""
    settings, rows = Settings(), []
    chosen = templates.choose(settings)
    found = [compare(model_market(seed, chosen, settings), chosen, settings) for seed in seeds]
    label = f"20 demo symbols, seller, {len(seeds)} seeds"
    rows += rows_of(label, found, "<= 1,900", "mean <= .2, worst <= 2")
    present = list(recorded(chosen, settings))
    real = [
        compare({one.chain.symbol: one}, of_symbol(one, chosen), settings, strikes=9)
        for _, one in present
        if one is not None
    ]
    if real:
        rows += rows_of(f"{len(real)} recorded chains, seller", real, "", "mean <= .3")
    outside = [name for name, one in present if one is None]
    if outside:
        text = f"{', '.join(outside)}: no expiry within the windows of the strategies"
        rows.append(fact("scan: recorded chains left out", text))
    return rows


def of_symbol(one: Whole, chosen: Sequence[Template]) -> tuple[Template, ...]:
    """Those of *chosen* that the symbol can have: an index has no shares."""
    in_cash = one.chain.underlying.settles_in_cash
    return tuple(template for template in chosen if not (in_cash and template.stock))


def main() -> int:
    """Single runs, for the curve of messages against regret."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1])
    parser.add_argument("--all", action="store_true", help="every strategy")
    parser.add_argument("--recorded", action="store_true", help="recorded chains instead")
    parser.add_argument("--strikes", type=int, default=7)
    parser.add_argument("--margin", type=float)
    parser.add_argument("--coarse", type=float)
    given = parser.parse_args()
    settings = Settings(scan={"profile": "all" if given.all else "seller"})
    chosen = templates.choose(settings)
    markets: Iterator[tuple[str, dict[str, Whole]]] = (
        ((name, {one.chain.symbol: one} if one else {}) for name, one in recorded(chosen, settings))
        if given.recorded
        else ((f"seed {seed}", model_market(seed, chosen, settings)) for seed in given.seeds)
    )
    for name, wholes in markets:
        if not wholes:
            print(name, "no expiry within the windows of the strategies", flush=True)
            continue
        of_it = of_symbol(next(iter(wholes.values())), chosen) if given.recorded else chosen
        options = {"margin": given.margin, "coarse_margin": given.coarse}
        found = compare(wholes, of_it, settings, strikes=given.strikes, **options)
        figures = {
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in vars(found).items()
        }
        print(name, json.dumps(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
