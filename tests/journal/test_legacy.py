"""The original's journal.json: what becomes of each field, and that nothing is lost."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from tomic.journal import campaign, exits, legacy
from tomic.journal.legacy import number_of, percent_of, rank_of, volatility_of
from tomic.models.journal import EntryStatus, ExitRules, JournalEntry


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (1.5, 1.5),
        ("1,5", 1.5),
        (" 45.2% ", 45.2),
        ("", None),
        ("n/a", None),
        ("nan", None),
        (True, None),
        (None, None),
        ([1], None),
    ],
)
def test_numbers(cell, number):
    """A number may be text, with a decimal comma or a per-cent sign; the rest is none."""
    assert number_of(cell) == number
    assert percent_of(cell) == (None if number is None else pytest.approx(number / 100.0))


@pytest.mark.parametrize(
    ("cell", "sigma"),
    [(18.5, 0.185), (0.185, 0.185), (1.5, 1.5), (0, None), (-3, None), ("", None)],
)
def test_volatilities(cell, sigma):
    """Above 1.5 it is per cents, up to there a fraction; nothing or less is no volatility."""
    assert volatility_of(cell) == sigma


@pytest.mark.parametrize(("cell", "rank"), [(45.2, 0.452), (0.45, 0.45), (1, 1.0), ("?", None)])
def test_ranks(cell, rank):
    """Up to 1 a rank is a fraction, above it per cents."""
    assert rank_of(cell) == rank


def document(**changes: Any) -> dict[str, Any]:
    """An entry as the original writes it."""
    return {
        "TradeID": "17",
        "DatumIn": "2025-06-18",
        "DatumUit": None,
        "Symbool": "SPY",
        "Type": "Iron Condor",
        "Expiry": "2025-07-18",
        "Richting": "Sideways",
        "Status": "Open",
        "Premium": 1.2,
        "EntryPrice": 1.2,
        "ExitPrice": None,
        "ReturnOnMargin": None,
        "InitMargin": 1500.0,
        "StopPct": 50,
        "IV_Entry": 18.5,
        "HV_Entry": 12.3,
        "IV_Rank": 45.2,
        "IV_Percentile": 60.0,
        "VIX": 20.1,
        "ATR_14": 7.1,
        "Skew": -2.5,
        "Spot": 600.5,
        "DaysInTrade": None,
        "Plan": "houden tot 50 %",
        "Reden": "hoge IV",
        "Exitstrategie": "Sluiten onder ~580 of boven ~620, bij $0.60 of 10 dagen voor expiratie",
        "Evaluatie": None,
        "Resultaat": None,
        "Opmerkingen": "eerste condor",
        "Legs": [
            {"strike": 570, "type": "PUT", "action": "BUY", "qty": 2},
            {"strike": 580, "type": "PUT", "action": "SELL", "qty": 2, "conId": 712345},
            {"strike": 620, "type": "CALL", "action": "SELL", "qty": 2},
            {"strike": 630, "type": "CALL", "action": "BUY", "qty": 2},
        ],
        "Greeks_Entry": {"Delta": -0.4, "Gamma": -3.0, "Vega": -12.0, "Theta": 6.0},
        "Snapshots": [
            {"date": "20250620", "spot": 601.0, "iv30": 17.9, "iv_rank": 40.0, "hv30": 12.0,
             "vix": 19.0, "atr14": 7.0, "skew": -2.0, "Greeks": {"Delta": 0.1}, "note": "rustig"}
        ],
        "EigenVeld": {"blijft": [1, 2, 3]},
        **changes,
    }  # fmt: skip


def read(**changes: Any) -> JournalEntry:
    (found,) = legacy.read([document(**changes)])
    assert found.entry is not None, found.notes
    return found.entry


def notes(**changes: Any) -> tuple[str, ...]:
    return legacy.read([document(**changes)])[0].notes


def test_an_open_entry():
    """Legs, credit and number are taken over; per cents become fractions, delta shares."""
    one = read()

    assert (one.id, one.symbol, one.strategy, one.status) == (
        17, "SPY", "iron_condor", EntryStatus.OPEN,
    )  # fmt: skip
    assert one.opened_at.date() == dt.date(2025, 6, 18)
    assert [(leg.name, leg.quantity) for leg in campaign.held(one)] == [
        ("570P 2025-07-18", 2.0),
        ("580P 2025-07-18", -2.0),
        ("620C 2025-07-18", -2.0),
        ("630C 2025-07-18", 2.0),
    ]
    assert campaign.held(one)[1].con_id == 712345
    assert campaign.premium(one) == pytest.approx(240.0)
    context = one.context
    assert (context.iv, context.hv30, context.iv_rank) == (0.185, 0.123, 0.452)
    assert (context.iv_percentile, context.skew) == (0.6, -0.025)
    assert (context.vix, context.atr14, context.spot, context.margin) == (0.201, 7.1, 600.5, 1500.0)
    assert (context.delta, context.gamma, context.vega, context.theta) == (-40, -3, -12, 6)
    assert (one.plan, one.reason, one.tags) == ("houden tot 50 %", "hoge IV", ("sideways",))
    assert [note.text for note in one.notes] == ["eerste condor"]
    (seen,) = one.snapshots
    assert (seen.spot, seen.iv30, seen.iv_rank, seen.delta, seen.note) == (
        601.0, 0.179, 0.4, 10.0, "rustig",
    )  # fmt: skip
    assert seen.at.date() == dt.date(2025, 6, 20)


def test_exit_text():
    """Levels, price and days are found in the Dutch text; $0.60 of 1.20 is a target of half."""
    assert read().rules == ExitRules(
        spot_below=580.0, spot_above=620.0, profit_target=0.5, min_dte=10, stop=0.5
    )
    assert notes() == ()


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("onder 579,5", {"spot_below": 579.5}),
        ("ONDER ~ $580", {"spot_below": 580.0}),
        ("boven ~620.25 eruit", {"spot_above": 620.25}),
        ("sluit op $0,30", {"profit_target": 0.75}),
        ("5 dagen voor expiratie", {"min_dte": 5}),
        ("", {}),
    ],
)
def test_ways_to_write_an_exit(text, rules):
    """Decimal commas, spaces, currency signs and capitals make no difference."""
    one = read(Exitstrategie=text, StopPct=None)

    assert one.rules == ExitRules(**rules)
    assert notes(Exitstrategie=text, StopPct=None) == ()


def test_what_is_not_understood_is_reported():
    """A text without a rule, a number left over, and a price above the premium are named."""
    assert "exit text not fully understood: 'op gevoel'" in notes(Exitstrategie="op gevoel")
    assert "not fully understood" in notes(Exitstrategie="onder ~580 of bij delta 30")[0]
    assert "needs a premium above it" in notes(Exitstrategie="bij $3")[0]


def test_the_table_of_rules_wins():
    """Later versions wrote a table; it replaces what the text says."""
    one = read(
        ExitRules={
            "spot_below": 575, "target_profit_pct": 70, "days_before_expiry": 7,
            "max_days_in_trade": 45, "spot_above": None,
        }
    )  # fmt: skip

    assert one.rules == ExitRules(
        spot_below=575.0,
        spot_above=620.0,
        profit_target=0.7,
        min_dte=7,
        max_days_in_trade=45,
        stop=0.5,
    )


def test_quantity_is_respected_by_target_and_stop():
    """Two contracts at 1.20: the target of 50 % is 120 currency, and the stop is enforced."""
    one = read()
    seen = exits.Observed(
        day=dt.date(2025, 6, 20), opened=dt.date(2025, 6, 18), dte=28, spot=600.0,
        premium=campaign.premium(one),
    )  # fmt: skip

    def rules_at(pnl: float) -> list[str]:
        found = exits.evaluate(one.rules, replace(seen, pnl=pnl))
        return [signal.rule for signal in found if signal.fired]

    assert rules_at(119.99) == []
    assert rules_at(120.0) == ["profit_target"]
    assert rules_at(-119.99) == []
    assert rules_at(-120.0) == ["stop"]


def test_a_closed_entry_is_computed():
    """(1.10 - 0.40) x 100 x 2 contracts; the typed 70 for one contract is reported."""
    changes = {
        "Status": "Gesloten", "DatumUit": "2025-07-01", "Premium": 1.1, "ExitPrice": 0.4,
        "Resultaat": 70.0, "DaysInTrade": 13, "Evaluatie": "netjes",
    }  # fmt: skip
    one = read(**changes)

    assert campaign.result(one) == pytest.approx(140.0)
    assert campaign.days_in_trade(one, dt.date.max) == 13
    assert "typed result 70, computed 140.00 for 2 structures; computed counts" in notes(**changes)
    assert [note.text for note in one.notes] == ["eerste condor", "netjes"]


def test_a_closed_entry_without_prices_keeps_its_typed_result():
    """Where nothing computes, the typed result counts, and it is said."""
    changes = {"Status": "Gesloten", "DatumUit": "2025-07-01", "Resultaat": -50, "Premium": None,
               "EntryPrice": None, "Exitstrategie": ""}  # fmt: skip

    assert campaign.result(read(**changes)) == -50.0
    assert "no exit price: the typed result is used" in notes(**changes)
    changes["Resultaat"] = None
    assert campaign.result(read(**changes)) is None
    assert any("counts in no statistics" in note for note in notes(**changes))


def test_a_debit_is_recognised():
    """A long spread bought at 3.00 and sold at 4.50 has earned 150, whatever its sign."""
    legs = [
        {"strike": 580, "type": "CALL", "action": "BUY", "qty": 1},
        {"strike": 590, "type": "CALL", "action": "SELL", "qty": 1},
    ]

    for premium, exit_price in ((3.0, 4.5), (-3.0, -4.5)):
        one = read(
            Legs=legs, Premium=premium, ExitPrice=exit_price, Status="Gesloten",
            DatumUit="2025-07-01", Exitstrategie="",
        )  # fmt: skip
        assert campaign.premium(one) == pytest.approx(-300.0)

    assert campaign.result(
        read(Legs=legs, Premium=3.0, ExitPrice=4.5, Status="Gesloten", DatumUit="20250701")
    ) == pytest.approx(150.0)


def test_a_calendar_with_expiries_of_its_own():
    """A leg that says its expiry is not put on the entry's."""
    legs = [
        {"strike": 600, "type": "PUT", "action": "SELL", "qty": 1},
        {"strike": 600, "type": "PUT", "action": "BUY", "qty": 1, "expiry": "20250815"},
    ]

    one = read(Legs=legs, Premium=1.5, Type="Calendar")

    assert [leg.expiry for leg in campaign.held(one)] == [
        dt.date(2025, 7, 18), dt.date(2025, 8, 15),
    ]  # fmt: skip
    assert campaign.premium(one) == -150.0


@pytest.mark.parametrize("day", ["2025-07-18", "20250718", 20250718])
def test_expiries_written_either_way(day):
    """``2025-07-18`` and ``20250718`` are the same expiry."""
    assert campaign.first_expiry(read(Expiry=day)) == dt.date(2025, 7, 18)


@pytest.mark.parametrize("day", ["2025-06-18", "20250618", "18-06-2025", "2025-06-18T15:30:00"])
def test_days_of_entry_written_in_any_way(day):
    """ISO, compact, day first, or with a time."""
    assert read(DatumIn=day).opened_at.date() == dt.date(2025, 6, 18)


def test_cancelled():
    """A cancelled entry is kept, and has no result."""
    one = read(Status="Gecanceld")

    assert one.status is EntryStatus.CANCELLED
    assert campaign.result(one) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Symbool": "S P Y;"}, "is not a ticker symbol"),
        ({"DatumIn": "gisteren"}, "DatumIn 'gisteren' is not a date"),
        ({"Expiry": "juli"}, "'juli' is not an expiry"),
        ({"Status": "Misschien"}, "Status 'Misschien' is none of Open"),
        ({"Legs": [{"strike": 1, "type": "FUT", "action": "BUY"}]}, "must be CALL or PUT"),
        (
            {"Legs": [{"strike": 1, "type": "PUT", "action": "BUY", "qty": "two"}]},
            "a leg needs a quantity, got 'two'",
        ),
        ({"Legs": [{"strike": None, "type": "PUT", "action": "BUY"}]}, "an option needs expiry"),
    ],
)
def test_an_unreadable_entry_costs_only_itself(changes, message):
    """It is named with the reason; its neighbours are read."""
    broken, whole = legacy.read([document(**changes), document(TradeID="18")])

    assert broken.entry is None
    assert broken.trade_id == "17"
    assert message in broken.notes[0]
    assert whole.entry.id == 18


def test_unknown_fields_survive():
    """Everything the file had is in the entry, and in the file written from it."""
    one = read()

    assert one.original == document()
    assert legacy.write(one)["EigenVeld"] == {"blijft": [1, 2, 3]}
    assert set(document()) <= set(legacy.write(one))


def test_a_rewritten_entry_reads_the_same():
    """Written and read again, an entry has the same trades, rules and result."""
    closed = {"Status": "Gesloten", "DatumUit": "2025-07-01", "ExitPrice": 0.4}
    for one in (read(), read(**closed)):
        again = legacy.read([legacy.write(one)])[0].entry

        assert again.trades == one.trades
        assert again.rules == one.rules
        assert campaign.result(again) == campaign.result(one)


def test_a_file_is_recognised():
    """A list of tables with TradeID or Symbool is a journal of the original."""
    assert legacy.is_legacy([document()])
    assert not legacy.is_legacy([])
    assert not legacy.is_legacy({"schema": "tomic.journal/1"})
    assert not legacy.is_legacy([{"symbol": "SPY"}])
