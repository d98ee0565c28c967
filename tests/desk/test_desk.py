"""The desk: one roof over settings, session, store and the built-in gateway."""

from __future__ import annotations

import pytest

from conftest import settings_in
from support import virtual_time
from tomic.config import View
from tomic.desk import Desk
from tomic.errors import ConfigError, GatewayUnreachable, InvalidSymbol, UsageError

pytestmark = virtual_time.THROUGHOUT

RULES = {"monthlies": 1, "weeklies": 1, "strike_range": "2"}


@pytest.fixture
def given(tmp_path):
    return settings_in(tmp_path, chain=RULES)


async def test_a_demo_needs_no_tws(given):
    """A chain of the demo market is whole, and the session closes with the desk."""
    async with Desk(given, demo=True) as desk:
        assert not desk.has_session
        chain = await desk.chain("spy")
        assert desk.has_session

    assert not desk.has_session
    assert (chain.symbol, chain.completeness) == ("SPY", 1.0)


async def test_rules_may_change_per_call(given):
    """Days, delta and any key of the chain settings, without touching the settings."""
    async with Desk(given, demo=True) as desk:
        puts = await desk.chain("SPY", dte=(20, 60), side="puts", strike_range="1%")

        assert set(puts["right"]) == {"P"}
        assert puts["dte"].min() >= 20 and puts["dte"].max() <= 60
        assert desk.settings.chain.side == "both"


@pytest.mark.parametrize("symbol", ["", "SP Y", "SPY;"])
async def test_bad_symbols_open_nothing(given, symbol):
    """Fact 1: refused before any connection."""
    async with Desk(given, demo=True) as desk:
        with pytest.raises(InvalidSymbol):
            await desk.chain(symbol)
        assert not desk.has_session


async def test_unknown_strategies_open_nothing(given):
    """A name that is no strategy is refused before any connection, whoever asks."""
    async with Desk(given, demo=True) as desk:
        with pytest.raises(ConfigError, match="did you mean iron_condor"):
            await desk.scan(["SPY"], strategies=["iron_condors"])
        with pytest.raises(ConfigError, match="did you mean short_put_spread"):
            await desk.why_not("SPY", "short_put_spreads 560/550 2026-12-18")
        assert not desk.has_session


async def test_bad_rules_are_named(given):
    """A key that does not exist, and a range the wrong way round."""
    async with Desk(given, demo=True) as desk:
        with pytest.raises(UsageError, match="monthlys"):
            await desk.chain("SPY", monthlys=3)
        with pytest.raises(UsageError, match="max_dte must be >= min_dte"):
            await desk.chain("SPY", dte=(60, 15))


async def test_several_symbols_share_the_session(given):
    """Outcomes come in the order asked for, the bad one among them."""
    async with Desk(given, demo=True) as desk:
        found = await desk.chains(["SPY", "QXZJ7", "QQQ"])

    assert [one.symbol for one in found] == ["SPY", "QXZJ7", "QQQ"]
    assert [one.error is None for one in found] == [True, False, True]


async def test_every_call_has_its_own_time(given):
    """A desk that is open for longer than a deadline still fetches."""
    short = given.model_copy(update={"chain": given.chain.model_copy(update={"deadline_s": 20.0})})
    async with Desk(short, demo=True) as desk:
        first = await desk.chain("SPY")
        desk._resources._session.deadline = 0.0
        second = await desk.chain("SPY")

    assert first.completeness == second.completeness == 1.0


async def test_no_gateway_is_said(given):
    """A closed port is an error of the session, with what to do."""
    ib = given.ib.model_copy(update={"port": 1})
    async with Desk(given.model_copy(update={"ib": ib})) as desk:
        with pytest.raises(GatewayUnreachable, match="or pass --demo"):
            await desk.chain("SPY")


def test_a_demo_replays_nothing(given):
    """Both at once cannot be meant."""
    with pytest.raises(UsageError, match="exclude each other"):
        Desk(given, demo=True, replay="chain.csv")


async def test_a_replay_opens_the_real_journal_once(given):
    """Its journal is that of the settings, and asking again opens no second connection."""
    async with Desk(given, replay="chain.csv") as desk:
        first, second = await desk.journal(), await desk.journal()

        assert first.store is second.store
        assert first.store.path == given.store.path


async def test_one_text_is_one_symbol(given):
    """Wherever several symbols are wanted, a text is one of them, or several by commas."""
    few = given.scan.model_copy(update={"method": "thinned", "max_contracts": 60})
    async with Desk(given.model_copy(update={"scan": few}), demo=True) as desk:
        assert [one.symbol for one in await desk.chains("spy")] == ["SPY"]
        assert [one.symbol for one in await desk.chains("SPY, qqq")] == ["SPY", "QQQ"]
        run = await desk.prices("SPY,QQQ")
        assert {one.symbol for one in run.symbols} == {"SPY", "QQQ"}
        assert [one.symbol for one in await desk.vols("SPY", stored=True)] == ["SPY"]
        assert (await desk.vol("spy", stored=True)).symbol == "SPY"
        listed = await desk.vol(["SPY", "QQQ"], stored=True)
        assert [one.symbol for one in listed] == ["SPY", "QQQ"]
        assert [one.symbol for one in await desk.vol("SPY,QQQ", stored=True)] == ["SPY", "QQQ"]
        assert [one.symbol for one in await desk.vol(["SPY"], stored=True)] == ["SPY"]
        found = await desk.scan("SPY", strategies="short-put-spread")
        assert [one.symbol for one in found.outcomes] == ["SPY"]
        assert {one.strategy for one in found.proposals} == {"short_put_spread"}
        store = await desk.store()
        assert set(await store.history.many_bars("SPY,QQQ")) == {"SPY", "QQQ"}
        assert set(await store.history.latest_snapshots("SPY")) == {"SPY"}


async def test_one_chain_where_several_are_wanted(given):
    """A scan takes one chain as it is; of two chains of one symbol it would lose one."""
    few = given.scan.model_copy(update={"strategies": ["iron_condor", "short_put_spread"]})
    async with Desk(given.model_copy(update={"scan": few}), demo=True) as desk:
        chain = await desk.chain("SPY", dte=(30, 60), strike_range="2s")

        one, listed = await desk.scan(chains=chain), await desk.scan(chains=[chain])

        assert one.considered == listed.considered > 0
        viewed = await desk.scan(chains=chain, views={"SPY": View(volatility=0.9)})
        assert {proposal.view.volatility for proposal in viewed.proposals} == {0.9}
        assert [proposal.score for proposal in viewed.proposals] == [
            proposal.score for proposal in one.proposals
        ]
        with pytest.raises(UsageError, match=r"view: .*volatility"):
            await desk.scan(chains=chain, views={"SPY": {"volatility": 0.0}})
        with pytest.raises(UsageError, match="several chains of SPY"):
            await desk.scan(chains=[chain, chain.updated(chain)])


async def test_several_symbols_where_one_is_wanted(given):
    """A list, or a text with commas, is no symbol; nothing is opened for it."""
    async with Desk(given, demo=True) as desk:
        for wrong in (["SPY"], "SPY,QQQ", None):
            with pytest.raises(InvalidSymbol):
                await desk.chain(wrong)
            with pytest.raises(InvalidSymbol):
                await desk.vol_history(wrong)
        assert not desk.has_session


@pytest.mark.parametrize(
    ("text", "days"), [("20", (20, 9999)), ("20:60", (20, 60)), (":60", (0, 60))]
)
async def test_ranges_as_on_the_command_line(given, text, days):
    """A text is one end, or with a colon both, and not its letters."""
    async with Desk(given, demo=True) as desk:
        chain = await desk.chain("SPY", delta="-0.3:0.3", dte=text, strike_range="2s")

        assert chain["dte"].min() >= days[0] and chain["dte"].max() <= days[1]
        kept = chain["delta"][chain["status"] == "ok"]
        assert len(kept) and abs(kept).max() <= 0.3


@pytest.mark.parametrize(
    "wrong", [{"dte": (1, 2, 3)}, {"dte": 2.5}, {"delta": 0.3}, {"dte": "x:y"}]
)
async def test_ranges_that_are_none(given, wrong):
    """Anything else is answered with how to write it."""
    async with Desk(given, demo=True) as desk:
        with pytest.raises(UsageError):
            await desk.chain("SPY", **wrong)
        assert not desk.has_session
