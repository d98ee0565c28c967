"""Published inputs and outputs: realized volatility, ranks, SVI, Cboe's index, expected move."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from tomic.quant import black_scholes, realized, smile, surface, svi

VECTORS = Path(__file__).parents[3] / "shared" / "reference" / "vectors.json"


@pytest.fixture(scope="module")
def published():
    """The collected rows by id."""
    if not VECTORS.exists():
        pytest.skip(f"no published vectors at {VECTORS}")
    return {row["id"]: row for row in json.loads(VECTORS.read_text())["vectors"]}


@pytest.mark.parametrize("name", ["hv-hull-weekly", "hv-frm", "hv-hull-daily"])
def test_close_to_close(published, name):
    """Weekly, monthly and daily examples of Hull and of the FRM handbook."""
    row = published[name]
    prices, periods = row["inputs"]["prices"], row["inputs"]["periods_per_year"]
    window = len(prices) - 1

    hv = realized.close_to_close(prices, window, periods=periods)[-1]

    expected = row["outputs"]
    assert hv == pytest.approx(expected["hv"], abs=row["tol"])
    daily = realized.close_to_close(prices, window, periods=1)[-1]
    wanted = expected.get("stdev", expected.get("daily_stdev", daily))
    assert daily == pytest.approx(wanted, abs=row["tol"])
    error = realized.standard_error(hv, window)
    assert error == pytest.approx(expected.get("standard_error", error), abs=row["tol"])
    mean = np.nanmean(realized.daily_log_returns(prices))
    assert mean == pytest.approx(expected.get("mean", mean), abs=row["tol"])


def test_wilder_average_true_range(published):
    """StockCharts' worksheet, every row from the fourteenth on."""
    row = published["atr-stockcharts"]
    high, low, close = np.array(row["inputs"]["hlc"]).T

    atr = realized.atr_wilder(high, low, close, row["inputs"]["n"])

    assert np.isnan(atr[:13]).all()
    assert_allclose(atr[13:], row["outputs"]["atr_from_row_14"], atol=row["tol"])


def test_one_bar_of_the_range_estimators(published):
    """Variances of one bar by hand from the formulas of Parkinson, Garman-Klass and Rogers."""
    row = published["ohlc-onebar-derived"]
    o, h, l, c = ([row["inputs"][x]] for x in "OHLC")  # noqa: E741

    found = [
        realized.parkinson(h, l, 1, periods=1)[-1],
        realized.garman_klass(o, h, l, c, 1, periods=1)[-1],
        realized.rogers_satchell(o, h, l, c, 1, periods=1)[-1],
    ]

    names = ("parkinson_var", "garman_klass_var", "rogers_satchell_var")
    assert_allclose(np.square(found), [row["outputs"][name] for name in names], atol=row["tol"])


def test_yang_zhang_weight(published):
    """k for thirty days."""
    row = published["yz-k"]

    k = realized.yang_zhang_weight(row["inputs"]["n"])

    assert k == pytest.approx(row["outputs"]["k"], abs=row["tol"])


def test_iv_rank_between_the_extremes(published):
    """45 between 30 and 60 ranks one half."""
    given = published["ivr-tt"]["inputs"]

    rank = realized.iv_rank(given["iv"], [given["lo"], given["hi"]])

    assert 100 * rank.value == published["ivr-tt"]["outputs"]["iv_rank"]


def test_iv_rank_and_percentile(published):
    """20 after 30, 10, 11, 15, 17: rank 50, percentile 80."""
    row = published["ivr-ivp"]
    given = row["inputs"]

    rank = realized.iv_rank(given["iv"], given["history"])
    percentile = realized.iv_percentile(given["iv"], given["history"])

    assert 100 * rank.value == pytest.approx(row["outputs"]["iv_rank"], abs=row["tol"])
    assert 100 * percentile.value == pytest.approx(row["outputs"]["iv_percentile"], abs=row["tol"])


def test_expected_move(published):
    """425 at 55 % over six days moves 29.97."""
    row = published["em-365"]
    given = row["inputs"]

    move = surface.expected_move_iv(given["S"], given["iv"], given["dte"])

    assert move == pytest.approx(row["outputs"]["expected_move"], abs=row["tol"])


def test_svi_total_variance(published):
    """QuantLib's test value at the vertex."""
    row = published["svi-ql"]
    given = row["inputs"]
    found = smile.Smile(
        given["F"], given["T"], 1.0, *(given[x] for x in ("a", "b", "rho", "m", "sigma"))
    )

    w = found.total_variance(given["m"])

    assert w == pytest.approx(row["outputs"]["total_variance_at_K"], abs=row["tol"])
    at_vertex = found.iv(given["F"] * math.exp(given["m"]))
    assert at_vertex**2 * given["T"] == pytest.approx(float(w), rel=1e-12)


def test_vogt_has_butterfly_arbitrage(published):
    """Gatheral and Jacquier's example: g falls to -0.0329 at k = 0.879, and its natural numbers."""
    row = published["svi-vogt"]
    given, expected = row["inputs"], row["outputs"]
    found = smile.Smile(1.0, given["t"], 1.0, *(given[x] for x in ("a", "b", "rho", "m", "sigma")))
    k = np.linspace(-1.5, 1.5, 30_001)

    g = smile.butterfly(found, k)

    # Printed with four and three decimals.
    assert g.min() == pytest.approx(expected["min_g"], abs=5e-5)
    assert k[g.argmin()] == pytest.approx(expected["argmin_k"], abs=5e-4)
    assert svi.is_butterfly_free(found.raw, 1.5) is not expected["butterfly_arbitrage"]
    w, slope, _ = svi.derivatives(found.raw, np.zeros(1))
    root = math.sqrt(w[0])
    wings = expected["svi_jw"]
    natural = {
        "v": w[0] / given["t"],
        "psi": slope[0] / (2 * root),
        "p": given["b"] * (1 - given["rho"]) / root,
        "c": given["b"] * (1 + given["rho"]) / root,
        "v_tilde": (given["a"] + given["b"] * given["sigma"] * math.sqrt(1 - given["rho"] ** 2)),
    }
    for name, number in natural.items():
        assert number == pytest.approx(wings[name], rel=1e-6), name


def strip_quotes(strip, k0):
    """Bids and asks whose mids are the published strip, with two zero bids beyond each end."""
    strike, right, mid, _ = (list(column) for column in zip(*strip, strict=True))
    low, high = strike[0], strike[-1]
    at = np.array([low - 10, low - 5, *strike, high + 5, high + 10])
    price = np.array([0.0, 0.0, *mid, 0.0, 0.0])
    side = np.array(["P", "P", *right, "C", "C"])
    # The side that the strip does not show plays no part: any quote will do.
    put = np.where(side == "C", 1.0, price)
    call = np.where(side == "P", 1.0, price)
    assert at[side == "A"] == [k0]
    return at, call, call, put, put


def test_cboe_volatility_index(published):
    """Cboe's 2022 example from its full strips: both variances and the index of 13.93."""
    row = published["vix-2022"]
    expected = row["outputs"]
    found = {}
    for name in ("near", "next"):
        given = row["inputs"][name]
        found[name] = surface.model_free_variance(
            *strip_quotes(given["strip_K_leg_mid_dK"], given["K0"]),
            forward=given["F"],
            rate=given["R"],
            tau=given["T"],
        )
        assert found[name].variance == pytest.approx(expected[f"{name}_sigma2"], abs=row["tol"])
        assert found[name].k0 == given["K0"]
        options = found[name].puts + found[name].calls + 1
        assert options == len(given["strip_K_leg_mid_dK"])

    # The example prints its years with seven decimals and goes on with those.
    near, later = (
        found[name].variance * row["inputs"][name]["T"] / (row["inputs"][name]["minutes"] / 525_600)
        for name in ("near", "next")
    )
    index = surface.vix_index(
        near,
        later,
        near_minutes=row["inputs"]["near"]["minutes"],
        next_minutes=row["inputs"]["next"]["minutes"],
    )

    assert index == pytest.approx(expected["vix_inner"], abs=row["tol"])
    assert round(100 * index, 2) == expected["vix"]


def test_cboe_interpolation(published):
    """The older edition's headline number from its two variances."""
    row = published["vix-2014"]
    given = row["inputs"]

    index = surface.vix_index(
        given["sigma2_1"],
        given["sigma2_2"],
        near_minutes=given["N_T1_minutes"],
        next_minutes=given["N_T2_minutes"],
    )

    assert 100 * index == pytest.approx(row["outputs"]["vix"], abs=row["tol"])


def test_variance_swap_replication(published):
    """Derman's example with nineteen listed strikes."""
    row = published["varswap-derman"]
    given = row["inputs"]
    market = (given["T"], given["r"], given["q"])

    def side(name, is_call):
        strike, vol = np.array(given[f"{name}_strikes"]), np.array(given[f"{name}_vols"])
        return strike, black_scholes.price(given["S"], strike, *market, vol, is_call)

    fair = surface.derman_variance(
        *side("put", False),
        *side("call", True),
        spot=given["S"],
        rate=given["r"],
        div_yield=given["q"],
        tau=given["T"],
    )

    assert fair == pytest.approx(row["outputs"]["fair_variance"], abs=row["tol"])
