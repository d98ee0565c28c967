"""Tables and summary lines for people: rounded, aligned, honest about what is missing."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tomic.chain import Chain, Fetch
from tomic.models import OptionQuote, RowStatus, Spot, SpotSource, Underlying
from tomic.present import chain as render, palette
from tomic.present.forms import Format


def altered(chain: Chain, **changes) -> Chain:
    """The chain with its first listed row changed."""
    rows: list[OptionQuote] = list(chain.rows())
    at = next(i for i, row in enumerate(rows) if row.status is RowStatus.OK)
    rows[at] = rows[at].model_copy(update=changes)
    return Chain.from_quotes(
        rows,
        underlying=chain.underlying,
        spot=chain.spot,
        as_of=chain.as_of,
        rate=chain.rate,
        data_type=chain.data_type,
        multiplier=chain.multiplier,
        trading_class=chain.trading_class,
        fetch=chain.fetch,
    )


def test_a_wide_table_has_every_column(demo_chain):
    """Calls stand left and puts right of the strike, mirrored, and the money is marked."""
    text, hidden = render.chain_table(demo_chain, width=160)

    header = next(line for line in text.splitlines() if " strike " in line)
    assert hidden == 0
    assert header.split() == [
        "OI", "vol", "bid", "ask", "IV%", "Δ", "Γ", "V", "Θ", "strike",
        "Θ", "V", "Γ", "Δ", "IV%", "ask", "bid", "vol", "OI",
    ]  # fmt: skip
    assert len(re.findall("›590", text)) == len(demo_chain.expiries)
    assert max(len(line) for line in text.splitlines()) <= 160


def test_the_table_starts_with_what_it_is(demo_chain):
    """The first line says symbol, spot and its source, data type, time, class and quality."""
    text, _ = render.chain_table(demo_chain, width=160)

    assert re.fullmatch(
        r"SPY 590\.16 \(last\) · live · 2026-11-20 20:\d\d:\d\d UTC · class SPY · 100% complete",
        text.splitlines()[0],
    )


@pytest.mark.parametrize(("width", "hidden"), [(80, 5), (100, 4), (160, 0), (20, 7)])
def test_columns_give_way_to_a_narrow_screen(demo_chain, width, hidden):
    """The least important columns go first, on both sides; bid and ask stay."""
    text, gone = render.chain_table(demo_chain, width=width)

    assert gone == hidden
    assert text.count("bid") == text.count("ask") == 2 * len(demo_chain.expiries)
    assert "…" not in text
    if width >= 80:
        assert max(len(line) for line in text.splitlines()[2:]) <= width


def test_local_greeks_are_marked(demo_chain):
    """A strike whose IV is ours, not IB's, carries a tilde."""
    before, _ = render.chain_table(demo_chain, width=160)
    after, _ = render.chain_table(altered(demo_chain, greeks_source="local"), width=160)

    assert "~" not in before
    assert after.count("~") == 1


def test_unfinished_rows_say_why(demo_chain):
    """A row that never came shows its status instead of numbers."""
    empty = dict.fromkeys(("bid", "ask", "last", "close", "iv", "delta", "gamma", "vega", "theta"))
    chain = altered(demo_chain, status=RowStatus.TIMEOUT, greeks_source="none", **empty)

    text, _ = render.chain_table(chain, width=160)

    assert text.count("timeout") == 1


def test_unlisted_options_are_not_shown(demo_chain):
    """Strikes that do not exist are counted in the summary and stay out of the table."""
    text, _ = render.chain_table(demo_chain, width=160)

    listed = {
        (row.expiry, row.strike)
        for row in demo_chain.rows()
        if row.status is not RowStatus.UNKNOWN_CONTRACT
    }
    lines = [line for line in text.splitlines() if re.search(r"\d\.\d\d .*\d\.\d\d", line)]
    assert len([line for line in lines if "UTC" not in line]) == len(listed)


def test_summary(demo_chain):
    """Counts, gaps, pace, data type and files stand in one line."""
    fetch = Fetch(seconds=2.0, messages=90, peak_lines=60, retried=0, cut_short=False)
    chain = replace(demo_chain, fetch=fetch)

    text = render.chain_summary(chain, ["a.csv", "b.csv"])

    gaps = ", ".join(f"{n} {name}" for name, n in chain.gaps.items()) or "none"
    assert text == (
        f"SPY: {len(chain)} contracts · {chain.counts[RowStatus.OK]} ok · gaps: {gaps} · 2.0 s · "
        "90 messages, 45.0/s · spot 590.16 (last) · live · a.csv, b.csv"
    )


def test_colour_only_on_request(demo_chain):
    """Escape sequences appear when colour is asked for, and never else."""
    plain, _ = render.chain_table(demo_chain, width=160)
    with palette.on():
        colored, _ = render.chain_table(demo_chain, width=160)

    assert "\x1b[" not in plain
    assert "\x1b[" in colored


def test_times_are_utc(demo_chain):
    """The header's time is the chain's own, whatever the zone of this computer."""
    chain = replace(demo_chain, as_of=dt.datetime(2026, 11, 20, 20, 5, 7, tzinfo=dt.UTC))

    assert "2026-11-20 20:05:07 UTC" in render.chain_header(chain)


def test_an_am_expiry_tells_when_it_is_settled():
    """Under its last trading day stands the day after it, at whose open it is settled."""
    as_of = dt.datetime(2026, 12, 17, 16, 0, tzinfo=dt.UTC)
    quote = OptionQuote(
        expiry=dt.date(2026, 12, 17), dte=0, strike=6000.0, right="C", status=RowStatus.OK
    )
    spx = Underlying(symbol="SPX", con_id=1, sec_type="IND")
    spot = Spot(price=6000.0, source=SpotSource.LAST, as_of=as_of)

    def table(trading_class):
        chain = Chain.from_quotes(
            [quote], underlying=spx, spot=spot, as_of=as_of, rate=0.0, trading_class=trading_class
        )
        return render.chain_table(chain, width=160)[0]

    assert "17 Dec 2026  1 days, settled 18 Dec at the open  (1 strikes)" in table("SPX")
    assert "17 Dec 2026  0 days  (1 strikes)" in table("SPXW")


def test_open_interest_has_a_bar_per_strike(demo_chain):
    """Puts left of calls; the strike nearest to spot is marked, the sums and walls are told."""
    text = render.open_interest_table(demo_chain)

    lines = text.splitlines()
    assert lines[2].split() == ["puts", "strike", "calls"]
    assert sum("›590" in line for line in lines) == 1
    assert max(line.count("█") for line in lines) <= 48
    assert "most puts at 590" in text
    assert "the exchange counted them the evening before" in text


def test_open_interest_of_programs(demo_chain):
    """A row a strike, whole numbers; what is unknown is empty."""
    rows = list(csv.DictReader(io.StringIO(render.open_interests([demo_chain], Format.CSV))))
    document = json.loads(render.open_interests([demo_chain], Format.JSON))

    assert list(rows[0]) == ["symbol", "strike", "puts", "calls"]
    assert len(rows) == len(document["strikes"])
    assert document["symbols"][0]["put_wall"] == 590.0


def test_a_chain_without_open_interest_says_so(demo_chain):
    """No table of nothing."""
    blank = demo_chain.with_columns(open_interest=np.full(len(demo_chain), np.nan))

    assert "no option has an open interest" in render.open_interest_table(blank)
