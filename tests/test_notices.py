"""What is told: each thing once until it is over, in words that fit."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from support.made_proposals import whole
from tomic import notices
from tomic.models import ExitCheck, ExitSignal, ScanResult, SymbolOutcome
from tomic.models.journal import Verdict
from tomic.models.notices import KeptNotice, Notice, Observation
from tomic.models.review import (
    Alert,
    AssignmentRisk,
    BookReview,
    BookTotals,
    HeldLeg,
    Jump,
    PortfolioGreeks,
    Severity,
    Structure,
)

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def notice(key="exit:1:stop", text="SPY: loss 2.1 times the credit, stop 2.0", **fields) -> Notice:
    return Notice(kind=fields.pop("kind", key.partition(":")[0]), key=key, text=text, **fields)


def look(*keys: str, covers=("exit:",), unknown=()) -> Observation:
    return Observation(notices=tuple(map(notice, keys)), covers=covers, unknown=unknown)


def said(changes: notices.Changes) -> list[str]:
    return [each.key for each in changes.say]


def test_once_until_it_clears():
    """New is said; still there is not; gone is forgotten; back again is new."""
    first = notices.changed((), [look("exit:1:stop")], at=AT)
    still = notices.changed(first.told(AT), [look("exit:1:stop", "exit:2:stop")], at=AT)
    gone = notices.changed(still.told(AT), [look("exit:2:stop")], at=AT)
    back = notices.changed(gone.told(AT), [look("exit:1:stop", "exit:2:stop")], at=AT)

    assert [said(each) for each in (first, still, gone, back)] == [
        ["exit:1:stop"], ["exit:2:stop"], [], ["exit:1:stop"]
    ]  # fmt: skip


def test_what_was_not_looked_at_stays():
    """Another kind of look, or one that could not judge, ends nothing and says nothing twice."""
    kept = notices.changed((), [look("exit:1:stop", "exit:2:stop")], at=AT).told(AT)

    elsewhere = notices.changed(kept, [look(covers=("alert:",))], at=AT)
    doubtful = notices.changed(kept, [look(unknown=("exit:1:",))], at=AT)
    nothing = notices.changed(kept, [], at=AT)

    assert [each.key for each in elsewhere.kept] == ["exit:1:stop", "exit:2:stop"]
    assert [each.key for each in doubtful.kept] == ["exit:1:stop"]
    assert nothing.kept == kept
    assert not elsewhere.say + doubtful.say + nothing.say


def test_what_no_service_took_is_said_again():
    """Only what was told counts as told."""
    first = notices.changed((), [look("exit:1:stop")], at=AT)

    again = notices.changed(first.kept, [look("exit:1:stop")], at=AT)

    assert said(again) == ["exit:1:stop"]
    assert again.say[0].since == AT


def test_quiet_hours_hold():
    """Nothing is said in them; after them what still holds is, by whatever looks next."""
    night = notices.changed((), [look("exit:1:stop", "exit:2:stop")], at=AT, quiet=True)
    later = notices.changed(night.kept, [look("exit:2:stop")], at=AT, quiet=True)

    morning = notices.changed(later.kept, [look(covers=("alert:",))], at=AT)

    assert said(night) == said(later) == []
    assert said(morning) == ["exit:2:stop"]


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_go_over_midnight(clock, quiet):
    """They begin and end by the clock on the wall of the zone."""
    at = dt.datetime.combine(dt.date(2026, 11, 20), dt.time.fromisoformat(clock), AMSTERDAM)

    assert notices.is_quiet(at.astimezone(dt.UTC), "22:00-07:00", AMSTERDAM) is quiet


@pytest.mark.parametrize(
    ("moment", "quiet"),
    [
        ("2026-10-25T05:30+00:00", True),  # summer time ended: 06:30
        ("2026-10-24T05:30+00:00", False),  # the day before: 07:30
        ("2027-03-28T05:30+00:00", False),  # summer time began: 07:30
        ("2027-03-27T05:30+00:00", True),  # the day before: 06:30
    ],
)
def test_quiet_hours_follow_summer_time(moment, quiet):
    """The same instant of two days is quiet on one of them, where the clock was set between."""
    at = dt.datetime.fromisoformat(moment)

    assert notices.is_quiet(at, "22:00-07:00", AMSTERDAM) is quiet


def test_hours_within_a_day_and_none():
    """A window that begins before it ends is one of the same day; without one nothing is quiet."""
    at = dt.datetime(2026, 11, 20, 12, 30, tzinfo=AMSTERDAM)

    assert notices.is_quiet(at, "12:00-13:00", AMSTERDAM)
    assert not notices.is_quiet(at, "13:00-14:00", AMSTERDAM)
    assert not notices.is_quiet(at, None)


def test_only_what_is_asked_for():
    """Kinds that are not told are not kept either, so that they are news once they are."""
    seen = [Observation(notices=(notice(), notice("alert:vega:book")), covers=("exit:", "alert:"))]

    changes = notices.changed((), seen, at=AT, tell=("alert",))

    assert said(changes) == ["alert:vega:book"]
    assert [each.key for each in changes.kept] == ["alert:vega:book"]


@given(st.lists(st.sets(st.sampled_from(["a", "b", "c"])), max_size=40))
def test_every_change_is_said_exactly_once(days):
    """Over any sequence a key is said as often as it appears anew."""
    kept: tuple[KeptNotice, ...] = ()
    heard, expected, before = [], [], set()
    for now in days:
        changes = notices.changed(kept, [look(*(f"exit:{key}" for key in now))], at=AT)
        heard += said(changes)
        expected += [f"exit:{key}" for key in now - before]
        kept, before = changes.told(AT), now

    assert sorted(heard) == sorted(expected)


def test_a_message_counts_and_names_the_command():
    """The most urgent first; each with what shows more."""
    made = notices.message(
        [
            notice(text="SPY: loss 2.1", more="tomic journal check 1"),
            notice("exit:2:stop", "QQQ: loss 3.0"),
            notice("gateway", "no gateway at 127.0.0.1:7497"),
        ],
        mark=" demo",
    )

    assert made.title == "TOMIC demo: TWS unreachable, 2 exit signals"
    assert made.body.splitlines() == [
        "no gateway at 127.0.0.1:7497",
        "SPY: loss 2.1 → tomic journal check 1",
        "QQQ: loss 3.0",
    ]


@pytest.mark.parametrize("room", [60, 100, 200, 1024, 2000, 4096, 7800])
def test_a_message_fits_its_service(room):
    """What does not fit is counted; no word is cut."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon"]
    many = [notice(f"exit:{n}:stop", " ".join(words)) for n in range(300)]

    body = notices.message(many, room=room).body

    assert len(body) <= room
    *lines, last = body.splitlines()
    assert last == f"and {300 - len(lines)} more"
    assert all(set(line.removesuffix(" …").split()) <= set(words) for line in lines)


def test_one_long_sentence_is_cut_between_words():
    """A word that is too long by itself is cut, as nothing else helps."""
    assert notices.cut("profit of 52 per cent of the credit", 20) == "profit of 52 per …"
    assert notices.cut("x" * 50, 10) == "xxxxxxxx …"
    assert notices.cut("short", 10) == "short"


def check(entry=31, *, verdict=Verdict.ACT, fired=("stop",), unjudged=()) -> ExitCheck:
    def signal(rule):
        return ExitSignal(
            rule=rule, fired=True, text="loss 2.1 times the credit, stop 2.0", advice="close"
        )

    return ExitCheck(
        entry_id=entry, symbol="SPY", strategy="iron_condor", verdict=verdict,
        signals=tuple(map(signal, fired)), unjudged=tuple(map(signal, unjudged)),
    )  # fmt: skip


def test_exit_signals_are_sentences():
    """Symbol, strategy, entry, number, limit, advice and command."""
    seen = notices.of_checks([check()], every=True)

    assert seen.notices == (
        Notice(
            kind="exit", key="exit:31:stop", more="tomic journal check 31",
            text="SPY iron condor (entry 31): loss 2.1 times the credit, stop 2.0; close",
        ),
    )  # fmt: skip
    assert seen.covers == ("exit:",)


def test_what_was_judged_on_old_marks_ends_nothing():
    """A signal of yesterday stays where today's marks are stale, missing, or of other entries."""
    kept = notices.changed((), [notices.of_checks([check()], every=True)], at=AT).told(AT)

    def still(*checks, every=True, failed=False) -> bool:
        seen = notices.of_checks(checks, every=every, failed=failed)
        return bool(notices.changed(kept, [seen], at=AT).kept)

    assert still(check(verdict=Verdict.STALE, fired=()))
    assert still(check(verdict=Verdict.HOLD, fired=(), unjudged=("stop",)))
    assert still(check(32, fired=()), every=False)
    assert still(failed=True)
    assert not still(check(verdict=Verdict.HOLD, fired=()))
    assert not still(), "closed since"


def test_a_trade_found_again_is_no_news():
    """Its id is new every day, the trade is not; a symbol that failed ends nothing."""
    made = whole()
    other = made.model_copy(update={"id": "20261121-4"})

    def seen(*proposals, error=""):
        outcome = SymbolOutcome(symbol="SPY", ok=not error, error=error)
        return notices.of_scan(ScanResult(proposals=proposals, outcomes=(outcome,)))

    first = notices.changed((), [seen(made)], at=AT)
    again = notices.changed(first.told(AT), [seen(other)], at=AT)
    failed = notices.changed(again.told(AT), [seen(error="no quotes")], at=AT)
    gone = notices.changed(failed.told(AT), [seen()], at=AT)

    assert first.say[0].text == (
        "SPY iron condor 546P/561P/625C/640C 2026-12-18: score 63 (B), 43 credit, PoS 81%, EV +3"
    )
    assert first.say[0].more == "tomic show 20261120-1"
    assert not again.say
    assert len(failed.kept) == 1 and not gone.kept


def book_review(*, alerts=(), assignments=(), jumps=()) -> BookReview:
    return BookReview(
        as_of=AT, currency="EUR", data_type=None, accounts=(), net_liquidation=None,
        totals=BookTotals(greeks=PortfolioGreeks()), structures=(), alerts=alerts,
        assignments=assignments, jumps=jumps,
    )  # fmt: skip


def alert(rule="stress_loss", severity=Severity.ALARM, scope="book") -> Alert:
    return Alert(
        rule=rule, severity=severity, scope=scope, value=0.116, limit=0.1, unit="fraction",
        message="the worst cell costs 11.6%", advice="hedge it",
    )  # fmt: skip


def test_alerts_say_scope_number_and_limit():
    """Context is not told, and what an assignment risk says is not told twice."""
    risk = AssignmentRisk(
        structure="XLF-1", contract="XLF 2026-11-20 48C", quantity=-2.0, reason="dividend",
        time_value=0.05, dividend=0.21, day=AT.date(), message="time value 0.05 is less than 0.21",
    )  # fmt: skip
    said = alert("assignment_dividend", Severity.WARNING, "XLF-1")
    alerts = (alert(), alert("vega", Severity.INFO), said)

    seen = notices.of_book(book_review(alerts=alerts, assignments=(risk,)), whole=True)

    assert [(each.kind, each.text) for each in seen.notices] == [
        (
            "assignment",
            "XLF-1: short XLF 2026-11-20 48C: time value 0.05 is less than 0.21; close or roll it",
        ),
        ("alert", "book: the worst cell costs 11.6% (limit 10%); hedge it"),
    ]
    assert seen.covers and not notices.of_book(book_review(), whole=False).covers


def test_two_structures_of_the_same_contracts_are_two():
    """The alert of one is not taken for that of the other."""
    leg = HeldLeg(contract="XLF 2026-11-20 48C", quantity=-2.0)
    held = tuple(
        Structure(
            id=f"XLF-{number}", strategy="naked_call", symbol="XLF", account="DU1",
            source="journal", quantity=2.0, legs=(leg,), greeks=PortfolioGreeks(),
        )
        for number in (1, 2)
    )  # fmt: skip
    alerts = tuple(alert("dte", Severity.WARNING, one.id) for one in held)
    review = book_review(alerts=alerts).model_copy(update={"structures": held})

    assert [each.key for each in notices.of_book(review, whole=True).notices] == [
        "alert:dte:DU1: -XLF 2026-11-20 48C", "alert:dte:DU1: -XLF 2026-11-20 48C (2)"
    ]  # fmt: skip


def test_ex_dividend_by_tomorrow():
    """Today's and tomorrow's, with what they do to what is held; earnings are an alert's."""

    def jump(days, kind="dividend"):
        day = AT.date() + dt.timedelta(days=days)
        return Jump(symbol="KO", kind=kind, day=day, move=-0.0075, up=None, down=-75.0)

    jumps = (jump(-1), jump(0), jump(1), jump(2), jump(1, "earnings"))
    seen = notices.of_book(book_review(jumps=jumps), whole=True)

    assert [each.key for each in seen.notices] == [
        "dividend:KO:2026-11-20", "dividend:KO:2026-11-21"
    ]  # fmt: skip
    assert seen.notices[1].text == (
        "KO goes ex-dividend on 21 Nov, a drop of 0.75%: -75 EUR for what is held"
    )


def test_a_gateway_comes_back():
    """Lost, still lost, and there again."""
    away = notices.changed((), [notices.of_gateway("no gateway at 127.0.0.1:7497")], at=AT)
    still = notices.changed(away.told(AT), [notices.of_gateway("no gateway")], at=AT)
    back = notices.changed(still.told(AT), [notices.of_gateway()], at=AT)

    assert away.say[0].text == "TWS unreachable: no gateway at 127.0.0.1:7497"
    assert not still.say and not back.kept


def test_a_lost_gateway_is_one_notice():
    """However many steps need it; it ends when TWS answers, and other failures stand apart."""
    lost = [
        notices.FailedStep(n, f"step{n}", 4, "no gateway at 127.0.0.1:7497", True) for n in (1, 3)
    ]
    bad = notices.FailedStep(5, "report day", 5, "", False)

    away = notices.changed((), [notices.of_job("morning", [*lost, bad], reached=False)], at=AT)
    there = notices.changed(away.told(AT), [notices.of_job("morning", [], reached=True)], at=AT)

    assert said(away) == ["gateway", "job:morning:5"]
    assert away.say[0].text == (
        "TWS unreachable, job morning, steps 1, 3: no gateway at 127.0.0.1:7497"
    )
    assert away.say[1].text == "job morning, step 5: tomic report day ended with code 5"
    assert there.kept == ()
