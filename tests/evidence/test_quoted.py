"""Trades on recorded chains are found on their day and followed by the quotes of later ones."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from support import quote_tables, recorded_chains
from tomic.config import Settings
from tomic.evidence import quoted, walk
from tomic.files.option_tables import read_days
from tomic.journal import exits as journal
from tomic.models.exits import ExitRules

CALENDAR = [str(day) for day in np.busday_offset("2021-03-01", np.arange(26), roll="forward")]
EXPIRY = "2021-04-01"
WINDOW = {name: {"dte": [5, 45]} for name in ("naked_put", "short_put_spread", "iron_condor")}
SETTINGS = Settings(
    scan={"strategies": list(WINDOW), "keep_to_exits": False, "top": 3, "max_per_strategy": 2},
    strategies=WINDOW,
    journal={"exits": {"min_dte": "none", "earnings_days": "none"}},
)


def days_of(tmp_path, spots, settings=SETTINGS):
    """Every day of a table, searched."""
    path = quote_tables.written(tmp_path, quote_tables.table(spots, (EXPIRY,)))
    tables = read_days([path], rate={2021: 0.02})
    return [quoted.searched(day, chains, {}, settings, None) for day, chains in tables]


def followed(days, settings=SETTINGS):
    """The trades of the first day to their end."""
    return quoted.followed(days[0].found[0], days[1:], settings)


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A price that stands still until after the expiry."""
    folder = tmp_path_factory.mktemp("calm")
    return days_of(folder, dict.fromkeys(CALENDAR, 100.0))


def test_the_choice_is_that_of_the_scan(calm):
    """Ranks run from 1, and what is chosen leads what is not."""
    found = calm[0].found[0]
    chosen = found.rank[found.rank > 0]

    assert sorted(chosen) == list(range(1, chosen.size + 1))
    assert found.score[found.rank == 1] == found.score.max()


def test_held_to_the_expiry_a_still_market_pays_the_credit(calm):
    """Out of the money at the end, what was sold expires: P&L is the credit after costs."""
    pool = followed(calm)
    puts = np.flatnonzero(pool.strategy == "naked_put")

    assert puts.size
    assert_array_equal(pool.held.closed[puts], np.datetime64(EXPIRY))
    assert pool.pnl("hold")[puts] == pytest.approx(pool.credit[puts])
    assert (pool.held.leaving == 0.0).all()


def test_the_target_closes_on_quotes_of_its_day(calm):
    """Half of the premium is kept on the first evening on which the mids say so."""
    found, pool = calm[0].found[0], followed(calm)
    row = int(np.flatnonzero(found.rank == 1)[0])

    assert pool.managed.reason[row] == "profit_target"
    marks = dict(pool.marks[row])
    premium = found.credit[row] + found.commission[row]
    closed = pool.managed.closed[row].item()
    share = {
        day: (gross - found.credit_mid[row] + found.credit[row]) / premium
        for day, gross in marks.items()
    }
    assert share[closed] >= 0.5
    assert all(value < 0.5 for day, value in share.items() if day < closed)
    half = 0.5 * SETTINGS.costs.slippage * 2.0 * 0.02 * 100.0
    contracts = np.abs(found.quantity[row]).sum()
    assert pool.managed.leaving[row] == pytest.approx(
        contracts * (half + SETTINGS.costs.commission), rel=0.3
    )


def test_a_crash_stops_and_is_marked_on_its_day(tmp_path):
    """The day of the fall is the last, at a loss of twice the credit or more."""
    spots = {day: 100.0 if place < 6 else 85.0 for place, day in enumerate(CALENDAR)}
    days = days_of(tmp_path, spots)
    pool = followed(days)
    chosen = np.flatnonzero((pool.rank > 0) & (pool.strategy == "naked_put"))

    assert chosen.size
    for row in chosen.tolist():
        assert pool.managed.reason[row] == "stop"
        assert str(pool.managed.closed[row]) == CALENDAR[6]
        assert pool.pnl("managed")[row] < -2.0 * pool.credit[row]


def test_the_data_end_before_the_expiry(tmp_path):
    """What is open then is valued at its last marks, and no outcome of holding is claimed."""
    days = days_of(tmp_path, dict.fromkeys(CALENDAR[:5], 100.0))
    pool = followed(days)

    assert set(pool.held.reason) == {quoted.END}
    assert_array_equal(pool.held.closed, np.datetime64(CALENDAR[4]))
    assert set(pool.unknown) == {"still open at the end of the data"}
    assert not np.isnan(pool.pnl("managed")).any()


def test_later_days_change_nothing_that_was_found(tmp_path, calm):
    """The first day's search is the same whatever the table holds after it."""
    crash = {day: 100.0 if place < 1 else 70.0 for place, day in enumerate(CALENDAR)}
    other = days_of(tmp_path, crash)[0].found[0]
    found = calm[0].found[0]

    for name in ("rank", "score", "credit", "pos", "ev", "margin", "cvar", "contract"):
        assert_array_equal(getattr(other, name), getattr(found, name), name)


def test_a_day_without_a_leg_s_quote_is_unmarked(tmp_path):
    """No exit is judged on it, and it is counted."""
    spots = dict.fromkeys(CALENDAR[:8], 100.0)
    text = quote_tables.table(spots, (EXPIRY,)).splitlines(keepends=True)
    gone = [row for row in text if not (f",{CALENDAR[3]}," in row and ",put," in row)]
    path = quote_tables.written(tmp_path, "".join(gone))
    tables = list(read_days([path], rate={2021: 0.02}))
    days = [quoted.searched(day, chains, {}, SETTINGS, None) for day, chains in tables]

    pool = followed(days)

    puts = (pool.strategy == "naked_put") & (pool.managed.reason == quoted.END)
    assert set(pool.unmarked[puts]) == {1}


def test_days_of_no_entry_keep_their_quotes(calm):
    """A day that only marks is not searched."""
    path_day = calm[3]
    again = quoted.searched(path_day.day, (), {}, SETTINGS, None, False)

    assert again.found == ()
    assert path_day.quotes[0].contract.size == 34


RULES = ExitRules(profit_target=0.5, stop=2.0, min_dte=10, max_days_in_trade=15)


@pytest.mark.parametrize("share", [-2.5, -0.3, 0.2, 0.6])
@pytest.mark.parametrize("dte", [5, 20])
@pytest.mark.parametrize("held", [3, 16])
def test_exits_are_those_of_the_journal(share, dte, held):
    """The rule that fires first is the one that ``tomic journal check`` would name first."""
    day = dt.date(2021, 3, 20)
    observed = journal.Observed(
        day=day, opened=day - dt.timedelta(days=held), dte=dte, pnl=100.0 * share, premium=100.0,
        spot=100.0,
    )  # fmt: skip
    fired = [signal.rule for signal in journal.evaluate(RULES, observed) if signal.fired]

    seen = quoted._Seen(share, dte, held, 100.0)
    assert quoted._first(RULES, seen) == next(iter(fired), "")


SPX = recorded_chains.missing(recorded_chains.SPX_2018)


@pytest.mark.skipif(SPX is not None, reason=str(SPX))
def test_spx_in_february_2018():
    """Short puts on real quotes lose in the week of 5 February, by what the quotes say."""
    settings = Settings(
        scan={"strategies": ["naked_put"], "keep_to_exits": False, "top": 1},
        strategies={"naked_put": {"dte": [5, 29]}},
        journal={"exits": {"min_dte": "none"}},
    )
    path = recorded_chains.DATA / recorded_chains.SPX_2018
    tables = list(read_days([path], rate=walk.RATES))
    opens = {dt.date(2018, 1, 31), dt.date(2018, 2, 1), dt.date(2018, 2, 2)}
    days = [
        quoted.searched(day, chains, {}, settings, None, day in opens) for day, chains in tables
    ]
    pools = [
        quoted.followed(found, days[place + 1 :], settings)
        for place, day in enumerate(days)
        for found in day.found
    ]

    assert tables[0].day == dt.date(2018, 1, 2)
    assert len(tables) == 40
    chosen = [(pool, int(np.flatnonzero(pool.rank == 1)[0])) for pool in pools]
    assert len(chosen) >= 2
    for pool, row in chosen:
        assert pool.source[row] == "quotes"
        week = [gross for day, gross in pool.marks[row] if 5 <= day.day <= 9 and day.month == 2]
        assert min(week) < -500.0


def test_a_day_comes_back_from_disk(calm):
    """What is put away of a searched day is all of it, and is followed to the same end."""
    again = [quoted.unpacked(quoted.packed(day)) for day in calm]

    assert again[0].refused == calm[0].refused
    assert again[0].day == calm[0].day
    ours, theirs = followed(again), followed(calm)
    for name in ("rank", "strategy", "credit", "expiry", "unmarked", "unknown"):
        assert_array_equal(getattr(ours, name), getattr(theirs, name), name)
    assert_array_equal(ours.managed.gross, theirs.managed.gross)
    assert_array_equal(ours.held.closed, theirs.held.closed)
    assert [ours.text(row) for row in range(3)] == [theirs.text(row) for row in range(3)]


def exits_of(days, known=quoted.NOTHING_KNOWN, **rules):
    """How the naked puts of the first day ended with nothing but *rules*."""
    off = {"profit_target": "none", "stop": "none", "min_dte": "none", "earnings_days": "none",
           "dividend_days": "none", "negative_ev": False}  # fmt: skip
    settings = SETTINGS.model_copy(
        update={"journal": Settings(journal={"exits": off | rules, "exits_of": {}}).journal}
    )
    pool = quoted.followed(days[0].found[0], days[1:], settings, known)
    chosen = pool.strategy == "naked_put"
    return pool.managed.reason[chosen], pool.managed.closed[chosen]


def test_a_tested_delta_closes_on_quotes(tmp_path):
    """A put sold is left on the evening on which its own delta has grown to the limit."""
    spots = {day: 100.0 if place < 6 else 94.0 for place, day in enumerate(CALENDAR)}
    reason, closed = exits_of(days_of(tmp_path, spots), short_delta=0.4)

    assert "short_delta" in set(reason)
    assert set(closed[reason == "short_delta"]) >= {np.datetime64(CALENDAR[6])}


def test_volatility_that_the_store_knows_closes(calm):
    """A rise of IV30 since entry, and a rank under its limit; unknown days close nothing."""
    days = np.array(CALENDAR, dtype="datetime64[D]")
    iv = np.where(np.arange(days.size) < 4, 0.2, 0.26)
    rank = np.where(np.arange(days.size) < 5, 0.8, 0.1)
    blank = np.array([])
    known = quoted.StoredFigures(days[:0], blank, days, iv, rank, rank)

    rose, when = exits_of(calm, known, iv_rise=0.05)
    assert set(rose) == {"iv_rise"}
    assert set(when) == {days[4]}
    fell, when = exits_of(calm, known, iv_rank_below=0.3)
    assert set(fell) == {"iv_rank_below"}
    assert set(when) == {days[5]}
    assert "iv_rise" not in set(exits_of(calm, iv_rise=0.05)[0])


def test_a_later_leg_is_sold_at_a_cost(tmp_path):
    """At the first expiry a calendar's far option is sold into its spread, with commission."""
    later = "2021-04-30"
    settings = Settings(
        scan={"strategies": ["calendar"], "keep_to_exits": False, "top": 3},
        strategies={"calendar": {"dte": [5, 45], "gap": [10, 60], "gates": []}},
        journal={"exits": {"min_dte": "none"}},
    )
    text = quote_tables.table(dict.fromkeys(CALENDAR, 100.0), (EXPIRY, later))
    path = quote_tables.written(tmp_path, text)
    tables = read_days([path], rate={2021: 0.02})
    opens = dt.date.fromisoformat(CALENDAR[0])
    days = [quoted.searched(day, chains, {}, settings, None, day == opens)
            for day, chains in tables]  # fmt: skip

    pool = quoted.followed(days[0].found[0], days[1:], settings)

    done = pool.held.reason == "expiry"
    assert done.any()
    assert (pool.held.leaving[done] > settings.costs.commission).all()
    assert (pool.held.other_leaving[done] > pool.held.leaving[done]).all()
