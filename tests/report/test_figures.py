"""Pictures: what is drawn is what was given, on any background, and nothing else changes."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
from matplotlib import image
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from tomic import dates
from tomic.errors import DataError, UsageError
from tomic.models.journal import Calibration, CalibrationBin, Interval
from tomic.models.review import StressCell, StressGrid
from tomic.models.what_if import WhatIf, WhatIfRow
from tomic.quant import realized
from tomic.report import figures, pictures
from tomic.report.figures import ThemeName, axes_for, theme_named, to_svg
from tomic.store import Bars
from tomic.workflows.volatility.stored import PastDay

PRICE = np.linspace(500.0, 680.0, 181)


def drawn(ax, label):
    """The points of the line with that label."""
    (line,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)


def contrast(one, other):
    """Ratio of luminances as WCAG 2.1 defines it."""
    levels = []
    for colour in (one, other):
        parts = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
        ]
        levels.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(levels) + 0.05) / (min(levels) + 0.05)


@pytest.mark.parametrize(
    ("theme", "paper"),
    [("auto", "#ffffff"), ("auto", "#000000"), ("light", "#ffffff"), ("dark", "#000000")],
)
def test_colours_can_be_read_on_their_background(theme, paper):
    """Text has a contrast of 4.5:1 (WCAG AA), lines of 3:1; `auto` has it on white and black."""
    colours = theme_named(theme)

    assert contrast(colours.ink, paper) >= 4.4
    for line in (*colours.lines[:3], colours.profit, colours.loss):
        assert contrast(line, paper) >= 3.0


def test_unknown_theme_is_named():
    """A theme that does not exist is refused with the ones that do."""
    with pytest.raises(UsageError, match="auto, light, dark"):
        axes_for(None, "sepia")


@pytest.mark.parametrize("theme", get_args(ThemeName))
def test_background_is_transparent(theme):
    """Neither figure nor axes cover the page."""
    ax = figures.payoff(PRICE, PRICE - 590.0, theme=theme)

    assert ax.figure.get_facecolor()[3] == 0.0
    assert ax.patch.get_alpha() == 0.0


@pytest.mark.parametrize(("theme", "paper"), [("auto", 255), ("light", 255), ("dark", 18)])
def test_a_saved_picture_has_a_background(tmp_path, theme, paper):
    """A half transparent area is unreadable where the viewer of a PNG has no paper of its own."""
    ax = figures.payoff(PRICE, PRICE - 590.0, theme=theme)

    figures.save(tmp_path / "ours.png", ax)
    ax.figure.savefig(tmp_path / "own.png")

    for name in ("ours.png", "own.png"):
        corner = image.imread(tmp_path / name)[0, 0]
        assert corner[0] == pytest.approx(paper / 255, abs=0.01)
        assert corner[3] == 1.0


def test_a_page_holds_a_picture_without_a_background(tmp_path):
    """SVG stays as it is, and whoever asks for transparency gets it."""
    ax = figures.payoff(PRICE, PRICE - 590.0)

    figures.save(tmp_path / "page.svg", ax)
    ax.figure.savefig(tmp_path / "clear.png", transparent=True)

    assert (tmp_path / "page.svg").read_text(encoding="utf-8") == to_svg(ax)
    assert image.imread(tmp_path / "clear.png")[0, 0, 3] == 0.0


def test_a_picture_without_a_known_ending_is_refused(tmp_path):
    """The forms that there are, are named."""
    with pytest.raises(UsageError, match=r"\.svg, \.png or \.pdf"):
        figures.save(tmp_path / "x.gif", figures.payoff(PRICE, PRICE - 590.0))


def test_a_missing_day_breaks_its_line():
    """Nothing is interpolated; a value between two gaps is a dot."""
    days = [dt.date(2026, 11, 16) + dt.timedelta(days=n) for n in range(5)]

    ax = figures.by_day(days, {"IV30": [0.1, 0.2, None, 0.3, None], "HV30": [None] * 5})

    _, values = drawn(ax, "IV30")
    assert np.isnan(values).tolist() == [False, False, True, False, True]
    (alone,) = [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert alone == [0.3]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["IV30"]


def test_open_interest_stands_left_and_right():
    """Puts go to the left, calls to the right; what is not known has no bar."""
    ax = figures.by_strike([580.0, 590.0], [100.0, None], [50.0, 70.0], spot=585.0)

    assert [bar.get_width() for bar in ax.patches] == [-100.0, 0.0, 50.0, 70.0]


def test_given_axes_are_drawn_on_and_returned():
    """With *ax* nothing else is made."""
    mine = Figure().subplots()

    assert figures.payoff(PRICE, PRICE - 590.0, ax=mine) is mine


def test_drawing_leaves_pyplot_alone():
    """No picture is registered with pyplot, and pyplot is not even imported."""
    code = (
        "import sys, numpy as np; from tomic.report import figures;"
        "figures.payoff(np.arange(3.0), np.arange(3.0) - 1)._repr_svg_();"
        "print('matplotlib.pyplot' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_missing_matplotlib_is_named_with_its_extra():
    """Without matplotlib the first picture says what to install."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from tomic.errors import UsageError\n"
        "from tomic._drawing import draw\n"
        "try:\n    draw('proposal_payoff', None)\n"
        "except UsageError as exc:\n    print(exc)\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pip install '.[plot]'" in done.stdout


def test_svg_is_the_same_every_time():
    """Two drawings of the same numbers are equal byte for byte, with letters as letters."""
    first, second = (to_svg(figures.payoff(PRICE, PRICE - 590.0, title="A call")) for _ in range(2))

    assert first == second
    assert "A call" in first


def test_payoff_draws_what_it_is_given():
    """Lines, spot and breakevens lie where the numbers say."""
    ax = figures.payoff(
        PRICE,
        PRICE - 590.0,
        before={"today": 0.5 * (PRICE - 590.0)},
        breakevens=[590.0],
        spot=600.0,
    )

    assert_allclose(drawn(ax, "at expiry")[1], PRICE - 590.0)
    assert_allclose(drawn(ax, "today")[1], 0.5 * (PRICE - 590.0))
    texts = {one.get_text() for one in ax.texts}
    assert {"590.00", "spot 600.00"} <= texts


def test_density_stays_behind_and_off_scale():
    """The density has axes of its own behind the payoff, so the payoff keeps its scale."""
    ax = figures.payoff(PRICE, PRICE - 590.0, density=np.full(PRICE.shape, 1e6))

    (behind,) = [one for one in ax.figure.axes if one is not ax]
    assert behind.get_zorder() < ax.get_zorder()
    assert ax.get_ylim()[1] < 1000.0


def test_smile_leaves_out_what_is_missing():
    """Quotes without volatility are not drawn; the fit is drawn as given."""
    strike = np.array([580.0, 590.0, 600.0])
    ax = figures.smile(
        strike, [0.17, np.nan, 0.15], is_call=[False, False, True], fit=(strike, [0.17, 0.16, 0.15])
    )

    assert drawn(ax, "puts")[0].tolist() == [580.0]
    assert drawn(ax, "calls")[0].tolist() == [600.0]
    assert drawn(ax, "fit")[1].tolist() == [0.17, 0.16, 0.15]


def test_term_structure_writes_its_expiries():
    """Every known point carries its expiry."""
    days = [dt.date(2026, 11, 27), dt.date(2026, 12, 18)]
    ax = figures.term_structure([7, 28], [0.14, np.nan], expiries=days, iv30=0.15)

    assert [one.get_text() for one in ax.texts] == ["27 Nov"]
    assert drawn(ax, "IV30 15.0%") == (np.array([30.0]), np.array([0.15]))


def test_cone_draws_bands_and_today():
    """Five quantiles are two bands and a median, with today's volatility on top."""
    close = 100.0 * np.exp(np.cumsum(np.random.default_rng(7).normal(0.0, 0.01, 400)))
    cones = realized.cones(
        lambda n: realized.close_to_close(close, n),
        windows=[20, 60],
        quantiles=(0.05, 0.25, 0.5, 0.75, 0.95),
    )

    ax = figures.hv_cone(cones, iv={21: 0.2})

    assert_allclose(drawn(ax, "today")[1], cones.last)
    assert_allclose(drawn(ax, "median")[1], cones.level[:, 2])
    assert len(ax.collections) == 2


def test_heat_map_prints_every_cell_that_has_a_value():
    """A cell without a value stays empty; zero is in the middle of the colours."""
    ax = figures.stress_heat_map([-0.1, 0.0], [0.0, 0.5], [[-1200.0, np.nan], [0.0, -300.0]])

    assert sorted(one.get_text() for one in ax.texts) == ["-1,200", "-300", "0"]
    assert ax.images[0].get_clim() == (-1200.0, 1200.0)
    assert [one.get_text() for one in ax.get_xticklabels()] == ["-10%", "0%"]


def test_what_if_draws_a_line_a_day():
    """P&L from entry at the prices of the rows; shares alone have no expiry to draw."""
    asked = WhatIf(
        id="SPY-1", symbol="SPY", strategy="iron_condor", currency="EUR", spot=600.0, move=0.0,
        vol=0.2, days=7, change=20.0, pnl=80.0, to_expiry=28.0, horizons=(0.0, 7.0, 28.0),
        rows=(
            WhatIfRow(move=-0.05, price=570.0, change=(-100.0, -150.0, -400.0)),
            WhatIfRow(move=0.0, price=600.0, change=(0.0, 20.0, 220.0)),
        ),
    )  # fmt: skip
    ax = asked.plot()

    assert_allclose(drawn(ax, "in 7 days"), [[570.0, 600.0], [-70.0, 100.0]])
    assert_allclose(drawn(ax, "at expiry"), [[570.0, 600.0], [-320.0, 300.0]])
    assert ax.get_title(loc="left") == "SPY-1 iron condor, volatility +20%"
    with pytest.raises(UsageError, match="shares alone"):
        pictures.what_if(asked.model_copy(update={"to_expiry": None}))


def test_large_heat_map_is_not_written_full():
    """Forty-one moves of the spot are colours only, with zero among the ticks."""
    moves = np.linspace(-0.2, 0.2, 41)
    ax = figures.stress_heat_map(moves, [-0.5, 0.0, 0.5], np.outer(moves, [1.0, 2.0, 3.0]))

    assert len(ax.texts) == 0
    assert "0%" in [one.get_text() for one in ax.get_xticklabels()]


def test_proposal_is_worth_its_figures_at_expiry(proposal):
    """The curve of a drawn proposal touches max profit, max loss and zero at its breakevens."""
    price, profit = drawn(proposal.plot(), "at expiry")

    assert profit.max() == pytest.approx(proposal.max_profit)
    assert profit.min() == pytest.approx(-proposal.max_loss)
    for level in proposal.breakevens:
        assert profit[price == level] == pytest.approx(0.0, abs=1e-9)


def test_proposal_costs_its_costs_today(proposal):
    """At today's spot, marked to mid, a trade has lost what it cost to enter."""
    price, profit = drawn(proposal.plot(), "today")

    at_spot = float(profit[price == proposal.spot][0])
    assert at_spot == pytest.approx(proposal.credit - proposal.credit_mid, abs=2.0)


def test_lines_converge_to_expiry(proposal):
    """A day before expiry the revalued line lies near the payoff, away from the strikes."""
    ax = proposal.plot(days=27)
    price, late = drawn(ax, "in 27 days")
    _, end = drawn(ax, "at expiry")

    away = np.min(np.abs(price[:, None] - [550.0, 560.0, 620.0, 630.0]), axis=1) > 20.0
    assert_allclose(late[away], end[away], atol=12.0)


def test_proposal_refuses_days_after_expiry(proposal):
    """A line after the first expiry is refused."""
    with pytest.raises(UsageError, match="between 0 and 28"):
        proposal.plot(days=29)


def test_proposal_without_volatility_shows_expiry_only(proposal):
    """Where a leg has no volatility only the payoff at expiry is drawn."""
    blind = proposal.legs[0].model_copy(update={"iv": None})
    bare = proposal.model_copy(update={"legs": (blind, *proposal.legs[1:])})

    labels = {line.get_label() for line in bare.plot().lines}
    assert "at expiry" in labels
    assert "today" not in labels


def test_chain_draws_the_smile_that_tomic_fits(demo_chain):
    """Out-of-the-money quotes of the expiry nearest 30 days lie on the fit within their spread."""
    ax = demo_chain.plot_smile()

    strike, fitted = drawn(ax, "fit")
    for label in ("puts", "calls"):
        k, iv = drawn(ax, label)
        assert_allclose(np.interp(k, strike, fitted), iv, atol=0.01)


def test_chain_refuses_an_expiry_it_does_not_have(demo_chain):
    """The message names the expiries that there are."""
    with pytest.raises(UsageError, match=str(demo_chain.expiries[0])):
        demo_chain.plot_smile(dt.date(2020, 1, 17))


def test_chain_draws_a_point_per_expiry(demo_chain):
    """The term structure has every expiry of the chain."""
    ax = demo_chain.plot_term_structure()

    assert len(ax.lines[0].get_xdata()) == len(demo_chain.expiries)


def test_cone_needs_bars():
    """Too few bars are refused with the command that fetches them."""
    bars = Bars.from_rows("SPY", [("2026-11-20", 1.0, 2.0, 0.5, 1.5, 9.0)])

    with pytest.raises(DataError, match="tomic prices"):
        pictures.volatility_cone(bars)


def test_stress_grid_is_drawn_by_day():
    """The heat map shows the day asked for, and refuses a day the grid does not have."""
    grid = StressGrid(
        name="book",
        spot_moves=(-0.1, 0.0),
        vol_moves=(0.0,),
        days=(0, 7),
        pnl=(((-100.0, -90.0),), ((0.0, 25.0),)),
        worst=StressCell(spot_move=-0.1, vol_move=0.0, days=0, pnl=-100.0),
    )

    ax = pictures.stress_heat_map(grid, days=7)

    assert sorted(one.get_text() for one in ax.texts) == ["-90", "25"]
    with pytest.raises(UsageError, match="0, 7"):
        pictures.stress_heat_map(grid, days=3)


def test_calibration_is_drawn_with_its_counts():
    """Bins that hold something are points, with the number of forecasts beside each."""
    measured = Calibration(
        what="trades",
        n=12,
        clusters=6,
        bins=(
            CalibrationBin(low=0.6, high=0.7, n=12, forecast=0.66, hit=Interval(value=0.5)),
            CalibrationBin(low=0.7, high=0.8, n=0, forecast=0.75, hit=Interval()),
        ),
        brier=Interval(),
        bias=Interval(),
    )

    ax = pictures.calibration(measured)

    assert [one.get_text() for one in ax.texts] == ["12"]
    assert ax.lines[1].get_xdata().tolist() == [0.66]


def past(count=40, **fields):
    """Trading days with a close and an IV30, but for the tenth."""
    days = dates.trading_days(dt.date(2026, 1, 5), dt.date(2026, 6, 30))[:count]
    every = [PastDay(day, 100.0 + n, iv30=0.2, **fields) for n, day in enumerate(days)]
    return every[:10] + every[11:]


def test_history_shows_what_is_stored():
    """A section a subject; without a chain there is none of skew and terms."""
    ax = pictures.volatility_history("SPY", past())
    whole = pictures.volatility_history("SPY", past(iv_rank=0.5, skew=-0.05))

    _, closes = drawn(ax, "close")
    assert len(closes) == 40
    assert np.flatnonzero(np.isnan(closes)).tolist() == [10]
    assert len(ax.figure.axes) == 2
    assert [one.get_title(loc="left")[:5] for one in whole.figure.axes] == [
        "SPY: ", "volat", "place", "point",
    ]  # fmt: skip
    with pytest.raises(DataError, match="tomic prices SPY"):
        pictures.volatility_history("SPY", [])


def test_open_interest_of_a_chain_is_drawn_by_strike(demo_chain):
    """All expiries together, or one; a chain without any says so."""
    ax = pictures.chain_open_interest(demo_chain)
    one = pictures.chain_open_interest(demo_chain, demo_chain.expiries[0])

    assert len(ax.patches) == 2 * len(np.unique(demo_chain["strike"]))
    assert str(demo_chain.expiries[0]) in one.get_title(loc="left")
    blank = demo_chain.with_columns(open_interest=np.full(len(demo_chain), np.nan))
    with pytest.raises(DataError, match="no option of this chain has an open interest"):
        pictures.chain_open_interest(blank)
