"""A session that was recorded gives the same chain again, whatever went wrong in it."""

from __future__ import annotations

import pytest

from conftest import FAST, settings_in
from support import virtual_time
from support.recorded_chains import DATA, missing
from tomic.desk import Desk
from tomic.errors import TomicError
from tomic.sim import Gateway, Limits, Profile, faults
from tomic.sim.market.model import ModelMarket

pytestmark = virtual_time.THROUGHOUT

RULES = {"monthlies": 1, "weeklies": 1, "strike_range": "4"}


def rows(chain):
    """The rows without the clock, and without the last digits of what was computed by it."""
    plain = []
    for row in chain.rows():
        values = row.model_dump(exclude={"quoted_at"})
        if row.greeks_source == "local":
            for name in ("iv", "delta", "gamma", "vega", "theta"):
                values[name] = round(values[name], 3)
        plain.append(values)
    return plain


async def recorded(settings, file, gateway=None, **options):
    """A chain and the recording of its session."""
    if gateway is not None:
        ib = {"port": gateway.port, "reconnect_pauses_s": (0.05, 0.05), "connect_timeout_s": 60.0}
        limits = settings.limits.model_copy(update={"messages_per_s": FAST})
        update = {"ib": settings.ib.model_copy(update=ib), "limits": limits}
        settings = settings.model_copy(update=update)
    async with Desk(settings, record=file, command="chain SPY", **options) as desk:
        return await desk.chain(options.pop("symbol", "SPY"))


async def replayed(settings, file, symbol="SPY"):
    ib = settings.ib.model_copy(update={"reconnect_pauses_s": (0.05,), "connect_timeout_s": 60.0})
    async with Desk(settings.model_copy(update={"ib": ib}), replay=file) as desk:
        return await desk.chain(symbol)


async def test_demo_chain_again(tmp_path):
    """Every row of the demo's chain comes back from its recording, over another connection."""
    settings, file = settings_in(tmp_path, chain=RULES), tmp_path / "demo.jsonl.gz"

    first = await recorded(settings, file, demo=True)
    again = await replayed(settings, file)

    assert first.counts == again.counts
    assert rows(first) == rows(again)
    assert first.spot.price == again.spot.price
    assert abs((first.as_of - again.as_of).total_seconds()) < 60.0


FAULTS = {
    "silent": [faults.Silent(share=0.2)],
    "first asked in vain": [faults.Silent(share=0.2, first_n=1)],
    "late": [faults.Late(share=0.2, seconds=0.3)],
    "no greeks": [faults.NoGreeks(share=0.4)],
    "no quotes": [faults.NoQuotes(share=0.4)],
    "refused": [faults.Refuse(share=0.2, code=200), faults.Refuse(share=0.1, code=354)],
    "delayed": [faults.NotSubscribed(code=354)],
    "partly subscribed": [faults.PartiallySubscribed(code=10091)],
    "cut and back": [faults.DropAfter(messages=30)],
    "connectivity": [faults.ConnectivityLost(after=20, restored_after=0.05, code=1101)],
    "garbled": [faults.Garble(after=30, whole_frame=True)],
}


@pytest.mark.parametrize("name", FAULTS)
async def test_faulty_chain_again(tmp_path, name):
    """A fault of the recorded session shows in the replay as it showed then."""
    chain = RULES | {
        "weeklies": 0, "silent_s": 0.1, "quote_timeout_s": 0.6, "deadline_s": 8.0,
    }  # fmt: skip
    settings, file = settings_in(tmp_path, chain=chain), tmp_path / "bug.jsonl"
    limits = Limits().unpaced()
    async with Gateway(
        ModelMarket(seed=1), faults=FAULTS[name], profile=Profile.instant(), limits=limits
    ) as gateway:
        first = await recorded(settings, file, gateway)

    again = await replayed(settings, file)

    assert first.counts == again.counts
    assert rows(first) == rows(again)


async def test_lost_for_good_again(tmp_path):
    """Rows that were lost with the connection are lost in the replay, and no others."""
    chain = RULES | {"deadline_s": 10.0}
    settings, file = settings_in(tmp_path, chain=chain), tmp_path / "bug.jsonl"
    gone = [faults.Restart(after=30, down_for=60.0)]
    async with Gateway(
        ModelMarket(seed=1), faults=gone, profile=Profile.demo(), limits=Limits().unpaced()
    ) as gateway:
        first = await recorded(settings, file, gateway)

    again = await replayed(settings, file)

    assert first.counts["lost"] > 0
    assert first.counts == again.counts


XLF = "tomic_ib_XLF_20250518_sunday_closed.csv"


@pytest.mark.skipif(missing(XLF) is not None, reason=missing(XLF) or "")
async def test_closed_market_again(tmp_path):
    """XLF on a Sunday, itself a replay: frozen rows and the parity spot come back."""
    source = DATA / XLF
    settings, file = settings_in(tmp_path), tmp_path / "xlf.jsonl.gz"
    async with Desk(settings, replay=source, record=file) as desk:
        first = await desk.chain("XLF")

    again = await replayed(settings, file, "XLF")

    assert len(first) == 120
    assert first.data_type == again.data_type == "frozen"
    assert rows(first) == rows(again)
    assert again.spot.source == "parity"


async def test_another_symbol_is_not_in_it(tmp_path):
    """What the recording does not hold is unknown there, at once."""
    settings, file = settings_in(tmp_path, chain=RULES), tmp_path / "demo.jsonl"
    await recorded(settings, file, demo=True)

    with pytest.raises(TomicError, match="QQQ"):
        await replayed(settings, file, "QQQ")


async def test_no_session_no_file(tmp_path):
    """Nothing is written when nothing was connected."""
    file, said = tmp_path / "none.jsonl", []

    async with Desk(settings_in(tmp_path), record=file, watch=said.append) as desk:
        await desk.store()

    assert not file.exists()
    assert "nothing was recorded" in said[-1].text


async def test_accounts_are_masked(tmp_path):
    """The account of the session is nowhere in the file."""
    settings, file = settings_in(tmp_path, chain=RULES), tmp_path / "demo.jsonl"
    await recorded(settings, file, demo=True)

    text = file.read_text(encoding="utf-8")

    assert "DU***567" in text
    assert "DU1234567" not in text
