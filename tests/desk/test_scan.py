"""A scan over a gateway with faults: what is missing is said, asked for again, and never reused."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from conftest import settings_in
from support import virtual_time
from tomic.chain import Chain
from tomic.desk import Desk
from tomic.errors import DeadlineExceeded
from tomic.models import ScanResult
from tomic.sim import faults
from tomic.store import Bars, Database
from tomic.workflows import scan
from tomic.workflows.progress import Event

pytestmark = virtual_time.THROUGHOUT

HASTY = {"silent_s": 0.1, "quote_timeout_s": 0.5, "retries": 0}
"""Patience with options, for faults that never end."""
SILENT_CALLS = faults.Silent(symbol="QQQ", right="C")
DAY = dt.timedelta(days=1)
NOON = dt.datetime(2025, 10, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def given(tmp_path, gateway):
    """Settings for this gateway: one strategy, few strikes, chains reused for a day."""
    return settings_in(
        tmp_path,
        ib={"port": gateway.port},
        scan={
            "strategies": ["short_put_spread"],
            "method": "thinned",
            "max_contracts": 60,
            "max_chain_age": DAY,
        },
    )


@pytest.fixture
def hasty(given):
    """The same with little patience, for what never answers."""
    return changed(
        given,
        ib={"request_timeout_s": 0.5, "params_timeout_s": 0.5},
        chain=HASTY,
        market={"spot_timeout_s": 0.5},
    )


def changed(settings, **sections):
    """Settings with other keys in some sections."""
    update = {
        name: getattr(settings, name).model_copy(update=values) for name, values in sections.items()
    }
    return settings.model_copy(update=update)


def outcome_of(result, symbol):
    (found,) = [one for one in result.outcomes if one.symbol == symbol]
    return found


# -- partial is partial --------------------------------------------------------------------


async def test_a_part_that_did_not_answer_is_said(hasty, gateway):
    """Calls that stay silent make their symbol partial, and leave the other one whole."""
    gateway.add(SILENT_CALLS)
    async with Desk(hasty) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert result.partial == ("QQQ",)
    assert outcome_of(result, "QQQ").ok
    assert "options missing: no answer" in outcome_of(result, "QQQ").cut
    assert result.partial_text.startswith("cut short QQQ (")
    assert outcome_of(result, "SPY").cut == ""


async def test_a_cut_chain_is_fetched_anew_and_a_whole_one_is_not(hasty, gateway):
    """The next scan takes the whole chain from the store, and asks again for the cut one."""
    async with Desk(hasty) as desk:
        gateway.add(SILENT_CALLS)
        await desk.scan(["SPY", "QQQ"])
        store = await desk.store()
        kept = {name: await store.chains.load(name) for name in ("SPY", "QQQ")}
        gateway.clear()

        result = await desk.scan(["SPY", "QQQ"])

        again = {name: await store.chains.load(name) for name in ("SPY", "QQQ")}
        assert kept["QQQ"].is_cut and not again["QQQ"].is_cut
        assert again["SPY"].as_of == kept["SPY"].as_of
        assert again["QQQ"].as_of > kept["QQQ"].as_of
    assert result.partial == ()


async def test_what_ib_does_not_quote_is_no_cut(given, gateway):
    """Options of which IB says that nobody quotes them leave the symbol whole, and are reused."""
    gateway.add(faults.NoQuotes(symbol="QQQ", right="C"))
    async with Desk(given) as desk:
        result = await desk.scan(["QQQ"])
        first = await (await desk.store()).chains.load("QQQ", whole=True)
        await desk.scan(["QQQ"])
        second = await (await desk.store()).chains.load("QQQ", whole=True)

    assert first.counts["no_quote"] > 0
    assert (result.partial, outcome_of(result, "QQQ").cut) == ((), "")
    assert second.as_of == first.as_of


async def test_what_is_stopped_half_way_is_cut(given, gateway):
    """A scan that is ended while options come says so, and the next one starts from nothing."""
    patient = changed(given, chain={"quote_timeout_s": 60.0, "silent_s": 60.0})
    gateway.add(SILENT_CALLS)

    def stop(event):
        if event.kind == "count" and event.symbol == "QQQ":
            desk.interrupt()

    async with Desk(patient, watch=stop) as desk:
        result = await desk.scan(["QQQ"])
        store = await desk.store()
        cut, whole = await store.chains.load("QQQ"), await store.chains.load("QQQ", whole=True)

    assert result.partial == ("QQQ",)
    assert cut.fetch.cut_short
    assert whole is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (faults.Silent(symbol="QQQ"), "data.missing_spot"),
        (faults.Silent(symbol="QQQ", on="contract_details"), "ib.timeout"),
        (faults.Silent(symbol="QQQ", on="option_params"), "ib.timeout"),
    ],
    ids=["no spot", "no details", "no parameters"],
)
async def test_a_symbol_that_is_gone_is_tried_twice_more(hasty, gateway, fault, code):
    """One that never answers costs two rounds at the end, and is named."""
    gateway.add(fault)
    rounds = []
    async with Desk(hasty, watch=lambda event: rounds.append(event.text)) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert result.partial == ("QQQ",)
    assert outcome_of(result, "QQQ").error_code == code
    assert result.partial_text == "failed QQQ"
    assert rounds.count("once more: QQQ") == 2
    assert outcome_of(result, "SPY").ok


@pytest.mark.parametrize(
    "fault",
    [
        faults.Silent(symbol="QQQ"),
        faults.Silent(symbol="QQQ", on="contract_details"),
        faults.Silent(symbol="QQQ", on="option_params"),
        faults.Refuse(symbol="QQQ", on="option_params", code=100, times=2),
        faults.Refuse(symbol="QQQ", code=101),
    ],
    ids=["no spot", "no details", "no parameters", "too fast", "no line"],
)
async def test_a_symbol_that_comes_back_is_whole(hasty, gateway, fault):
    """What failed while others were asked is asked again at the end, and nothing is missing."""
    gateway.add(fault)

    def mend(event):
        if event.text == "once more: QQQ":
            gateway.clear()

    async with Desk(hasty, watch=mend) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert (result.partial, result.failed) == ((), ())
    assert outcome_of(result, "QQQ").considered > 0


async def test_an_unknown_symbol_is_not_asked_again(given, gateway):
    """IB's word that there is no such symbol is final."""
    told = []
    async with Desk(given, watch=lambda event: told.append(event.text)) as desk:
        result = await desk.scan(["SPY", "QXZJ7"])

    assert result.partial == ("QXZJ7",)
    assert not any(text.startswith("once more") for text in told)


async def test_a_chain_without_any_answer_is_out_of_time(hasty, gateway):
    """A symbol of which no option answered failed for want of an answer, not for its data."""
    gateway.add(faults.Silent(symbol="QQQ", right="C"))
    gateway.add(faults.Silent(symbol="QQQ", right="P"))
    async with Desk(hasty) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert outcome_of(result, "QQQ").error_code == "deadline"
    assert result.partial_text == "out of time QQQ"


# -- one deadline --------------------------------------------------------------------------


async def test_the_deadline_is_that_of_the_whole_scan(given, gateway):
    """Of two symbols that both wait until it, the second has only what the first has left."""
    one_by_one = changed(
        given,
        chain={"quote_timeout_s": 600.0, "silent_s": 600.0, "deadline_s": 6.0},
        scan={"symbols_at_once": 1},
    )
    gateway.add(faults.Silent(right="C"))
    async with Desk(one_by_one) as desk:
        result = await desk.scan(["SPY", "QQQ"])
        store = await desk.store()
        first, second = await store.chains.load("SPY"), await store.chains.load("QQQ")

    assert result.partial == ("QQQ", "SPY")
    assert first.is_cut
    # A deadline that began anew would give the second more than the first, which shares its time
    # with connecting and the quotes of the underlyings.
    assert second is None or second.fetch.seconds < first.fetch.seconds


async def test_a_deadline_given_to_a_call_counts_from_the_start(given):
    """The first call of a command has its own deadline, from when the command was started."""
    began = asyncio.get_running_loop().time() - 3.0
    async with Desk(given, began=began) as desk:
        assert desk._resources.take_deadline(5.0) == began + 5.0
        assert desk._resources.take_deadline(5.0) >= began + 8.0


async def test_a_desk_that_waited_has_all_its_time(given):
    """In a notebook the time between two cells is nobody's."""
    async with Desk(given) as desk:
        before = asyncio.get_running_loop().time()
        assert desk._resources.take_deadline(5.0) >= before + 5.0


async def test_legs_that_are_asked_at_once_share_a_deadline(given):
    """Legs of several symbols have one deadline; those of a later call have one of their own."""
    async with Desk(given) as desk:
        share = desk._resources.sharing_deadline
        with share(5.0) as first, share(9.0) as second:
            assert second == first
        with desk._resources.sharing_deadline(9.0) as third:
            assert third > first


# -- other readers of chains ---------------------------------------------------------------


async def test_volatility_of_a_cut_chain_is_partial(hasty, gateway):
    """Figures of what came are given with what is missing, and the chain is not that of the day."""
    gateway.add(faults.Silent(symbol="XLF", right="C"))
    async with Desk(hasty) as desk:
        cut = await desk.vol("XLF", chain=True)
        gateway.clear()
        whole = await desk.vol("XLF", chain=True)

    assert isinstance(cut.error, DeadlineExceeded)
    assert "XLF: " in str(cut.error) and "options missing" in str(cut.error)
    assert cut.snapshot.spot is not None
    assert whole.error is None
    assert whole.snapshot.sources["skew"] == "chain"


async def test_a_trade_judged_in_a_cut_chain_says_so(hasty, gateway):
    """`why_not` gives its verdict with what the chain lacks."""
    gateway.add(faults.Silent(symbol="SPY", right="C"))
    async with Desk(hasty) as desk:
        review = await desk.why_not("SPY", "short_put_spread 560/550 2026-12-18")

    assert "options missing: no answer" in review.cut


async def test_a_proposal_quoted_anew_keeps_its_number_and_its_chain(given, gateway):
    """The legs alone do not take the place of the chain that the proposal was found in."""
    async with Desk(given) as desk:
        result = await desk.scan(["SPY"])
        old, store = result.proposals[0], await desk.store()
        before = await store.chains.load("SPY")
        review = await desk.refreshed(old)
        after = await store.chains.load("SPY")

    assert (review.proposal.id, review.proposal.rank) == (old.id, old.rank)
    assert (after.as_of, len(after)) == (before.as_of, len(before))


async def test_proposals_say_how_many_and_what_managing_brings(given, gateway):
    """By the saved portfolio each proposal has a size and a managed outcome, asked anew too."""
    del gateway
    async with Desk(given) as desk:
        before = await desk.scan(["SPY"])
        book = (await desk.portfolio()).book
        result = await desk.scan(["SPY"])
        old = result.proposals[0]
        judged = await desk.why_not("SPY", old.trade)

    assert before.proposals[0].size is None
    assert any("[account] net_liquidation" in note for note in before.notes)
    excess = sum(account.excess_liquidity for account in book.accounts)
    for proposal in (*result.proposals, judged.proposal):
        size = proposal.size
        assert size.by_risk == int(0.02 * book.net_liquidation // proposal.cvar95)
        assert size.buying_power_after == pytest.approx(excess - size.contracts * proposal.margin)
        assert size.limited_by
        assert proposal.managed.p_expiry == 0.0


async def test_the_size_is_by_the_setting_where_one_is_given(given, gateway):
    """Net liquidation of the settings sizes without a portfolio; nothing fits a tiny account."""
    del gateway
    small = changed(given, account={"net_liquidation": 1_000.0})
    async with Desk(small) as desk:
        result = await desk.scan(["SPY"])

    size = result.proposals[0].size
    assert size.contracts == 0
    assert size.buying_power_after is None
    assert "1,000 USD" in size.limited_by


async def test_legs_that_do_not_come_are_an_error(hasty, gateway):
    """A proposal of which no leg answers is not judged by its old quotes."""
    async with Desk(hasty) as desk:
        old = (await desk.scan(["SPY"])).proposals[0]
        gateway.add(faults.Silent(symbol="SPY", right="P"))
        with pytest.raises(DeadlineExceeded, match="SPY: 2 of 2 options missing"):
            await desk.refreshed(old)


async def test_a_recording_is_searched_and_not_kept(given, gateway, tmp_path):
    """Proposals found in a recording have no number, since nothing can be asked by it."""
    from tomic import files

    async with Desk(given) as desk:
        chain = await desk.chain("SPY", dte=(30, 60), weeklies=0, strike_range="2s")
    file = tmp_path / "chain.json"
    file.write_text(files.to_json([chain]))
    async with Desk(given, replay=file) as desk:
        result = await desk.scan(["SPY"])
        kept = await (await desk.store()).scans.latest()

    assert result.proposals
    assert {one.id for one in result.proposals} == {""}
    assert kept == []


# -- events --------------------------------------------------------------------------------


async def test_events_of_a_demo(tmp_path):
    """A report that nobody told the date of is priced; a call before its ex-day is warned of."""
    async with Desk(settings_in(tmp_path), demo=True) as desk:
        volatility = await desk.vol("CRM", chain=True)
        review = await desk.why_not("EWZ", "short_call_spread 31/33 2026-12-24")

    (event,) = volatility.events
    assert (event.after, event.by) == (None, dt.date(2026, 12, 11))
    # The market's own is 7 %, on 2 December.
    assert event.jump.move == pytest.approx(0.07, abs=0.01)
    assert volatility.ex_event_iv30 < volatility.own.value - 0.05
    (dividend,) = review.proposal.events
    assert (dividend.kind, dividend.date) == ("ex_dividend", dt.date(2026, 12, 18))
    assert "short 31C has a time value of 0.31, less than the dividend" in dividend.text


# -- few quotes ----------------------------------------------------------------------------


@pytest.fixture
def few(given):
    """The same settings, sampling."""
    return sampling(given)


def sampling(settings):
    return changed(settings, scan={"method": "sampled", "max_chain_age": dt.timedelta(0)})


def quoted_legs(result):
    return [leg for one in result.proposals for leg in one.legs if leg.sec_type == "OPT"]


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a scan of three symbols with few quotes found, said and left in the store."""

    result: ScanResult
    told: list[Event]
    chains: dict[str, Chain]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory):
    """A sampled scan of QQQ, SPY and AAPL, in this order."""
    settings = settings_in(
        tmp_path_factory.mktemp("sampled"),
        scan={"strategies": ["short_put_spread"], "max_chain_age": dt.timedelta(0)},
    )

    async def scanned():
        told = []
        async with Desk(settings, demo=True, watch=told.append) as desk:
            result = await desk.scan(["QQQ", "SPY", "AAPL"])
            store = await desk.store()
            chains = {name: await store.chains.load(name) for name in ("SPY", "QQQ", "AAPL")}
        return Sampled(result, told, chains)

    return asyncio.run(scanned())


def test_every_leg_that_is_shown_has_its_own_fresh_quote(sampled):
    """Legs are priced by their bid and ask alone, which the gateway gave them last of all."""
    assert len(sampled.result.proposals) == 3
    for one in sampled.result.proposals:
        chain = sampled.chains[one.symbol]
        last = chain["quoted_at"].max()
        for leg in one.legs:
            (row,) = np.flatnonzero(
                (chain["expiry"] == np.datetime64(leg.expiry, "D"))
                & (chain["strike"] == leg.strike)
                & (chain["right"] == leg.right)
            )
            assert leg.price_source == "true"
            assert (leg.bid, leg.ask) == (chain["bid"][row], chain["ask"][row])
            assert chain["quote_source"][row] == "live"
            assert last - chain["quoted_at"][row] < np.timedelta64(5, "s")


async def test_a_sample_takes_few_messages_and_is_no_whole_chain(few, gateway):
    """It is stored as what it is, and never taken for the chain of the day."""
    async with Desk(few) as desk:
        result = await desk.scan(["SPY"])
        store = await desk.store()
        part, whole = await store.chains.load("SPY"), await store.chains.load("SPY", whole=True)
        messages = (await desk.session()).messages

    assert result.partial == ()
    assert part.fetch.sampled and whole is None
    (note,) = [text for text in outcome_of(result, "SPY").notes if "options quoted" in text]
    quoted, listed = int(note.split()[0]), int(note.split()[2])
    assert len(part) == quoted < listed / 2
    assert messages < 2 * quoted + 100


async def test_a_young_whole_chain_is_searched_and_not_sampled(given, few, gateway):
    """What is stored whole costs nothing again, whatever the method."""
    async with Desk(given) as desk:
        await desk.scan(["SPY"])
    told = []
    young = changed(few, scan={"max_chain_age": DAY})
    async with Desk(young, watch=lambda event: told.append(event.text)) as desk:
        result = await desk.scan(["SPY"])

    assert result.proposals
    assert not any("legs again" in text for text in told)


async def test_a_sampled_symbol_that_did_not_answer_is_partial(hasty, gateway):
    """Calls that stay silent are said to be missing, and the other symbol is whole."""
    gateway.add(SILENT_CALLS)
    async with Desk(sampling(hasty)) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert result.partial == ("QQQ",)
    assert "options missing: no answer" in outcome_of(result, "QQQ").cut
    assert outcome_of(result, "SPY").cut == ""
    assert all(leg.price_source == "true" for leg in quoted_legs(result))


async def test_a_sampled_scan_that_is_stopped_says_so_and_leaves_no_line(few, gateway):
    """Interrupted in its rounds it shows what it has, as partial, and cancels what is open."""

    def stop(event):
        if event.kind == "stage" and event.text.startswith("round 1"):
            desk.interrupt()

    async with Desk(few, watch=stop) as desk:
        result = await desk.scan(["SPY", "QQQ"])

    assert result.partial
    assert (gateway.lines_open, gateway.leaked) == (0, 0)
    assert all(leg.price_source == "true" for leg in quoted_legs(result))


def test_order_and_end_are_said_before_anything_is_asked(sampled):
    """The first word names the symbols in their order, the messages and when it will be over."""
    stages = [event.text for event in sampled.told if event.kind == "stage" and not event.symbol]
    assert stages[0].startswith("3 symbols: QQQ, SPY, AAPL; about ")
    assert "messages, done by about " in stages[0]


async def test_exhaustive_asks_for_every_listed_option(given, gateway):
    """Unthinned, however few contracts the settings allow."""
    every = changed(given, scan={"method": "exhaustive"})
    async with Desk(every) as desk:
        await desk.scan(["SPY"])
        chain = await (await desk.store()).chains.load("SPY", whole=True)

    assert len(chain) > 3 * given.scan.max_contracts
    assert not any("thinned" in note for note in chain.notes)


# -- correlations --------------------------------------------------------------------------


@pytest.fixture
async def bars(tmp_path):
    """A store with closes of three symbols for a year, and of one for a month."""
    days = np.datetime64("2025-01-01") + np.arange(252)
    market, noise = np.random.default_rng(3).normal(0.0, 0.01, (2, 3, 252))
    async with Database(tmp_path / "store.db") as db:
        for place, symbol in enumerate(("AAA", "BBB", "CCC")):
            close = 100.0 * np.exp(np.cumsum(market[0] + (place + 1) * noise[place]))
            await db.history.save_bars(
                Bars(symbol, days, *[close] * 4, np.ones(252)), fetched_at=NOON, asked_from=None
            )
        short = Bars("NEW", days[-30:], *[np.arange(1.0, 31.0)] * 4, np.ones(30))
        await db.history.save_bars(short, fetched_at=NOON, asked_from=None)
        yield db


async def test_correlations_are_those_of_log_returns(bars):
    """Of each pair with a year in common; what is not known is absent, and is asked for freely."""
    known = await scan.return_correlations(bars, ["AAA", "BBB", "CCC", "NEW", "NONE"])

    closes = await bars.history.many_bars(["AAA", "BBB", "CCC"])
    for pair in combinations(sorted(closes), 2):
        returns = [np.diff(np.log(closes[symbol].close)) for symbol in pair]
        assert known[frozenset(pair)] == pytest.approx(np.corrcoef(*returns)[0, 1], rel=1e-12)
    assert set(known) == {frozenset(pair) for pair in combinations(sorted(closes), 2)}
    assert len(known) == 3
    assert known.get(frozenset(("AAA", "NEW")), 0.0) == 0.0
    assert frozenset(("AAA", "NONE")) not in known
