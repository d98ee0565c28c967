"""A desk over another one's connection: one session for both, which outlives the guest."""

from __future__ import annotations

import asyncio

from tomic.desk import Desk


def on(settings, gateway, **ib):
    """*settings* for this gateway."""
    section = settings.ib.model_copy(update={"port": gateway.port, **ib})
    return settings.model_copy(update={"ib": section})


async def test_guests_use_the_connection_of_their_host(settings, gateway):
    """Two guests after each other see the host's session and store, and leave both open."""
    async with Desk(on(settings, gateway)) as host:
        async with host.sharing(host.settings) as first:
            session, store = await first.session(), await first.store()
        async with host.sharing(host.settings) as second:
            assert await second.session() is session
            assert await second.store() is store
            assert second.has_session
        assert session.alive

    assert gateway.connections == 1


async def test_a_lost_connection_is_made_again(settings, gateway):
    """What cut the line between two steps costs a new connection and nothing else."""
    async with Desk(on(settings, gateway, reconnect_pauses_s=(0.02,))) as host:
        session = await host.session()
        for client in list(gateway.clients):
            client.drop()
        for _ in range(60_000):
            if not session.alive:
                break
            await asyncio.sleep(0.001)

        async with host.sharing(host.settings) as guest:
            again = await guest.session()

        assert again.alive

    assert gateway.connections == 2


async def test_only_the_same_gateway_and_store_are_shared(settings, gateway):
    """Another client id, another store or a refusal of delayed data needs its own connection."""
    mine = on(settings, gateway)
    async with Desk(mine) as host:
        other_store = settings.store.model_copy(update={"lock_wait_s": 1.0})
        strict = settings.market.model_copy(update={"realtime_only": True})
        narrow = settings.chain.model_copy(update={"weeklies": 0})

        assert host.sharing(mine.model_copy(update={"chain": narrow}))
        assert not host.sharing(on(settings, gateway, client_id=300))
        assert not host.sharing(mine.model_copy(update={"store": other_store}))
        assert not host.sharing(mine.model_copy(update={"market": strict}))
