"""How long silence is normal."""

from __future__ import annotations

import pytest

from tomic.ib.patience import Patience


def taught(*seconds: float) -> Patience:
    patience = Patience(1.0)
    for one in seconds:
        patience.learn(one)
    return patience


def test_at_first_the_setting_counts():
    """Up to twenty answers the configured patience holds."""
    assert Patience(1.0).seconds == 1.0
    assert taught(*[0.03] * 19).seconds == 1.0


def test_a_quick_gateway_is_asked_again_sooner():
    """Five times what nine in ten lines needed, but never under 0.6 s."""
    assert taught(*[0.03] * 20).seconds == 0.6
    assert taught(*[0.2] * 20).seconds == pytest.approx(1.0)


def test_a_slow_gateway_is_given_time():
    """A gateway that takes a second for everything is not asked twice for it."""
    assert taught(*[1.0] * 20).seconds == 3.0


def test_a_few_late_ones_do_not_slow_the_rest():
    """One in twenty a second and a half late changes when to give up, not when to ask again."""
    patience = taught(*[0.03] * 190, *[1.5] * 10)

    assert patience.seconds == 0.6
    assert patience.last_s == pytest.approx(1.65)


def test_giving_up_takes_two_spells():
    """The second attempt is given as long as the first."""
    assert taught(*[0.03] * 20).last_s == 1.2
    assert Patience(2.5).last_s == 3.0
