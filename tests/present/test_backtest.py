from __future__ import annotations

import csv
import io
import json
import re

from support import made_backtests
from support.made_backtests import FEW, GAIN, ZERO, empty, trade, whole
from tomic.models.backtest import BacktestDifference, Comparison, Estimate, Sweep, SweepRow
from tomic.present import backtest as present
from tomic.present.forms import Format


def test_a_figure_stands_with_its_interval():
    """Signed per cent; where there are too few blocks that is said, and nothing is nothing."""
    assert present.estimate_text(GAIN) == "+2.1 (+0.5 to +3.5)"
    assert present.estimate_text(ZERO) == "+0.4 (-1.2 to +2.1)"
    assert present.estimate_text(FEW) == "-5.0 (too few)"
    assert present.estimate_text(Estimate()) == ""
    assert present.share_text(Estimate(value=0.83, low=0.79, high=0.87)) == "83 (79 to 87)"
    assert present.share_text(Estimate(value=0.5)) == "50 (too few)"


def test_the_report_opens_with_what_it_proves():
    """Scope, size, verdict, looks taken and the worst week come before any table."""
    lines = present.report(whole(), Format.TABLE).splitlines()

    assert lines[:6] == [
        "backtest every week, 2025-01-06 to 2025-06-30, closed by the exits of [journal]: "
        "2 symbols, 1 strategy, 52 symbol-days",
        "40 trades from 310 candidates in 3 independent blocks of two months",
        "The interval per margin holds zero: no edge is shown.",
        "7 variants tried on these data so far: the best of so many looks good by chance alone",
        "worst week from 2025-01-13: -190; drawdown -190 from the week of 2025-01-06 to that of "
        "2025-01-13",
        "40 trades on a smile modelled from daily volatility, skew and term (surface)",
    ]


def test_every_part_of_the_report_is_printed():
    """Tables of groups, deciles, baselines, costs and reasons; notes and no advice at the end."""
    text = present.report(whole(), Format.TABLE)

    for part in (
        "score.min_pos = 0.6", "top 3", "-5.0 (too few)", "random choice", "1 % a leg",
        "promised EV per margin, %", "50 (40 to 62)", "short put spread", "IV percentile",
        "no surface on the day  1,234", "min credit share", "impossible IV", "iron condor",
        "note: strikes are modelled", "Not advice",
    ):  # fmt: skip
        assert part in text


def test_a_backtest_without_a_trade_is_said():
    """Nothing is made up where nothing was opened."""
    text = present.report(empty(), Format.TABLE)

    assert "Nothing was opened." in text
    assert "0 trades from 0 candidates in 0 independent blocks" in text
    assert "nan" not in text.lower()
    assert "None" not in text


def test_a_fall_from_the_start_is_one():
    """A total that never rose has fallen from nothing; one that never fell has no drawdown."""
    fallen = whole(drawdown_from=None)

    assert present.worst_text(fallen).endswith("from the start to the week of 2025-01-13")
    assert present.worst_text(whole(drawdown=0.0)).endswith("; no drawdown")
    assert present.worst_text(empty()) == ""


def test_machines_get_all_of_it():
    """JSON has the whole result, CSV and NDJSON a row a trade, with a head even without trades."""
    document = json.loads(present.report(whole(), Format.JSON))
    rows = list(csv.DictReader(io.StringIO(present.report(whole(), Format.CSV))))
    lines = [json.loads(line) for line in present.report(whole(), Format.NDJSON).splitlines()]

    assert document["schema"] == "tomic.backtest/1"
    assert document["overall"]["per_margin"]["value"] == 0.004
    assert [row["pnl"] for row in rows] == ["70.0", "-190.5"]
    assert lines[1]["exit"] == "stop"
    assert present.report(empty(), Format.CSV).startswith("symbol,strategy,")


def test_many_symbols_are_cut_in_the_text():
    """What does not fit a screen is counted, and whole in JSON."""
    group = whole().overall
    many = whole(by_symbol=tuple(group.model_copy(update={"label": f"S{n}"}) for n in range(174)))

    assert "and 149 more, in JSON" in present.report(many, Format.TABLE)


def test_two_configurations_beside_each_other():
    """Each figure with the interval of its difference, and what was changed."""
    compared = Comparison(
        base=whole(), other=whole(variants=8), other_name="mine.toml",
        changed={"score.min_pos": ("0.5", "0.6")}, days=26,
        differences=(
            BacktestDifference(name="per CVaR", base=0.01, other=0.02, difference=ZERO),
            BacktestDifference(name="P&L a trade", base=-23.2, other=-22.0, difference=FEW),
        ),
        verdict="The difference is not told from nothing.",
    )  # fmt: skip

    text = present.comparison(compared, Format.TABLE)
    row, _ = csv.DictReader(io.StringIO(present.comparison(compared, Format.CSV)))

    assert "score.min_pos: 0.5 > 0.6" in text
    assert "per CVaR, %      +1.0   +2.0  +0.4 (-1.2 to +2.1)" in text
    assert "P&L a trade     -23.2  -22.0       -0.1 (too few)" in text
    assert "8 variants tried" in text
    assert (row["difference"], row["difference_low"]) == ("0.004", "-0.012")


def test_a_sweep_prints_what_the_correction_leaves():
    """The base has no difference from itself; each other value has p before and after."""
    swept = Sweep(
        key="score.min_pos", base=whole(), correction="Holm over 2 looks",
        rows=(
            SweepRow(value="0.5", trades=40, win_rate=0.8, per_margin=ZERO, is_base=True),
            SweepRow(value="0.6", trades=30, per_cvar=GAIN, difference=GAIN, p_value=0.031,
                     p_adjusted=0.062),
        ),
        verdict="Nothing is left after the correction.",
    )  # fmt: skip

    text = present.sweep(swept, Format.TABLE)

    assert "Holm over 2 looks" in text
    assert "0.5 (base)" in text
    assert "0.031       0.062" in text
    assert json.loads(present.sweep(swept, Format.JSON))["schema"] == "tomic.backtest.sweep/1"


def test_the_page_has_intervals_in_words():
    """A document for a page: the numbers, and beside each estimate how it is read."""
    document = present.page_document(whole(trades=(trade(),)))

    assert "trades" not in document
    assert document["overall"]["margin_text"] == "+0.4 (-1.2 to +2.1)"
    assert document["pos_deciles"][0]["came_text"] == "50 (40 to 62)"
    assert document["baselines"][0]["difference_text"] == "+2.1 (+0.5 to +3.5)"
    assert document["sentences"][0] == "The interval per margin holds zero: no edge is shown."


def floats(value):
    """Every number of a document, with the name it stands under."""
    if isinstance(value, dict):
        return [pair for key, item in value.items() for pair in
                ([(key, item)] if isinstance(item, float) else floats(item))]  # fmt: skip
    return [pair for item in value for pair in floats(item)] if isinstance(value, list) else []


def test_documents_are_rounded_as_tables_are():
    """No figure has more digits than its column, and what rounds to nothing has no sign."""
    odd = Estimate(value=-0.00012, low=-0.123456, high=1 / 3, blocks=4)
    result = whole(
        trades=(trade(pnl=-0.001, pos=2 / 3, credit=148.70001220703125, score=72.04),),
        overall=made_backtests.group(per_cvar=odd, win_rate=5 / 6), drawdown=-190.499999,
    )  # fmt: skip
    document = json.loads(present.report(result, Format.JSON))

    assert document["overall"]["per_cvar"] == {
        "value": 0.0, "low": -0.123, "high": 0.333, "blocks": 4
    }  # fmt: skip
    (told,) = document["trades"]
    assert (told["pnl"], told["pos"], told["credit"], told["score"]) == (0.0, 0.667, 148.7, 72.0)
    assert not re.search(r"-0\.0\b", present.report(result, Format.JSON))
    assert ",-0.0," not in present.report(result, Format.CSV)
    given = {key: item for key, item in document.items() if key != "settings"}
    assert all(round(value, 3) == value for _, value in floats(given))


def test_a_difference_of_money_is_in_cents():
    """A share has tenths of a per cent, P&L cents."""
    money = BacktestDifference(
        name="P&L a trade", base=1.23456, other=2.0, difference=Estimate(value=0.76544)
    )
    share = BacktestDifference(name="per CVaR", base=0.0123456, other=0.02, difference=Estimate())
    compared = Comparison(
        base=whole(), other=whole(), other_name="x", days=3, differences=(money, share), verdict=""
    )
    first, second = json.loads(present.comparison(compared, Format.JSON))["differences"]

    assert (first["base"], first["difference"]["value"]) == (1.23, 0.77)
    assert second["base"] == 0.012
