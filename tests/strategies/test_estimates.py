"""Options that were not asked for, priced from a few that were."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from support import random_chains, recorded_chains
from tomic.config import Settings
from tomic.files import load_chain
from tomic.models import RowStatus
from tomic.selection import Wanted
from tomic.strategies import estimates, sampling

SETTINGS = Settings()
HIDDEN = ("bid", "ask", "last", "close", "iv", "delta", "gamma", "vega", "theta", "volume",
          "open_interest")  # fmt: skip


def options_of(chain):
    columns = (chain[name].tolist() for name in ("expiry", "strike", "right"))
    return [Wanted(*key) for key in zip(*columns, strict=True)]


def asked_of(chain, sigma, strikes=7):
    """Which rows the sample asks for."""
    few = set(
        sampling.sample(options_of(chain), chain.spot.price, chain.as_of.date(), sigma, strikes)
    )
    return np.array([option in few for option in options_of(chain)])


def hidden(chain, asked):
    """*chain* as it is known when only *asked* was asked for."""
    columns = {name: np.where(asked, chain[name], np.nan) for name in HIDDEN}
    return chain.with_columns(
        **columns, status=np.where(asked, chain["status"], RowStatus.NO_QUOTE.value)
    )


def completed(chain, sigma, strikes=7):
    asked = asked_of(chain, sigma, strikes)
    vol = random_chains.snapshot(chain, hv30=0.2)
    return estimates.complete(hidden(chain, asked), asked, vol, SETTINGS), asked


@pytest.fixture(scope="module")
def smooth():
    """A chain whose quotes lie on one smile."""
    return random_chains.chain(5, strikes=61, gaps=False, sigma=0.25, spot=200.0, spread=0.4)


def test_what_was_asked_keeps_its_quotes(smooth):
    """Bid, ask, volume and open interest of asked rows are untouched, and they count as quoted."""
    found, asked = completed(smooth, 0.25)

    assert 0 < asked.sum() < len(smooth) / 3
    for name in ("bid", "ask", "volume", "open_interest"):
        assert_allclose(found.board.chain[name][asked], smooth[name][asked])
    assert (found.quoted == asked).all()


def test_every_option_between_the_outermost_has_an_estimate(smooth):
    """Mids are met to within the noise of the quotes, far better than a half-spread of the wide."""
    found, asked = completed(smooth, 0.25)
    own = smooth.mid
    near = ~asked & (np.abs(np.log(smooth["strike"] / 200.0)) < 0.12) & (own > 0.5)

    off = np.abs(found.board.price[near] - own[near])

    assert np.isfinite(found.board.price[near]).all()
    # The mids of this chain scatter by .4 % around their smile.
    assert np.median(off / own[near]) < 0.008
    assert np.median(
        found.board.prices.half_spread[near] / (0.5 * (smooth["ask"] - smooth["bid"]))[near]
    ) == pytest.approx(1.0, abs=0.35)


def test_an_estimate_is_never_refused_for_interest(smooth):
    """Volume and open interest of what was not asked keep the rules."""
    found, asked = completed(smooth, 0.25)
    scan, chain = SETTINGS.scan, found.board.chain

    assert (chain["volume"][~asked] >= scan.min_volume).all()
    assert (chain["open_interest"][~asked] >= scan.min_open_interest).all()


def test_beyond_the_outermost_quotes_nothing_is_fitted(smooth):
    """The smile is fitted to strikes that were quoted and those between, no further out."""
    found, asked = completed(smooth, 0.25)

    for expiry, outlook in found.board.outlooks.items():
        rows = asked & (smooth["expiry"] == np.datetime64(expiry, "D"))
        low, high = smooth["strike"][rows].min(), smooth["strike"][rows].max()
        span = outlook.forward * np.exp(np.array(outlook.smile.span))
        assert low * (1.0 - 1e-9) <= span[0] and span[1] <= high * (1.0 + 1e-9)


def test_without_estimates_the_board_lists_the_others_unpriced(smooth):
    """Strikes stay listed, so those at the money are the same, and none has a price."""
    found, asked = completed(smooth, 0.25)
    board = found.of_asked()

    assert np.isnan(board.price[~asked]).all()
    assert (board.prices.source[~asked] == -1).all()
    assert (board.listed == found.board.listed).all()
    assert_allclose(board.price[asked], found.board.price[asked])


def test_a_chain_asked_for_whole_is_left_as_it_is(smooth):
    """Where nothing is missing nothing is estimated."""
    vol = random_chains.snapshot(smooth, hv30=0.2)
    asked = np.ones(len(smooth), dtype=bool)

    assert estimates.complete(smooth, asked, vol, SETTINGS).board.chain is smooth


@pytest.mark.parametrize("goal", [(3.0, 0.2, 0.01), (0.0, 0.5, 0.0), (0.02, 0.0, 0.03)], ids=str)
def test_least_squares_never_go_negative(goal):
    """Coefficients that are not negative are found again; noise makes none negative."""
    rng = np.random.default_rng(3)
    basis = np.stack((np.ones(40), rng.uniform(0, 1, 40), rng.uniform(0, 9, 40)), axis=1)

    assert_allclose(estimates.nonnegative(basis, basis @ np.array(goal)), goal, atol=1e-9)
    noisy = basis @ np.array(goal) + rng.normal(0.0, 1.0, 40)
    assert (estimates.nonnegative(basis, noisy) >= 0.0).all()


def test_recorded_mids_between_the_outermost_lie_within_a_half_spread():
    """GOOG 2015 through seven strikes an expiry: at least nine in ten (few-messages.md: 98 %)."""
    name = "lean_GOOG_20151224_eod_chain.csv"
    if why := recorded_chains.missing(name):
        pytest.skip(why)
    chain = load_chain(recorded_chains.DATA / name, spot=748.40, rate=0.003)
    chain = chain.where((chain["dte"] >= 20) & (chain["dte"] <= 60))
    found, asked = completed(chain, 0.25)
    width = 0.25 * np.sqrt(chain["tau"])
    away = np.log(chain["strike"] / 748.40) / width
    outside = chain.is_call == (chain["strike"] >= 748.40)
    seen = ~asked & outside & (away > -2.0) & (away < 1.7) & (chain["bid"] > 0.0)

    off = np.abs(found.board.price - chain.mid) / (0.5 * (chain["ask"] - chain["bid"]))

    assert (off[seen] <= 1.0).mean() >= 0.9


def test_beyond_the_sampled_strikes_the_last_residual_holds():
    """Nothing is extrapolated; through one point the curve is flat, through two straight."""
    x, y = np.array([0.0, 1.0, 3.0]), np.array([2.0, 5.0, 4.0])

    assert_allclose(estimates._between(x, y, np.array([-9.0, 9.0, np.nan])), [2.0, 4.0, np.nan])
    assert_allclose(estimates._between(x[:1], y[:1], x), [2.0, 2.0, 2.0])
    assert_allclose(estimates._between(x[:2], y[:2], np.array([0.5])), [3.5])
