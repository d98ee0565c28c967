"""Greeks of the book, its delta in terms of an index, and where it is concentrated."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from support.made_books import made_book, market, position
from tomic import legs
from tomic.config import Settings
from tomic.models.book import Mark
from tomic.portfolio import exposure, lines, overview
from tomic.portfolio.exposure import ExposureRow
from tomic.portfolio.overview import Holdings

SETTINGS = Settings()
NEAR = "2026-12-18"


def rows_of(marks, *texts):
    """Rows of options with the given Greeks, all on SPY at 600."""
    made = []
    for text, mark in zip(texts, marks, strict=True):
        (leg,) = legs.parse(text, "SPY")
        made.append((position(leg), mark))
    book = made_book(positions=[one for one, _ in made]).model_copy(
        update={"marks": {one.contract: mark for one, mark in made}}
    )
    return Holdings.of(book).rows


def greeks_mark(delta, gamma, vega, theta):
    return Mark(
        price=1.0, price_source="mid", iv=0.2, delta=delta, gamma=gamma, vega=vega, theta=theta
    )


def test_original_example_with_and_without_the_multiplier():
    """-2 and +1 contracts: delta -0.4 per share as the original counted, -40 shares in truth."""
    marks = [greeks_mark(0.30, 0.02, 0.10, -0.05), greeks_mark(0.20, 0.01, 0.08, -0.04)]

    found = exposure.greeks(rows_of(marks, f"-2 650C {NEAR}", f"+1 660C {NEAR}"))

    assert found.contract_delta == pytest.approx(-0.4)
    assert found.delta == pytest.approx(-40.0)
    assert found.delta_value == pytest.approx(-40.0 * 600.0)
    assert found.gamma == pytest.approx(-3.0)
    assert found.gamma_value == pytest.approx(-3.0 * 600.0**2 / 100.0)
    assert found.vega == pytest.approx(-12.0)
    assert found.theta == pytest.approx(6.0)


def test_shares_add_their_delta():
    """A hundred shares beside a short call of delta .30 leave 70, where the original said -30."""
    marks = [greeks_mark(0.30, 0.0, 0.0, 0.0), Mark(price=600.0)]

    found = exposure.greeks(rows_of(marks, f"-1 650C {NEAR}", "+100 SPY"))

    assert found.delta == pytest.approx(70.0)
    assert found.contract_delta == pytest.approx(0.7)


def test_currencies_are_turned_into_the_base():
    """A position in dollars counts in euros at the broker's rate; without a rate it is a gap."""
    book = made_book("+100 SPY", currency="EUR", rates={"USD": 0.9})
    found = overview.review(book, SETTINGS)

    assert found.totals.greeks.delta_value == pytest.approx(100 * 600.0 * 0.9)

    lost = overview.review(book.model_copy(update={"rates": {}}), SETTINGS)
    assert lost.totals.greeks.delta_value == 0.0
    assert [one.reason for one in lost.gaps] == ["no exchange rate of USD"]


def with_returns(book, **betas):
    """Returns of the benchmark, and of symbols that follow it with a beta and noise of 1 %."""
    rng = np.random.default_rng(7)
    days = [dt.date(2025, 1, 1) + dt.timedelta(days=n) for n in range(252)]
    index = rng.normal(0.0, 0.01, len(days))
    series = {"SPY": tuple(index)}
    for name, beta in betas.items():
        series[name] = tuple(beta * index + rng.normal(0.0, 0.01, len(days)))
    return book.model_copy(update={"return_days": tuple(days), "returns": series})


def test_delta_in_shares_of_the_benchmark():
    """100 shares at 300 with a beta near 1.5 weigh as about 75 shares of SPY at 600."""
    book = with_returns(made_book("+100 QQQ", spots={"QQQ": 300.0}), QQQ=1.5)
    found = overview.review(book, SETTINGS).totals.beta

    (beta,) = found.betas
    assert beta.n == 252 and beta.beta == pytest.approx(1.5, abs=0.15)
    assert found.window == 252
    assert found.delta == pytest.approx(100 * 300.0 * beta.beta / 600.0)
    assert found.error == pytest.approx(100 * 300.0 * beta.error / 600.0)
    assert 0.0 < beta.error < 0.1


def test_unknown_beta_is_said_to_be_assumed():
    """Without returns beta is 1 with the spread of all betas, and n = 0."""
    found = overview.review(made_book("+100 QQQ", spots={"QQQ": 300.0}), SETTINGS).totals.beta

    assert [(one.beta, one.error, one.n) for one in found.betas] == [(1.0, 0.4, 0)]


def test_the_benchmark_is_itself():
    """Shares of SPY weigh as shares of SPY, without error."""
    found = overview.review(with_returns(made_book("+100 SPY")), SETTINGS).totals.beta

    assert (found.delta, found.error) == (pytest.approx(100.0), 0.0)


def test_concentration_adds_up_and_names_sectors():
    """Shares of margin sum to one per kind; sectors come from the imported file."""
    book = made_book(
        f"-1 SPY 560P {NEAR}, -1 QQQ 280P {NEAR}, +100 QQQ",
        spots={"QQQ": 300.0},
        markets={"QQQ": market("QQQ", 300.0, sector="tech")},
    )
    found = overview.review(book, SETTINGS).concentration

    for kind in ("symbol", "sector", "strategy", "expiry"):
        parts = [one for one in found if one.kind == kind]
        assert sum(one.share for one in parts) == pytest.approx(1.0)
    assert {one.name for one in found if one.kind == "sector"} == {"tech", "unknown"}


# -- what cannot be counted ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "change", "reason", "missing"),
    [
        (f"-1 SPY 560P {NEAR}", {"quantity": 0.0}, "quantity 0", "all"),
        ("-1 SPY 560P 2026-11-13", {}, "expired 2026-11-13", "all"),
        (f"-1 SPY 560P {NEAR}", {"trading_class": "2SPY"}, "adjusted", "greeks"),
        (f"-1 SPY 560P {NEAR}", {"multiplier": 150.0}, "multiplier 150", "greeks"),
        (f"-0.5 SPY 560P {NEAR}", {}, "fraction", "nothing"),
        ("+1 SPY", {"sec_type": "FUT", "local_symbol": "ESZ6"}, "FUT is not something", "all"),
        ("+100 XYZ", {}, "no price of XYZ", "all"),
    ],
)
def test_what_cannot_be_counted_is_named(text, change, reason, missing):
    """Nothing that is held is dropped in silence or counted as nothing."""
    (leg,) = legs.parse(text)
    odd = position(leg, average_cost=1.0).model_copy(update=change)
    found = overview.review(made_book("+100 SPY", positions=[odd]), SETTINGS)

    (gap,) = found.gaps
    assert reason in gap.reason and gap.missing == missing
    if missing in ("all", "greeks"):
        assert found.totals.greeks.delta == pytest.approx(100.0)


def test_option_without_quotes_gets_greeks_from_a_neighbour():
    """No quote: P&L unknown, Greeks come from the nearest strike's volatility, and that is said."""
    book = made_book(f"-1 SPY 560P {NEAR}, +1 SPY 550P {NEAR}")
    silent = {name: mark for name, mark in book.marks.items() if "550" not in name} | {
        f"SPY {NEAR} 550P": Mark(problem="no answer in time")
    }
    found = overview.review(book.model_copy(update={"marks": silent}), SETTINGS)

    (one,) = found.structures
    assert one.strategy == "short_put_spread" and one.pnl is None
    legs_found = {leg.strike: leg for leg in one.legs}
    assert legs_found[550.0].sigma_source == "near" and legs_found[550.0].delta is not None
    (gap,) = found.gaps
    assert "no answer in time" in gap.reason and "nearest strike" in gap.reason
    whole = overview.review(book, SETTINGS).totals.greeks
    assert found.totals.greeks.delta == pytest.approx(whole.delta, rel=1e-6)


def test_option_with_nothing_at_all_is_left_out_and_named():
    """Neither quote nor any volatility: no Greeks, no stress, no margin, but its name."""
    book = made_book(f"-1 SPY 560P {NEAR}, +100 SPY").model_copy(update={"marks": {}})
    found = overview.review(book, SETTINGS)

    assert found.totals.greeks.delta == pytest.approx(100.0)
    assert found.totals.margin_unknown == ("SPY-1",)
    assert found.stress.without == (f"SPY {NEAR} 560P",)
    assert [one.missing for one in found.gaps] == ["all"]


def test_volatility_of_the_symbol_stands_in():
    """Without a neighbour IV30 is taken, then HV30."""
    (leg,) = legs.parse(f"-1 SPY 560P {NEAR}")
    for known, source in (({"iv30": 0.2, "hv30": 0.1}, "iv30"), ({"hv30": 0.1}, "hv30")):
        info = market("SPY", 600.0, **known)
        book = made_book(positions=[position(leg)], markets={"SPY": info})
        (line,) = lines.lines_of(book.model_copy(update={"marks": {}}), book.positions)

        assert (line.sigma_source, line.sigma) == (source, known[source])
        assert line.counted and -1.0 < line.delta < 0.0


def test_rows_follow_their_groups():
    """A position split over two structures counts once in total."""
    book = made_book(
        f"-2 SPY 560P {NEAR}, +2 SPY 550P {NEAR}, -1 SPY 640C {NEAR}, +1 SPY 650C {NEAR}"
    )
    held = Holdings.of(book)

    split = [row.quantity for row in held.rows if row.line.position.strike == 560.0]
    assert sum(split) == -2.0
    assert all(isinstance(row, ExposureRow) for row in held.rows)


def test_options_of_a_volatility_index_count_at_their_future():
    """A short VIX call is worth its delta times the future of 16.5, and stress moves that one."""
    found = legs.parse("-5 VIX 2026-12-16 17C @1.2")
    mark = Mark(
        price=1.35, price_source="mid", iv=0.9, delta=0.5, gamma=0.09, vega=0.017, theta=-0.03,
        greeks_source="local", forward=16.5, forward_source="parity", rate=0.04, on_forward=True,
    )  # fmt: skip
    book = made_book(markets={"VIX": market("VIX", 13.9, sec_type="IND")}, spots={"SPY": 600.0},
                     positions=[position(found[0])],
                     ).model_copy(update={"marks": {"VIX 2026-12-16 17C": mark}})  # fmt: skip

    (line,) = lines.lines_of(book, book.positions)
    total = exposure.greeks([ExposureRow(line, -5.0, 0)])
    review = overview.review(book, Settings())

    assert (line.underlying, line.spot, line.rate, line.div_yield) == (16.5, 13.9, 0.04, 0.04)
    assert total.delta_value == pytest.approx(-5 * 100 * 0.5 * 16.5)
    assert total.gamma_value == pytest.approx(-5 * 100 * 0.09 * 16.5**2 / 100.0)
    grid = review.stress
    up = grid.spot_moves.index(0.1)
    still = grid.vol_moves.index(0.0)
    # Half a unit of a future that rises by 1.65, and some gamma.
    assert grid.pnl[up][still][0] == pytest.approx(
        -500 * (0.5 * 1.65 + 0.5 * 0.09 * 1.65**2), rel=0.1
    )


def test_a_forward_of_its_own_carries_a_share_option():
    """A share that is hard to borrow is revalued with the yield that its options imply."""
    (leg,) = legs.parse("-1 SPY 2026-12-18 550P @9")
    mark = Mark(price=9.0, price_source="mid", iv=0.4, delta=-0.2, gamma=0.01, vega=0.3,
                theta=-0.2, forward=580.0, forward_source="parity", rate=0.045)  # fmt: skip
    book = made_book(positions=[position(leg)])
    book = book.model_copy(update={"marks": {"SPY 2026-12-18 550P": mark}})

    (line,) = lines.lines_of(book, book.positions)

    carried = line.spot * np.exp((line.rate - line.div_yield) * line.tau)
    assert carried == pytest.approx(580.0)
    assert line.underlying == 600.0
