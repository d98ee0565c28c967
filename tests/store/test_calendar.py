from __future__ import annotations

import datetime as dt

from tomic.store import Dividend, Earnings

TODAY = dt.date(2026, 11, 20)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


async def test_a_file_of_the_user_overrules_the_gateway(store):
    """Within twenty days a CSV row replaces what tick 456 said; other quarters stay."""
    await store.calendar.save_dividends(
        [
            Dividend("SPY", day("2026-12-18"), 1.90, "tick456"),
            Dividend("SPY", day("2027-03-19"), 1.95, "tick456"),
            Dividend("SPY", day("2026-12-21"), 1.99, "csv"),
        ]
    )

    found = await store.calendar.dividends(["SPY", "QQQ"], since=TODAY)

    assert found == {
        "SPY": [
            Dividend("SPY", day("2026-12-21"), 1.99, "csv"),
            Dividend("SPY", day("2027-03-19"), 1.95, "tick456"),
        ]
    }


async def test_an_overruled_date_stays_overruled_at_the_edge_of_the_window(store):
    """A CSV row just outside the window still replaces the other source inside it."""
    await store.calendar.save_earnings(
        [Earnings("AAPL", day("2026-11-25"), "web"), Earnings("AAPL", day("2026-12-02"), "csv")]
    )

    assert await store.calendar.earnings(["AAPL"], since=TODAY, until=day("2026-11-30")) == {}


async def test_a_moved_date_leaves_no_second_one_behind(store):
    """When a source moves an event, its former date goes; an event of another quarter stays."""
    await store.calendar.save_earnings(
        [Earnings("AAPL", day("2027-01-28"), "web"), Earnings("AAPL", day("2027-04-29"), "web")]
    )
    await store.calendar.save_earnings([Earnings("AAPL", day("2027-02-03"), "web")])

    found = await store.calendar.earnings(["AAPL"], since=TODAY)

    assert [one.day.isoformat() for one in found["AAPL"]] == ["2027-02-03", "2027-04-29"]


async def test_weekly_dividends_are_all_kept(store):
    """A fund that pays every week has one row a week, also when they come one by one."""
    weeks = [day("2026-11-23") + dt.timedelta(weeks=n) for n in range(4)]
    for week in weeks:
        await store.calendar.save_dividends([Dividend("XDTE", week, 0.2, "tick456")])

    found = await store.calendar.dividends(["XDTE"], since=TODAY)

    assert [one.day for one in found["XDTE"]] == weeks
