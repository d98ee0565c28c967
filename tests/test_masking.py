"""Account numbers: which are known, and what is left of them."""

from __future__ import annotations

import pytest

from tomic.masking import Masks, masked


@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("U1234567", "U***567"),
        ("DU1234567", "DU***567"),
        ("DUK1234567", "DUK***567"),
        ("DUH802936", "DUH***936"),
        ("I1234567", "I***567"),
        ("F12345678", "F***678"),
        ("DFA123456", "DFA***456"),
        ("DI1234567", "DI***567"),
        ("12345678", "***678"),
        ("U12", "***"),
        ("paper1", "p***er1"),
    ],
)
def test_shapes(account, shown):
    """The kind and three digits can be read, whatever kind it is."""
    assert masked(account) == shown
    assert masked(shown) in (shown, "***")


@pytest.mark.parametrize(
    "account", ["DUK1234567", "DUH802936", "I1234567", "U1234567", "DF9876543", "F1234567A"]
)
def test_what_looks_like_one_is_masked_unannounced(account):
    """Nobody named it, and still it is not shown."""
    assert account[2:-3] not in Masks().text(f"61,3,{account},756733,SPY (see {account}.)")


@pytest.mark.parametrize(
    "text",
    [
        "SPY   261211C00581000",
        "0000e0d5.646d1a2b.01.01",
        "FU12 USD 500000",
        "US78462F1030",
        "20261120 20:00:00 UTC",
        "U250620C00012345",
    ],
)
def test_what_is_none_stays(text):
    """Local symbols, execution ids and dates are no accounts."""
    assert Masks().text(text) == text


@pytest.mark.parametrize("account", ["DUK1234567", "XYZ99-1234567", "12345678", "paper1", "ab"])
def test_what_was_announced_is_masked_whatever_it_looks_like(account):
    """The gateway's own word is the truth."""
    masks = Masks()
    masks.learn([account])

    shown = masks.text(f"positions of {account}, {account}: none")

    assert account not in shown
    assert shown.startswith("positions of ")


def test_accounts_that_look_alike_stay_two():
    """Otherwise a recording would hold both positions of one account."""
    masks = Masks()
    masks.learn(["DUK1234567", "DUK9994567"])

    assert masks.text("DUK1234567 DUK9994567") == "DUK***567 DUK***567-2"
    masks.learn(["DUK***567", "DUK***567-2"])
    assert masks.text("DUK***567-2") == "DUK***567-2"


def test_the_length_can_be_kept():
    """Bytes of a broken frame stay as many as they were."""
    masks = Masks()
    masks.learn(["odd-77-name"])
    text = "DU1234567 and DUK1234567 and odd-77-name"

    shown = masks.same_length(text)

    assert len(shown) == len(text)
    assert "1234" not in shown
    assert "77" not in shown
