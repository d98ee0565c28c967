"""Rights as people write them: every kernel takes the same forms, and refuses what is none."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from tomic.quant import (
    american,
    black_scholes,
    density,
    implied,
    later_expiries,
    margin,
    payoff,
    probability,
    revaluation,
    smile,
)
from tomic.quant.arguments import as_calls, as_flags

STRIKE = np.array([560.0, 570.0])
MARKET = (600.0, STRIKE, 0.1, 0.04, 0.013, 0.2)
SMILE = smile.Smile(600.0, 0.1, 0.996, a=0.002, b=0.03, rho=-0.6, m=0.01, sigma=0.06)
LATER = later_expiries.flat(0.1, 0.04, 0.013, 0.2)
QUANTITY = np.array([1.0, -1.0])

FORMS = {
    "letters": ["P", "P"],
    "small letters": ["p", "p"],
    "words": ["put", "PUT"],
    "numpy text": np.array(["P", "P"]),
    "numpy words": np.array(["Put", "put"]),
    "bytes": np.array([b"P", b"P"]),
    "objects": np.array(["P", "p"], dtype=object),
    "mixed objects": np.array(["P", False], dtype=object),
    "tuple": ("P", "put"),
    "series": pd.Series(["P", "P"], index=[7, 9]),
    "categories": pd.Series(["P", "P"]).astype(pd.CategoricalDtype(["C", "P"])),
    "a categorical": pd.Categorical(["P", "P"], categories=["P", "C"]),
    "nullable text": pd.Series(["P", "P"], dtype="string"),
    "nullable booleans": pd.Series([False, False], dtype="boolean"),
    "booleans": np.array([False, False]),
    "zeros": [0, 0],
    "zeros of a float": np.zeros(2),
}

KERNELS = {
    "price": lambda right: black_scholes.price(*MARKET, right),
    "greeks": lambda right: black_scholes.greeks(*MARKET, right).delta,
    "undiscounted": lambda right: black_scholes.undiscounted(600.0, STRIKE, 0.06, right),
    "implied_vol": lambda right: implied.implied_vol(12.0, 600.0, STRIKE, 0.1, 0.04, 0.013, right),
    "american price": lambda right: american.price(*MARKET, right),
    "american greeks": lambda right: american.greeks(*MARKET, right).delta,
    "american premium": lambda right: american.premium(*MARKET, right),
    "american implied_vol": lambda right: american.implied_vol(
        12.0, 600.0, STRIKE, 0.1, 0.04, 0.013, right
    ),
    "american solve": lambda right: american.solve(
        12.0, 600.0, STRIKE, 0.1, 0.04, 0.013, right
    ).sigma,
    "price_discrete": lambda right: american.price_discrete(
        600.0, STRIKE, 0.1, 0.04, american.Dividends(0.05, 1.5), 0.2, right
    ),
    "payoff.value_at": lambda right: payoff.value_at(565.0, STRIKE, right, QUANTITY),
    "payoff.segments": lambda right: payoff.segments(STRIKE, right, QUANTITY).value,
    "later.segments": lambda right: later_expiries.segments(
        STRIKE,
        right,
        QUANTITY,
        [0, 1],
        [LATER],
        grid=later_expiries.grid(density.lognormal(600.0, 0.1, 0.2)),
    ).value,
    "value_at_first_expiry": lambda right: later_expiries.value_at_first_expiry(
        [550.0, 600.0], STRIKE, right, QUANTITY, [0, 1], [LATER]
    ),
    "LaterExpiry.value": lambda right: LATER.value(565.0, STRIKE, right),
    "margin": lambda right: np.array(
        margin.requirement(
            STRIKE, right, QUANTITY, [6.0, 8.0], spot=600.0, tau=0.1, multiplier=100.0
        ).net
    ),
    "stress_grid": lambda right: revaluation.stress_grid(
        *MARKET, right, quantity=QUANTITY, multiplier=100.0, spot_moves=[-0.1, 0.0],
        vol_moves=[0.0], days=[0.0],
    ),
    "target before stop": lambda right: probability.target_before_stop(
        600.0, STRIKE, 0.1, 0.04, 0.013, 0.2, right, QUANTITY, sigma=0.2, credit=0.0,
        target=1.0, stop=-5.0,
    ),
    "smile.value": lambda right: SMILE.value(STRIKE, right),
    "smile.residuals": lambda right: smile.residuals(SMILE, STRIKE, [6.0, 8.0], right).residual,
}  # fmt: skip

WRONG = {
    "other text": (["P", "X"], "got 'X' at index 1"),
    "nothing": (["", "P"], "got '' at index 0"),
    "a word too many": (["P", "puts"], "got 'puts' at index 1"),
    "a sign of truth": (["True", "P"], "got 'True' at index 0"),
    "a missing value": ([math.nan, 1.0], "got nan at index 0"),
    "a missing value among texts": (pd.Series(["P", None]), "at index 1"),
    "a missing value of pandas": (pd.Series(["P", None], dtype="string"), "got <NA> at index 1"),
    "a missing boolean": (pd.Series([True, None], dtype="boolean"), "got <NA> at index 1"),
    "a missing category": (pd.Categorical(["P", None]), "got nan at index 1"),
    "None": ([None, "P"], "got None at index 0"),
    "a number": ([0, 2], "got 2 at index 1"),
    "a mask": (np.ma.MaskedArray([True, True], [False, True]), "got None at index 1"),
    "another type": ([pd.Timestamp("2026-01-01"), "P"], "at index 0"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_takes_every_form(kernel, form):
    """Two puts are two puts, however they are written."""
    expected = KERNELS[kernel](np.array([False, False]))

    found = KERNELS[kernel](FORMS[form])

    assert_array_equal(found, expected)
    assert not np.array_equal(KERNELS[kernel](np.array([True, True])), expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_kernel_takes_calls_and_puts_together(kernel):
    """A call and a put in one array keep their places."""
    expected = KERNELS[kernel](np.array([True, False]))

    assert_array_equal(KERNELS[kernel](["C", "put"]), expected)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("case", WRONG)
def test_no_kernel_takes_anything_else(kernel, case):
    """What is no right is refused by its value and its index, never taken for a call."""
    value, message = WRONG[case]

    with pytest.raises(ValueError, match="is_call must be C or P") as refused:
        KERNELS[kernel](value)

    assert message in str(refused.value)


def test_a_column_of_a_chain_prices_its_own_quotes():
    """The right column of a frame gives puts their price, 6.18 and not 16.85 (newcomer.md)."""
    frame = pd.DataFrame({"strike": [590.0, 590.0], "right": ["C", "P"]})

    call, put = black_scholes.price(600.0, frame.strike, 0.1, 0.04, 0.0, 0.15, frame.right)

    assert call - put == pytest.approx(600.0 - 590.0 * math.exp(-0.004), abs=1e-9)
    assert put < call


@pytest.mark.parametrize(
    ("scalar", "expected"), [("C", True), ("put", False), (1, True), (0.0, False), (np.True_, True)]
)
def test_scalars_keep_their_shape(scalar, expected):
    """One right has no axis; a table of rights has two."""
    assert as_calls(scalar).shape == ()
    assert bool(as_calls(scalar)) is expected
    assert as_calls([[scalar, scalar]]).tolist() == [[expected, expected]]
    assert as_calls([]).tolist() == []


def test_a_wrong_scalar_has_no_index():
    """The value alone is named; in a table the index has two numbers."""
    with pytest.raises(ValueError, match=r"got None$"):
        as_calls(None)
    with pytest.raises(ValueError, match=r"got 'x' at index \(1, 0\)"):
        as_calls([["C", "P"], ["x", "P"]])


def test_flags_are_no_rights():
    """Where true or false is asked, text is refused: "P" would be true."""
    assert as_flags([1, False], "is_stock").tolist() == [True, False]
    for value in ("P", "false", [math.nan], [None]):
        with pytest.raises(ValueError, match="is_american must be true or false, got"):
            as_flags(value, "is_american")
    with pytest.raises(ValueError, match="is_american must be true or false, got 'no'"):
        revaluation.stress_grid(
            *MARKET, "P", quantity=QUANTITY, is_american="no", spot_moves=[0.0], vol_moves=[0.0],
            days=[0.0],
        )  # fmt: skip
    with pytest.raises(ValueError, match="broad_index must be true or false, got 'no'"):
        margin.requirement(STRIKE, "P", QUANTITY, 6.0, spot=600.0, broad_index="no")


def test_shares_need_no_right():
    """What stands in place of a right is ignored where the position is shares."""
    grid = revaluation.stress_grid(
        600.0, [560.0, 1.0], [0.1, 0.0], 0.04, 0.0, [0.2, 0.0], ["P", None],
        quantity=[1.0, 100.0], multiplier=[100.0, 1.0], is_stock=[False, True],
        spot_moves=[0.1], vol_moves=[0.0], days=[0.0],
    )  # fmt: skip

    put = revaluation.stress_grid(
        600.0, 560.0, 0.1, 0.04, 0.0, 0.2, False,
        quantity=1.0, spot_moves=[0.1], vol_moves=[0.0], days=[0.0],
    )  # fmt: skip
    assert grid[0, 0, 0, 0] == pytest.approx(100.0 * 60.0 + put[0, 0, 0, 0])
