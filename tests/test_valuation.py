"""What stands in for quotes on a closed market, and that it is labelled."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from support import recorded_chains
from support.made_chains import AS_OF, OPEN, RATE, SPOT, VOL, chain_of, priced, row
from tomic import dates, files, valuation
from tomic.chain import Chain
from tomic.config import ChainSettings, MarketSettings
from tomic.models import DataType, OptionQuote, QuoteSource, RowStatus, Spot, SpotSource, Underlying
from tomic.models.documents import finite
from tomic.quant import american, black_scholes


def test_parity_deviation_as_in_the_original():
    """Fact 18: mids of 6.1 and 5.1, spot 600.5, strike 600, 30 days, 5 % give 1.9607."""
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2), row(600.0, "P", bid=5.0, ask=5.2))

    found = valuation.with_parity_deviation(chain, 0.05)["parity_deviation"]

    assert found.tolist() == [1.9607, 1.9607]


def test_parity_needs_both_quotes():
    """A missing quote leaves the deviation empty for both."""
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2), row(600.0, "P", ask=5.2))

    assert np.isnan(valuation.with_parity_deviation(chain, 0.05)["parity_deviation"]).all()


@pytest.mark.parametrize("sec_type", ["STK", "IND"])
def test_local_greeks_invert_the_mid(sec_type):
    """IV comes back from its own price: American for shares, European for indices."""
    chain = valuation.with_local_greeks(chain_of(*priced(sec_type), sec_type=sec_type))

    assert chain["iv"] == pytest.approx([VOL] * len(chain), abs=0.004)
    assert set(chain["greeks_source"]) == {"local"}
    assert set(chain["status"]) == {"ok"}
    assert (np.sign(chain["delta"]) == np.where(chain.is_call, 1.0, -1.0)).all()


def test_numbers_of_ib_stay():
    """Where IB gave IV and Greeks nothing is computed."""
    given = {"iv": 0.3, "delta": 0.4, "gamma": 0.01, "vega": 0.5, "theta": -0.1}
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2, greeks_source="ib", **given))

    found = valuation.with_local_greeks(chain)

    assert (found["iv"][0], found["greeks_source"][0]) == (0.3, "ib")


@pytest.mark.parametrize(("delta", "status"), [(0.8, "ok"), (0.81, "delta_out_of_range")])
def test_the_delta_range_is_inclusive(delta, status):
    """Fact 14: outside -0.8 to 0.8 a row is marked; the ends are inside."""
    given = {"iv": 0.3, "delta": delta, "gamma": 0.01, "vega": 0.5, "theta": -0.1}
    chain = chain_of(row(600.0, "C", bid=6.0, ask=6.2, greeks_source="ib", **given))

    assert valuation.complete(chain, MarketSettings(), ChainSettings())["status"][0] == status


def pairs(count: int, apart: float = 0.0) -> list[OptionQuote]:
    given = {"bid": 6.0, "ask": 6.2, "greeks_source": "ib"}
    return [
        row(580.0 + n, right, iv=0.2 + (apart if right == "P" else 0.0), **given)
        for n in range(count)
        for right in "CP"
    ]


@pytest.mark.parametrize(
    ("confirmed", "frozen"),
    [(DataType.LIVE, DataType.FROZEN), (DataType.DELAYED, DataType.DELAYED_FROZEN)],
)
def test_identical_ivs_are_frozen_data(confirmed, frozen):
    """Twenty pairs with the same IV on both sides, and no open market: frozen, and said so."""
    chain = valuation.label_frozen(chain_of(*pairs(20), is_open=False, data_type=confirmed))

    assert chain.data_type is frozen
    assert "identical in all 20 pairs" in chain.notes[0]


def test_nineteen_pairs_prove_nothing():
    """Nor do twenty with a single one that differs."""
    few = chain_of(*pairs(19), is_open=False)
    live = chain_of(*pairs(20, apart=0.001), is_open=False)

    assert valuation.label_frozen(few).data_type is DataType.LIVE
    assert valuation.label_frozen(live).data_type is DataType.LIVE


def test_identical_ivs_in_open_hours_are_only_noted():
    """While the market trades the confirmed type stands."""
    chain = valuation.label_frozen(chain_of(*pairs(20)))

    assert chain.data_type is DataType.LIVE
    assert chain.notes[0].endswith("although the market is open")


def test_an_empty_chain_stays_empty():
    """Nothing is computed from nothing."""
    chain = chain_of()

    found = valuation.complete(replace(chain), MarketSettings(), ChainSettings())

    assert len(found) == 0


def test_stored_quotes_fill_only_what_is_missing():
    """A row with a quote of its own keeps it, and rows cut off by a lost line stay lost."""
    stored = chain_of(*priced("STK"))
    chain = chain_of(
        row(590.0, "C", bid=1.0, ask=2.0),
        row(600.0, "C", RowStatus.NO_QUOTE, quote_source=None),
        row(610.0, "C", RowStatus.LOST, quote_source=None),
        row(620.0, "C", RowStatus.NO_QUOTE, quote_source=None),
        is_open=False,
    )

    found = valuation.with_stored(chain, stored)

    assert found["quote_source"].tolist() == ["live", "stored", "", ""]
    assert found["status"].tolist() == ["ok", "no_greeks", "lost", "no_quote"]
    assert found["bid"][0] == 1.0


def test_stored_quotes_are_as_old_as_they_say():
    """The note tells when the stored rows were quoted, not when their chain was stored last."""
    early = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)
    late = early + dt.timedelta(minutes=5)
    missing = [row(k, "C", RowStatus.NO_QUOTE, quote_source=None) for k in (590.0, 600.0)]
    times = [(early, early), (early, late), (None, None)]

    notes = []
    for first, second in times:
        quotes = {"bid": 1.0, "ask": 2.0}
        stored = chain_of(
            row(590.0, "C", quoted_at=first, **quotes), row(600.0, "C", quoted_at=second, **quotes)
        )
        notes.append(valuation.with_stored(chain_of(*missing), stored).notes[-1])

    assert notes[0] == "2 quotes are stored ones, of 2026-11-20 15:30 UTC"
    assert notes[1] == "2 quotes are stored ones, of 2026-11-20 15:30 to 2026-11-20 15:35 UTC"
    assert notes[2] == f"2 quotes are stored ones, of {stored.as_of:%Y-%m-%d %H:%M} UTC"


def test_the_model_reads_iv_off_its_neighbours():
    """Between two strikes linearly, beyond the last one flat, and without any the usual one."""
    known = {"bid": 1.0, "ask": 2.0, "greeks_source": "ib", "delta": 0.5}
    missing = [row(k, "C", RowStatus.NO_QUOTE, quote_source=None) for k in (595.0, 650.0)]
    chain = chain_of(row(590.0, "C", iv=0.2, **known), row(600.0, "C", iv=0.3, **known), *missing)

    found = valuation.with_model(chain, None)
    alone = valuation.with_model(chain_of(*missing), 0.25)

    assert found["iv"].tolist() == pytest.approx([0.2, 0.25, 0.3, 0.3])
    assert found["quote_source"].tolist() == ["live", "model", "live", "model"]
    assert alone["iv"].tolist() == [0.25, 0.25]
    assert valuation.with_model(chain_of(*missing), None)["quote_source"].tolist() == ["", ""]


def test_bars_keep_the_time_that_was_left_at_their_close():
    """A close of yesterday is inverted with yesterday's time to expiry."""
    closes = AS_OF - dt.timedelta(days=1)
    tau = float(chain_of(row(600.0, "C"))["tau"][0]) + 1.0 / 365.0
    rows = [
        row(600.0, right, RowStatus.NO_GREEKS, quote_source=QuoteSource.HISTORY, quoted_at=closes,
            close=float(american.price(SPOT, 600.0, tau, RATE, 0.0, VOL, right == "C")))
        for right in "CP"
    ]  # fmt: skip

    found = valuation.with_historical_iv(chain_of(*rows, is_open=False))

    assert found["iv"] == pytest.approx([VOL, VOL], abs=0.002)
    assert np.isnan(found["delta"]).all()


# -- forwards and discount factors ---------------------------------------------------------------


def index_chain(symbol, forward, strikes, *, rate, sigma=0.2, sides="CP", spot=SPOT, days=(30,)):
    """European options of an index at *forward* (one a day of *days*), quoted a cent either way."""
    underlying = Underlying(symbol=symbol, con_id=1, sec_type="IND", sessions=(OPEN,))
    made = {"underlying": underlying, "as_of": AS_OF, "rate": RATE, "trading_class": f"{symbol}W"}
    at = Spot(price=spot, source=SpotSource.LAST, as_of=AS_OF)
    forwards = np.broadcast_to(forward, len(days))
    rows = []
    for day, level in zip(days, forwards.tolist(), strict=True):
        expiry = AS_OF.date() + dt.timedelta(days=day)
        empty = [plain(expiry, strikes[0], "C", 1.0)]
        tau = float(Chain.from_quotes(empty, spot=at, **made)["tau"][0])
        for strike in strikes:
            for right in sides:
                paid = black_scholes.undiscounted(level, strike, sigma * np.sqrt(tau), right == "C")
                rows.append(plain(expiry, strike, right, float(paid * np.exp(-rate * tau))))
    return Chain.from_quotes(rows, spot=at, **made)


def plain(expiry, strike, right, value):
    return OptionQuote(
        expiry=expiry, dte=0, strike=float(strike), right=right, bid=max(value - 0.01, 0.001),
        ask=value + 0.01, status=RowStatus.NO_GREEKS, quote_source=QuoteSource.LIVE,
        greeks_source="none", quoted_at=AS_OF,
    )  # fmt: skip


def vix(sides="CP", symbol="VIX"):
    """The index at 13.9, its future at 16.5, all options at 90 %."""
    strikes = (13.0, 14.0, 15.0, 16.0, 17.0, 18.0, 20.0, 25.0)
    return index_chain(symbol, 16.5, strikes, rate=RATE, sigma=0.9, sides=sides, spot=13.9)


@pytest.mark.parametrize("symbol", ["VIX", "RVX", "XYZV"])
def test_options_of_a_volatility_index_are_on_its_future(symbol):
    """Volatility is that of the future, and deltas are N(d1) of it, discounted: never above 1."""
    chain = valuation.with_local_greeks(vix(symbol=symbol))

    (carry,) = chain.carries
    total = 0.9 * np.sqrt(chain["tau"])
    d1 = np.log(16.5 / chain["strike"]) / total + 0.5 * total
    sign = np.where(chain.is_call, 1.0, -1.0)
    assert carry.forward == pytest.approx(16.5, abs=0.01)
    assert chain["iv"] == pytest.approx([0.9] * len(chain), abs=0.005)
    assert chain["delta"] == pytest.approx(sign * carry.discount * ndtr(sign * d1), abs=0.003)
    assert np.abs(chain["delta"]).max() < carry.discount


@pytest.mark.parametrize("sides", ["C", "P"])
@pytest.mark.parametrize("sec_type", ["STK", "IND"])
def test_one_side_alone_implies_no_forward(sides, sec_type):
    """Without a pair and a known yield nothing is computed, and a note says why."""
    chain = vix(sides) if sec_type == "IND" else chain_of(*one_side(sides))

    found = valuation.with_local_greeks(chain)

    assert np.isnan(found["iv"]).all()
    assert set(found["greeks_source"]) == {"none"}
    assert set(found["status"]) == {"no_greeks"}
    assert [carry.forward_source for carry in found.carries] == ["none"]
    assert any(f"no forward of {found.expiries[0]}" in note for note in found.notes)
    assert valuation.with_local_greeks(found).notes == found.notes


def one_side(sides):
    return [row for row in priced("STK") if row.right in sides]


def test_a_known_yield_carries_the_spot():
    """Where one side is all there is, a known yield leads to the forward; a note says so."""
    chain = replace(chain_of(*one_side("P")), div_yield=0.0)

    found = valuation.with_local_greeks(chain)

    assert found["iv"] == pytest.approx([VOL] * len(found), abs=0.004)
    assert found.carries[0].forward_source == "spot"
    assert any("less a yield of 0.00%" in note for note in found.notes)
    # A volatility index cannot be carried, whatever its yield is said to be.
    future = valuation.with_local_greeks(replace(vix("C"), div_yield=0.0))
    assert np.isnan(future["iv"]).all()


@pytest.mark.parametrize("borrow", [0.2, 0.35, 0.5])
def test_shares_that_are_hard_to_borrow_have_their_own_forward(borrow):
    """A borrow fee is a yield that options imply; early exercise is taken off to find it."""
    empty = chain_of(*(row(k, right) for k in np.arange(480.0, 731.0, 10.0) for right in "CP"))
    value = american.price(SPOT, empty["strike"], empty["tau"], RATE, borrow, 0.6, empty.is_call)
    quotes = {"bid": value - 0.01, "ask": value + 0.01}
    chain = empty.with_columns(**quotes, status=np.full(len(empty), "no_greeks"))

    found = valuation.with_local_greeks(chain)

    held = SPOT * np.exp((RATE - borrow) * float(chain["tau"][0]))
    known = np.isfinite(found["iv"])
    assert found.carries[0].forward == pytest.approx(held, rel=3e-4)
    assert known.mean() > 0.8
    assert found["iv"][known] == pytest.approx(np.full(known.sum(), 0.6), abs=0.003)
    assert found.carries[0].rate_source == "settings"


def test_an_index_implies_its_rate():
    """Many strikes give the discount factor; the rate of the settings, 5 %, is left aside."""
    strikes = np.arange(540.0, 661.0, 1.0)
    chain = index_chain("SPX", 602.0, strikes, rate=0.025, days=(30, 60, 90))

    found = valuation.with_local_greeks(chain)

    assert [carry.rate for carry in found.carries] == pytest.approx([0.025] * 3, abs=0.0005)
    assert {carry.rate_source for carry in found.carries} == {"parity"}
    assert all(0.0 < carry.rate_error < 0.002 for carry in found.carries)
    tau = [float(found["tau"][found["expiry"] == np.datetime64(day)][0]) for day in found.expiries]
    implied = [carry.discount for carry in found.carries]
    assert implied == pytest.approx(np.exp(-0.025 * np.array(tau)), abs=2e-4)
    assert found["iv"] == pytest.approx([0.2] * len(found), abs=0.003)
    assert found.rate == RATE


def test_few_strikes_take_the_curve():
    """An expiry with four pairs takes the rate of the others, and says so."""
    strikes = np.arange(540.0, 661.0, 1.0)
    chain = index_chain("SPX", 602.0, strikes, rate=0.025, days=(30, 60, 90))
    middle = chain["expiry"] == np.datetime64(chain.expiries[1])
    few = chain.where(~middle | (np.abs(chain["strike"] - 602.0) < 2.0))

    carries = valuation.carries(few)

    assert [carry.rate_source for carry in carries.values()] == ["parity", "curve", "parity"]
    assert [carry.rate for carry in carries.values()] == pytest.approx([0.025] * 3, abs=0.0005)


@pytest.mark.parametrize("why", ["american", "few", "apart"])
def test_the_rate_of_the_settings_is_the_last_resort(why):
    """American options, a handful of pairs, or sides quoted minutes apart imply no rate."""
    strikes = np.arange(540.0, 661.0, 1.0) if why != "few" else [590.0, 600.0, 610.0]
    chain = index_chain("OEX" if why == "american" else "SPX", 602.0, strikes, rate=0.025)
    if why == "american":
        chain = replace(chain, trading_class="OEX")
    if why == "apart":
        late = np.where(chain.is_call, np.timedelta64(0, "s"), np.timedelta64(300, "s"))
        chain = chain.with_columns(quoted_at=chain["quoted_at"] + late)

    found = valuation.with_carries(chain)

    (carry,) = found.carries
    assert (carry.rate, carry.rate_source, carry.rate_error) == (RATE, "settings", None)
    assert carry.forward == pytest.approx(602.0, abs=1.5)
    assert any("market.rate 5.00% instead" in note for note in found.notes) == (why != "american")


def test_what_was_stated_stays():
    """Rows may be left out afterwards: the forward is that of the quotes it was drawn from."""
    whole = valuation.with_carries(vix())
    calls = whole.where(whole.is_call)

    found = valuation.with_local_greeks(calls)

    assert found.carries == whole.carries
    assert found["iv"] == pytest.approx([0.9] * len(found), abs=0.005)
    # Newer quotes are another matter.
    assert whole.updated(calls).carries == ()


@pytest.mark.parametrize("name", ["vix_both.json", "vix_calls.json"])
def test_recorded_options_on_the_vix(name):
    """Findings F26 and F27: 90 % and deltas of .865 and -.944, or nothing and a note."""
    path = recorded_chains.CASES / "broker" / name
    if not path.exists():
        pytest.skip(f"no recorded case at {path}")

    found = valuation.complete(files.load_chain(path), MarketSettings(), ChainSettings())

    if name == "vix_calls.json":
        assert np.isnan(found["iv"]).all()
        assert any("no forward of 2026-12-16" in note for note in found.notes)
        return
    assert found["iv"] == pytest.approx([0.9] * len(found), abs=1e-6)
    delta = dict(
        zip(zip(found["strike"], found["right"], strict=True), found["delta"], strict=True)
    )
    assert delta[13.0, "C"] == pytest.approx(0.865, abs=5e-4)
    assert delta[25.0, "P"] == pytest.approx(-0.944, abs=5e-4)


def test_recorded_chains_of_the_index_imply_rates():
    """SPX and SPXW of three days in 2019: neighbours within 20 points, settled when they settle."""
    if why := recorded_chains.missing(recorded_chains.SPX_2019):
        pytest.skip(why)
    steps = []
    for name, recorded in recorded_chains.spx(2, 400):
        listed, day = name.split()
        if not day.startswith("2019"):
            continue
        chain = recorded_chain(listed, dt.date.fromisoformat(day), recorded)
        pairs = {e.name: np.count_nonzero((e.call_bid > 0.0) & (e.put_bid > 0.0))
                 for e in recorded.expiries}  # fmt: skip
        rates = [
            carry.rate
            for expiry, carry in valuation.carries(chain).items()
            if 30 <= (expiry - dt.date.fromisoformat(day)).days <= 365
            and pairs[f"{expiry:%Y%m%d}"] >= 80
        ]  # fmt: skip
        assert all(0.015 < rate < 0.035 for rate in rates)
        steps.append(np.abs(np.diff(rates)))

    every = 1e4 * np.concatenate(steps)
    assert len(steps) == 6
    assert every.size > 60
    assert every.max() < 20.0


def recorded_chain(listed, day, recorded):
    """A recorded day as a chain, as its close."""
    closes = dt.datetime.combine(day, dt.time(16), dates.NEW_YORK)
    rows = [
        OptionQuote(
            expiry=dt.datetime.strptime(e.name, "%Y%m%d").date(), dte=0, strike=float(strike),
            right=right, bid=finite(bid), ask=finite(ask), status=RowStatus.NO_GREEKS,
            quote_source=QuoteSource.REPLAY,
        )
        for e in recorded.expiries
        for right, bids, asks in (
            ("C", e.call_bid, e.call_ask), ("P", e.put_bid, e.put_ask),
        )
        for strike, bid, ask in zip(e.strike, bids, asks, strict=True)
    ]  # fmt: skip
    return Chain.from_quotes(
        rows,
        underlying=Underlying(symbol="SPX", con_id=1, sec_type="IND"),
        spot=Spot(price=recorded.spot, source=SpotSource.CLOSE, as_of=closes),
        as_of=closes,
        rate=0.045,
        trading_class=listed,
    )


@pytest.mark.parametrize("sides", ["C", "P"])
def test_volatilities_of_ib_imply_the_future_of_one_side(sides):
    """Where IB gave some of one side their volatility, the others take the forward behind it."""
    chain = vix(sides)
    told = np.arange(len(chain)) % 2 == 0
    given = chain.with_columns(
        iv=np.where(told, 0.9, np.nan), greeks_source=np.where(told, "ib", "none")
    )

    found = valuation.with_local_greeks(given)

    assert found.carries[0].forward_source == "volatility"
    assert found.carries[0].forward == pytest.approx(16.5, abs=0.02)
    assert found["iv"] == pytest.approx([0.9] * len(found), abs=0.01)
    assert list(found["greeks_source"]) == np.where(told, "ib", "local").tolist()
    assert np.abs(found["delta"][~told]).max() < 1.0
    # Two of them could both be wrong.
    two = given.where((np.cumsum(told) <= 2) | ~told)
    assert valuation.carries(two)[two.expiries[0]].forward is None
