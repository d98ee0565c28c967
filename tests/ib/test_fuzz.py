"""Mutated and truncated messages: nothing crashes, hangs or puts a wrong number into a row."""

from __future__ import annotations

import math
import random
import struct
from functools import cache

from hypothesis import HealthCheck, given, strategies as st

from support import virtual_time
from support.properties import examples
from support.simulated import fetch, running
from tomic.errors import TomicError
from tomic.ib import convert
from tomic.sim import faults

FEW = {"monthlies": 0, "weeklies": 1, "strike_range": "2"}
QUIET = examples(12, suppress_health_check=list(HealthCheck))


def framed(fields: list[str]) -> bytes:
    """One message as it travels."""
    body = "".join(f"{field}\0" for field in fields).encode(errors="replace")
    return struct.pack(">I", len(body)) + body


odd_fields = st.lists(
    st.one_of(
        st.sampled_from(["", "-1", "nan", "inf", "1.7976931348623157E308", "9" * 40, "\x01"]),
        st.integers(-5, 200).map(str),
        st.text(max_size=8).filter(lambda text: "\0" not in text),
    ),
    max_size=18,
)
"""What a field can be that no gateway would send."""


@QUIET
@given(st.lists(st.tuples(st.integers(0, 110), odd_fields), max_size=15))
def test_odd_messages_end_no_session(messages):
    """Whatever a well-framed message holds, the next question is answered."""

    async def scenario():
        async with running() as run:
            connection = next(iter(run.gateway.clients))
            for kind, fields in messages:
                # 4 is an error message, whose codes do have consequences on purpose.
                if kind != 4:
                    connection.write(framed([str(kind), *fields]))
            contract = convert.stock_contract("SPY")
            found = await run.session.ask(
                "details",
                lambda client, req_id: client.reqContractDetails(req_id, contract),
                timeout_s=5.0,
            )
            return len(found)

    assert virtual_time.run(scenario) >= 1


def test_a_spoiled_tick_spoils_no_question():
    """Market data answer no question, though they name the id of one that is open."""

    async def scenario():
        async with running() as run:
            connection = next(iter(run.gateway.clients))
            contract = convert.stock_contract("SPY")

            def send(client, req_id):
                for kind in (1, 2, 21, 45, 46, 57, 58, 81):
                    connection.write(framed([str(kind), "6", str(req_id), "x"]))
                client.reqContractDetails(req_id, contract)

            return len(await run.session.ask("details", send, timeout_s=5.0))

    assert virtual_time.run(scenario) >= 1


@cache
def clean_run():
    """A run of the same rules without any fault."""
    return fetch(rules=FEW)


@QUIET
@given(st.integers(5, 60), st.sampled_from(["garble", "truncate"]), st.booleans())
def test_a_spoiled_stream_costs_no_wrong_number(after, kind, whole):
    """Rows of a run whose bytes were spoiled are those of a clean run, or are missing."""
    fault = (
        faults.Truncate(after=after)
        if kind == "truncate"
        else faults.Garble(after=after, whole_frame=whole)
    )

    got = fetch(fault, rules=FEW, timeout=30.0)

    assert got.seconds <= 32.0
    if got.error is not None:
        assert isinstance(got.error, TomicError)
        return
    expected = {(row.expiry, row.strike, row.right): row for row in clean_run().chain.rows()}
    for row in got.chain.rows():
        twin = expected[row.expiry, row.strike, row.right]
        if row.status == "ok":
            assert math.isclose(row.bid, twin.bid, rel_tol=0.2, abs_tol=0.2)
            assert 0.01 < row.iv < 3.0
            assert row.con_id in (None, twin.con_id)


@QUIET
@given(st.integers(0, 2**32))
def test_ticks_for_other_ids_change_nothing(seed):
    """Prices for ids that were never asked for reach no row."""
    rng = random.Random(seed)

    async def stray(run):
        connection = next(iter(run.gateway.clients))
        for _ in range(50):
            connection.write(
                framed(["1", "6", str(rng.randrange(10**5, 10**6)), "1", "9", "1", ""])
            )

    got = fetch(before=stray, rules={"monthlies": 0, "weeklies": 1, "strike_range": "1"})

    assert got.chain.completeness == 1.0
