"""What a newcomer gets wrong in Python: each is refused by a sentence that says what to write."""

from __future__ import annotations

import asyncio
import datetime as dt
import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import tomic
from conftest import settings_in
from support import random_chains
from tomic import files
from tomic._keywords import nearest, suggests
from tomic.config.market import ChainRules, ChainSettings
from tomic.desk import Desk, VolOptions, WalkOptions
from tomic.errors import ConfigError, TomicError, UsageError
from tomic.quant import american, black_scholes, realized

CHAIN = random_chains.chain(5, spot=100.0, sigma=0.40, strikes=9, gaps=False)
VOL = random_chains.snapshot(CHAIN, iv30=0.40, hv30=0.38, iv_rank=0.6)
BARE = CHAIN.to_frame()[["strike", "right", "bid", "ask", "expiry"]]
SERIES = pd.Series([100.0, 101.0, 99.0, 102.0], index=pd.bdate_range("2026-01-01", periods=4))
SAID = (TomicError, TypeError, ValueError, KeyError, AttributeError)


def bare(**changes):
    frame = BARE.assign(**changes)
    frame.attrs.clear()
    return frame


def propose(**arguments):
    return tomic.propose(CHAIN, VOL, **arguments)


TABLE = {
    "a port beside its section": (lambda: Desk(demo=True, port=4001), r"write ib=\{'port': 4001\}"),
    "a path for a section": (lambda: Desk(demo=True, store="x.db"), r"store=\{'path': ...\}"),
    "a misspelt argument": (lambda: Desk(demoo=True), "no argument 'demoo'; did you mean 'demo'"),
    "a misspelt section": (lambda: Desk(ibb={"port": 1}), "did you mean ib"),
    "demo and replay": (lambda: Desk(demo=True, replay="x"), "^demo and replay exclude"),
    "no snapshot": (lambda: tomic.propose(CHAIN, None), r"VolSnapshot\(symbol='R5'"),
    "chain and snapshot swapped": (lambda: tomic.propose(VOL, CHAIN), "a Chain is needed before"),
    "a snapshot of another symbol": (
        lambda: tomic.propose(CHAIN, VOL.model_copy(update={"symbol": "QQQ"})), "that of QQQ",
    ),
    "weights that are no mapping": (lambda: propose(weights=[0.5, 0.5]), "weights are named"),
    "a misspelt weight": (lambda: propose(weights={"poss": 1.0}), "did you mean 'pos'"),
    "a misspelt view": (lambda: propose(view={"vol": 0.9}), "did you mean 'volatility'"),
    "settings as a mapping": (lambda: propose(settings={"scan": {}}), "load_settings"),
    "a number for a strategy": (lambda: propose(strategies=[1]), "names or Templates, got 1"),
    "a strategy that is none": (lambda: propose(strategies="iron_condr"), "mean iron_condor"),
    "a wrong keyword": (lambda: propose(strategy="x"), "did you mean 'strategies'"),
    "a density of no expiry": (
        lambda: propose(densities={dt.date(2030, 1, 1): [1.0, 2.0]}), "no expiry that can be",
    ),
    "a density of returns": (
        lambda: propose(densities={CHAIN.expiries[0]: [0.9, 1.1]}), "prices of the underlying",
    ),
    "a column in capitals": (lambda: CHAIN["Bid"], "did you mean 'bid'"),
    "a column as an attribute": (lambda: CHAIN.bid, r"write chain\['bid'\]"),
    "an attribute there is none of": (lambda: CHAIN.greeks, "no attribute 'greeks'"),
    "a file without time": (
        lambda: tomic.load_chain("tests/does-not-exist.csv", as_of="2026-11-20"), "datetime",
    ),
    "several files": (lambda: tomic.load_chain(["a.csv", "b.csv"]), "one by one"),
    "a list for a frame": (lambda: tomic.Chain.from_frame([1]), "a DataFrame is needed, got list"),
    "a frame without time": (
        lambda: tomic.Chain.from_frame(bare(), symbol="SPY"), "give as_of, as in",
    ),
    "a frame without symbol": (
        lambda: tomic.Chain.from_frame(bare(), as_of="2026-03-02"), "pass its symbol",
    ),
    "a frame without expiries": (
        lambda: tomic.load_chain(bare().drop(columns="expiry"), symbol="X", as_of="2026-03-02"),
        "no column expiry",
    ),
    "a time that is none": (
        lambda: tomic.Chain.from_frame(bare(), symbol="X", as_of="yesterday"), "is no time",
    ),
    "a right that is none": (
        lambda: tomic.Chain.from_frame(bare(right="X"), symbol="X", as_of="2026-03-02"), "nor P",
    ),
    "a rank in per cent": (
        lambda: tomic.VolSnapshot(symbol="X", as_of=CHAIN.as_of, iv_rank=60), "0.6, not 60",
    ),
    "a volatility in per cent": (
        lambda: tomic.VolSnapshot(symbol="X", as_of=CHAIN.as_of, iv30=17.0), "0.17, not 17",
    ),
    "a right that is missing": (
        lambda: black_scholes.price(100, 100, 0.1, 0.0, 0.0, 0.2, float("nan")), "C or P",
    ),
    "misaligned columns": (
        lambda: american.price(100, SERIES, 0.1, 0, 0, 0.2, SERIES.iloc[:2]), "align them first",
    ),
    "misaligned bars": (
        lambda: realized.parkinson(SERIES, SERIES.iloc[1:], 2), "high and low have different",
    ),
    "tables of other symbols": (
        lambda: realized.parkinson(SERIES.to_frame("A"), SERIES.to_frame("B"), 2), "columns",
    ),
    "a rank of other symbols": (
        lambda: realized.iv_rank(pd.Series({"A": 1.0}), SERIES.to_frame("B")), "columns of history",
    ),
    "a book without a zone": (
        lambda: tomic.book_of("+1 SPY", as_of=dt.datetime(2026, 3, 2)), "needs a time zone",
    ),
    "positions that are none": (lambda: tomic.book_of([5]), "texts or Positions, got 5"),
    "a frame of positions without symbol": (
        lambda: tomic.book_of(pd.DataFrame({"quantity": [1]})), "no column symbol",
    ),
    "a review of positions": (lambda: tomic.review_book("-1 SPY"), "as book_of makes one"),
}  # fmt: skip


@pytest.mark.parametrize("what", TABLE)
def test_a_misuse_gets_a_sentence(what):
    """It names what is wrong and what to write, and no option of the command line alone."""
    misuse, sentence = TABLE[what]

    with pytest.raises(SAID, match=sentence) as refused:
        misuse()

    assert not str(refused.value).lstrip("'\"").startswith("--")
    assert "object has no attribute" not in str(refused.value).replace("'Chain' object", "")


OF_A_DESK = {
    "a rule that is none": (lambda desk: desk.chain("SPY", strikes=10), "mean 'strike_range'"),
    "a list for a symbol": (lambda desk: desk.chain(["SPY"]), r"it is one text, as in 'SPY'"),
    "nothing for a symbol": (lambda desk: desk.chain(None), "not a ticker symbol"),
    "days that ascend not": (lambda desk: desk.chain("SPY", dte=(60, 30)), "max_dte must be >="),
    "a number for symbols": (lambda desk: desk.scan(5), "symbols are a text, or a list of texts"),
    "a strategy in the singular": (lambda desk: desk.scan("SPY", strategy="x"), "'strategies'"),
    "an option of vol": (lambda desk: desk.vol("SPY", day=3), "did you mean 'days'"),
    "an option of a sweep": (lambda desk: desk.sweep("scan.top", ["1"], sincee=1), "'since'"),
    "a kind of volatility": (lambda desk: desk.iv("SPY", kind="hv"), "none of ib30"),
    "no days": (lambda desk: desk.bars("SPY", days=0), "ask for at least one"),
    "bars that are not stored": (
        lambda desk: desk.bars("SPY", stored=True), r"await desk.prices\('SPY'\) fetches them",
    ),
    "another file and the last": (
        lambda desk: desk.portfolio(last=True, file="x"), "^file and last exclude",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", OF_A_DESK)
async def test_a_misuse_of_a_desk_gets_a_sentence(tmp_path, what):
    """It is refused before anything is asked of the gateway."""
    misuse, sentence = OF_A_DESK[what]
    async with Desk(settings_in(tmp_path), demo=True) as desk:
        with pytest.raises(SAID, match=sentence):
            await misuse(desk)

        assert not desk.has_session


OF_A_JOURNAL = {
    "legs that cannot be read": (lambda journal: journal.add("SPY spread"), "before each leg"),
    "a number for a trade": (lambda journal: journal.add(5), "a text of legs, a proposal"),
    "both ways to roll": (lambda journal: journal.roll(1, "+1 560P", to="x"), "or by to="),
    "an entry that is none": (lambda journal: journal.close(7), "no journal entry 7"),
    "groups that are none": (lambda journal: journal.stats("week"), "are grouped by strategy"),
    "a misspelt verb's keyword": (lambda journal: journal.add("x", prize=1), "mean 'price'"),
    "a time without zone": (
        lambda journal: journal.close(1, at=dt.datetime(2026, 1, 1)), "needs a time zone",
    ),
}  # fmt: skip


async def test_a_misuse_of_the_journal_gets_a_sentence(tmp_path):
    """Nothing is written by what is refused."""
    async with Desk(settings_in(tmp_path), demo=True) as desk:
        journal = await desk.journal(offline=True)
        for misuse, sentence in OF_A_JOURNAL.values():
            with pytest.raises(SAID, match=sentence):
                await misuse(journal)

        assert await journal.entries() == []


async def test_a_desk_that_is_not_open_says_how():
    """Without async with, and without open, nothing hangs: it says what to write."""
    with pytest.raises(UsageError, match=r"await desk.open\(\) before"):
        await Desk(demo=True).chain("SPY")


def test_a_desk_that_nobody_closed_lets_the_process_end():
    """A script may end, or fail, without closing what it opened."""
    script = (
        "import asyncio, tomic\n"
        "async def main():\n"
        "    desk = await tomic.Desk(demo=True).open()\n"
        "    await desk.journal()\n"
        "    print('opened')\n"
        "asyncio.run(main())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )

    assert (done.returncode, done.stdout) == (0, "opened\n"), done.stderr


def test_typed_keywords_are_those_there_are():
    """The types of keywords that are passed on name every key, and no other."""
    assert set(ChainRules.__annotations__) == set(ChainSettings.model_fields)
    for options, method in ((VolOptions, Desk.vols), (WalkOptions, Desk.backtest)):
        known = set(inspect.signature(method).parameters) - {"self"}
        given_apart = {"symbols"} if options is VolOptions else set()
        assert set(options.__annotations__) == known - given_apart


def test_a_function_suggests_what_was_meant():
    """The nearest keyword is named; where none is near, all are."""

    @suggests
    def sell(symbol, *, price=None):
        return symbol, price

    assert sell("SPY", price=1) == ("SPY", 1)
    with pytest.raises(TypeError, match=r"sell\(\) has no argument 'prize'; did you mean 'price'"):
        sell("SPY", prize=1)
    assert nearest("zzz", ["price", "at"]) == "there are price, at"


async def test_coroutines_that_suggest_may_be_cancelled(tmp_path):
    """What is wrapped is the coroutine itself: cancelling reaches it."""
    async with Desk(settings_in(tmp_path), demo=True) as desk:
        work = asyncio.create_task(desk.scan("SPY"))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work


def test_folders_may_be_texts(tmp_path):
    """Files are written where a text says, too."""
    path = files.write_chain(CHAIN, str(tmp_path), stamp=CHAIN.as_of)

    assert path.exists()
    assert np.isfinite(tomic.load_chain(path).spot.price)


def test_a_store_of_its_own_is_not_ignored(tmp_path):
    """A path given as a section is the demo's store, and the real one is refused."""
    desk = Desk(demo=True, store={"path": tmp_path / "mine.db"})

    assert desk.settings.store.path == tmp_path / "mine.db"
    with pytest.raises(ConfigError):
        Desk(store={"pth": "x"})
