"""Structures are struck where their names say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tomic.evidence.slices import slices
from tomic.evidence.structures import NAMES, STRUCTURES, legs


@pytest.fixture
def smiles():
    """Two days of unlike smiles."""
    return slices(
        np.array([100.0, 40.0]), np.array([30.0, 30.0]), np.array([0.2, 0.9]),
        np.array([-0.6, 0.2]), 0.8, rate=np.array([0.0, 0.05]), div_yield=0.01,
    )  # fmt: skip


def test_there_are_thirteen():
    """As many as findings/evidence.md §8 has, each with a name of its own."""
    assert len(set(NAMES)) == 13


def test_short_strikes_have_their_delta(smiles):
    """The strangle is sold at 16 delta on both sides of every day's forward."""
    struck = legs(smiles)
    put, call = smiles.k_of_delta(np.full(2, 0.84)), smiles.k_of_delta(np.full(2, 0.16))

    assert_allclose(struck.k[:, NAMES.index("strangle 16"), 0], put)
    assert_allclose(struck.k[:, NAMES.index("strangle 16"), 1], call)


def test_a_condor_has_equal_wings(smiles):
    """Its margin is that of one side; the wings are as wide as 5 delta is away on average."""
    put, sold_put, sold_call, call = legs(smiles).strike[:, NAMES.index("condor 16/5")].T
    far = legs(smiles, (STRUCTURES[1]._replace(equal_wings=False),)).strike[:, 0].T

    assert_allclose(sold_put - put, call - sold_call)
    assert_allclose(2.0 * (call - sold_call), far[1] - far[0] + far[3] - far[2])


def test_a_fly_is_centred(smiles):
    """Long butterfly and iron fly have their body on the forward and equal wings."""
    struck = legs(smiles).strike
    for name, middle in (("long fly", 1), ("iron fly", 1)):
        strikes = struck[:, NAMES.index(name)]
        assert_allclose(strikes[:, middle], smiles.forward)
    low, body, high, _ = struck[:, NAMES.index("long fly")].T
    assert_allclose(body - low, high - body)
    low, _, body, high = struck[:, NAMES.index("iron fly")].T
    assert_allclose(body - low, smiles.forward * np.sqrt(smiles.theta))
    assert_allclose(high - body, body - low)


def test_strikes_stay_positive():
    """A wing wider than the price is cut above zero."""
    wild = slices(
        np.array([5.0]), np.array([30.0]), np.array([3.0]), np.array([0.0]), 0.6,
        rate=np.array([0.0]), div_yield=0.0,
    )  # fmt: skip

    assert (legs(wild).strike > 0.0).all()


def test_unused_legs_count_nothing(smiles):
    """Each row holds as many contracts as its structure, the rest is 0."""
    amounts = [sorted(leg.quantity for leg in structure.legs) for structure in STRUCTURES]

    found = [sorted(row[row != 0.0].tolist()) for row in legs(smiles).quantity]

    assert_array_equal([str(each) for each in found], [str([float(q) for q in a]) for a in amounts])
