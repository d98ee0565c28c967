"""A desk over the connection and the store of another one, which keeps both open."""

from __future__ import annotations

from tomic.config import Settings
from tomic.desk.desk import Desk
from tomic.desk.resources import Resources
from tomic.ib.session import Session
from tomic.store import Database
from tomic.workflows.progress import Watcher, ignore


class SharedDesk(Desk):
    """
    For work that follows other work: closing it leaves the connection to *host*.

    Args:
        host: Whose session and store are used; it must be open.
        settings: Its own, with the same gateway and store as the host's; see `fits`.
        watch: As of `Desk`.
    """

    def __init__(self, host: Desk, settings: Settings, *, watch: Watcher = ignore) -> None:
        # Instead of the constructor of Desk, which makes resources to be opened.
        self._held = _SharedResources(host._held, settings, watch)

    @staticmethod
    def fits(host: Desk, settings: Settings) -> bool:
        """Whether *settings* mean the gateway and the store that *host* has open."""
        ours = host.settings
        return (
            settings.ib == ours.ib
            and settings.limits == ours.limits
            and settings.store == ours.store
            and settings.market.realtime_only == ours.market.realtime_only
        )


class _SharedResources(Resources):
    """The session and the store of *host*; deadlines of their own."""

    def __init__(self, host: Resources, settings: Settings, watch: Watcher) -> None:
        super().__init__(settings, host.origin, watch=watch)
        self._host = host

    @property
    def has_session(self) -> bool:
        """Whether the host's session is open."""
        return self._host.has_session

    async def session(self, symbol: str = "") -> Session:
        """The host's session, connected again where it was lost in the meantime."""
        self.check_open()
        async with self._opening:
            if self._session is None:
                session = await self._host.session(symbol)
                session.deadline = self._deadline
                if not session.alive:
                    await session.reconnect(self._deadline)
                self._session = session
            return self._session

    async def store(self) -> Database:
        """The host's store."""
        self.check_open()
        if self._database is None:
            self._database = await self._host.store()
        return self._database
