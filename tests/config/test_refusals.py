"""Values that no section takes: spans, ranges, grades and steps that contradict themselves."""

from __future__ import annotations

import datetime as dt

import pytest

from support.clean_home import refusal, write
from tomic.config import load_settings
from tomic.config.section import duration_text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[scan]\nmax_chain_age = 'soon'",
            "[scan] max_chain_age: 'soon' is not a duration; write 90s, 15m, 2h or 1d",
        ),
        ("[market]\nsymbols = []", "[market] symbols: must not be empty"),
        (
            "[notify]\nquiet = '10pm-7am'",
            "[notify] quiet: '10pm-7am' must be two times of day, such as 22:00-07:00",
        ),
        (
            "[notify]\nquiet = '07:00-07:00'",
            "[notify] quiet: '07:00-07:00' begins when it ends; write two times, or none",
        ),
        (
            "[notify]\ntime_zone = 'Amsterdam/Europe'",
            "[notify] time_zone: 'Amsterdam/Europe' is no time zone; write one such as "
            "Europe/Amsterdam",
        ),
        (
            "[notify]\nurls = ['ntfy://topic']",
            "[notify] urls: a secret is no setting; put it into TOMIC_NOTIFY_URLS or the file of "
            "notify.urls_file",
        ),
        (
            "[chain]\nmin_delta = 0.5\nmax_delta = 0.5",
            "[chain]: max_delta must be > min_delta, got 0.5 with min_delta 0.5",
        ),
        (
            "[chain]\nmonthlies = 0\nweeklies = 0",
            "[chain]: monthlies and weeklies are both 0, so there is no expiry to select",
        ),
        ("[score]\ngrade_b = 0.9", "[score]: grades must descend, got 0.9, 0.9, 0.4"),
        (
            "[portfolio.stress]\ndays = [1, 7]",
            "[portfolio.stress] days: must ascend and contain 0, got [1, 7]",
        ),
        (
            "[portfolio.stress]\ndays = [0, 7, 7]",
            "[portfolio.stress] days: must ascend and contain 0, got [0, 7, 7]",
        ),
        (
            "[portfolio.alerts]\ntheta_fair = 0.03",
            "[portfolio.alerts]: theta_low <= theta_fair <= theta_high must hold, "
            "got 0.005, 0.03, 0.025",
        ),
        ("[jobs.night]\nrun = ['']", "[jobs.night] run.0: a step must not be empty"),
    ],
)
def test_contradictions_are_told(text, message):
    """What contradicts itself is refused, with the values that were given."""
    write("tomic.toml", text)

    assert refusal() == f"tomic.toml: {message}"


def test_symbols_may_be_one_text():
    """A list of symbols may be written with commas, in any case, with blanks."""
    write("tomic.toml", "[market]\nsymbols = 'spy, QQQ ,,xlf'\n")

    assert load_settings().market.symbols == ("SPY", "QQQ", "XLF")


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (dt.timedelta(seconds=90), "90s"),
        (dt.timedelta(minutes=15), "15m"),
        (dt.timedelta(hours=2), "2h"),
        (dt.timedelta(days=1), "1d"),
        (dt.timedelta(0), "0s"),
        (dt.timedelta(seconds=0.5), "0.5s"),
    ],
)
def test_spans_are_told_in_their_largest_unit(span, text):
    """Whole days, hours and minutes are told as such; anything else is seconds."""
    assert duration_text(span) == text
