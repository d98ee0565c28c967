"""Two configurations differ by what their days differ, and several looks cost."""

from __future__ import annotations

import numpy as np
import pytest

from support import walked
from tomic.evidence import differences, results
from tomic.evidence.results import Described


def made(found, run="hold"):
    """Pool and result of a walk."""
    about = Described(
        settings=found.settings, run=run, every="week", symbols=walked.SYMBOLS, strategies=("x",)
    )
    return found.pool, results.result(found.pool, about)


@pytest.fixture(scope="module")
def base():
    """A walk over most of a year."""
    return made(walked.walked(walked.table(220)))


def test_the_same_configuration_differs_by_nothing(base):
    """Every difference of a run with itself is zero, and says so."""
    found = differences.comparison(base, base, "same.toml", {})

    assert found.days > 20
    assert all(each.difference.value == 0.0 for each in found.differences)
    assert "do not tell the two apart" in found.verdict


def test_days_are_paired(base):
    """The difference is the mean over common days, of means by day."""
    settings = walked.SETTINGS.model_copy(
        update={"scan": walked.SETTINGS.scan.model_copy(update={"top": 1})}
    )
    other = made(walked.walked(walked.table(220), settings))
    found = differences.comparison(base, other, "one.toml", {})

    row = found.differences[0]
    assert row.name == "per margin"
    assert row.difference.value == pytest.approx(row.other - row.base)
    assert row.difference.low <= row.difference.value <= row.difference.high


def test_a_real_difference_survives_the_correction_and_noise_does_not():
    """Of nine columns of noise and one of a shift, the corrected p tells the shift alone."""
    generator = np.random.default_rng(4)
    month = np.repeat(np.arange(40), 4)
    columns = [generator.normal(size=month.size) for _ in range(9)]
    columns.append(0.5 + generator.normal(size=month.size))

    raw, adjusted = differences.adjusted_p(month, columns)

    assert adjusted[9] < 0.05
    assert min(adjusted[:9]) > 0.10
    assert all(one <= other for one, other in zip(raw, adjusted, strict=True))


def test_chance_is_right_about_noise():
    """In nine of ten sweeps over noise no corrected p is under ten per cent, or about so many."""
    month = np.repeat(np.arange(36), 4)
    false = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        columns = [generator.normal(size=month.size) for _ in range(6)]
        _, adjusted = differences.adjusted_p(month, columns, draws=400)
        false += min(adjusted) < 0.10

    assert false <= 8


def test_too_few_months_have_no_p():
    """Two months cannot be resampled."""
    assert differences.adjusted_p(np.array([1, 2]), [np.array([0.1, 0.2])]) == ([None], [None])


def test_a_sweep_names_its_correction_and_its_base(base):
    """Each value beside the base has a p, the base none."""
    settings = walked.SETTINGS.model_copy(
        update={"scan": walked.SETTINGS.scan.model_copy(update={"top": 1})}
    )
    other = made(walked.walked(walked.table(220), settings))

    found = differences.sweep(
        "scan.top", ["3", "1"], [base, other], base, base_value="3", variants=2
    )

    assert [(row.value, row.is_base) for row in found.rows] == [("3", True), ("1", False)]
    assert found.rows[0].p_value is None
    assert 0.0 < found.rows[1].p_value <= found.rows[1].p_adjusted <= 1.0
    assert "Romano and Wolf" in found.correction
    assert "1 value beside" in found.correction
