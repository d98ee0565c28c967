"""What workflows work with: session, stand-in for TWS, store, web visits and recording."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tomic import disk
from tomic.config import IbSettings, Settings
from tomic.errors import UsageError
from tomic.ib.session import Session
from tomic.store import Database
from tomic.workflows import stand_in
from tomic.workflows.progress import Event, Watcher, ignore

if TYPE_CHECKING:
    from tomic.web import Visits
    from tomic.workflows.recording import SessionRecording

_DEMO_PACE = 1000.0
"""Messages a second towards the demo gateway, which by default has no limit."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where quotes come from: TWS or, with *demo* or *replay*, the built-in gateway."""

    demo: bool = False
    replay: Path | str | None = None
    as_of: dt.datetime | None = None
    paced: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        if self.demo and self.replay is not None:
            raise UsageError("demo and replay exclude each other; give one of them")

    @property
    def simulated(self) -> bool:
        """Whether the built-in gateway is used."""
        return self.demo or self.replay is not None


class Resources:
    """
    Each is opened on first need; all close together.

    Args:
        settings, began, watch: As of `Desk`.
        origin: What the session connects to.
        recording: Told what the session receives and asks.
        simulated_store: Where a demo or replay keeps its store; by default it has one only while it
            runs.
    """

    def __init__(
        self,
        settings: Settings,
        origin: Origin,
        *,
        recording: SessionRecording | None = None,
        simulated_store: Path | None = None,
        replay_store: Path | None = None,
        began: float | None = None,
        watch: Watcher = ignore,
    ) -> None:
        self.settings, self.origin, self.recording, self.watch = settings, origin, recording, watch
        self.stand_in: stand_in.StandIn | None = None
        """What stands in for TWS, once it listens."""
        self._simulated_store, self._began = simulated_store, began
        self.replay_store = replay_store
        """Where the scans of a replay are kept; None for nowhere."""
        self._is_open = False
        self._stack = AsyncExitStack()
        self._session: Session | None = None
        self._database: Database | None = None
        self._own: Database | None = None
        self._web: Visits | None = None
        self._opening, self._storing = asyncio.Lock(), asyncio.Lock()
        self._starts: float | None = None
        """Since when the first call has its time, if not since its own start."""
        self._deadline: float | None = None
        """Of the call that began last; what is connected meanwhile keeps to it."""
        self._sharing, self._shared_deadline = 0, 0.0
        self._computing, self._stopped = False, False

    def open(self) -> None:
        """Allow what follows to be opened, and start the clock; opening twice changes nothing."""
        if not self._is_open:
            self._is_open = True
            self.start_clock()

    async def close(self) -> None:
        """Close what is open, the last one first, and write the recording; twice is allowed."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._stack.aclose()
        finally:
            self._session = self._database = self._own = self.stand_in = None
            if self.recording is not None:
                self.note(self.recording.write())

    def check_open(self) -> None:
        """
        Refuse to open anything that nobody would close.

        Raises:
            UsageError: The desk was not opened, or is closed.
        """
        if not self._is_open:
            raise UsageError(
                "the desk is not open; write async with tomic.Desk() as desk: around what it is to "
                "do, or await desk.open() before and await desk.close() after"
            )

    def serves(self, settings: Settings) -> bool:
        """Whether *settings* mean the gateway and the store that are open here."""
        ours = self.settings
        return (
            settings.ib == ours.ib
            and settings.limits == ours.limits
            and settings.store == ours.store
            and settings.market.realtime_only == ours.market.realtime_only
        )

    def note(self, text: str) -> None:
        """Tell the watcher something that belongs to no symbol."""
        self.watch(Event("note", "", text))

    # -- deadlines -------------------------------------------------------------------------

    def start_clock(self) -> None:
        """
        Let the first call have what is left of its time since *began*, where that is given.

        Later ones, and all of a desk that no command opened, have their time from their own start.
        """
        now = asyncio.get_running_loop().time()
        self._starts = self._began
        since = now if self._began is None else self._began
        self._deadline = since + self.settings.chain.deadline_s

    def take_deadline(self, seconds: float | None = None) -> float:
        """
        When the call that begins now must have ended, on the loop's clock.

        Taken once a call, whatever it asks of however many symbols: ``chain.deadline_s``, or
        *seconds*, is the time of all of it.
        """
        starts, self._starts = self._starts, None
        if starts is None:
            starts = asyncio.get_running_loop().time()
        deadline = starts + (self.settings.chain.deadline_s if seconds is None else seconds)
        self._deadline = deadline
        if self._session is not None:
            self._session.deadline = deadline
        return deadline

    @contextmanager
    def sharing_deadline(self, seconds: float) -> Iterator[float]:
        """The deadline of parts that are asked at once: the first takes it, the others share it."""
        if self._sharing == 0:
            self._shared_deadline = self.take_deadline(seconds)
        self._sharing += 1
        try:
            yield self._shared_deadline
        finally:
            self._sharing -= 1

    def waive_deadline(self) -> None:
        """Let the call that begins now take as long as it needs, reconnecting included."""
        self._starts = self._deadline = None
        if self._session is not None:
            self._session.deadline = None

    # -- session ---------------------------------------------------------------------------

    @property
    def has_session(self) -> bool:
        """Whether the session is open."""
        return self._session is not None

    async def session(self, symbol: str = "") -> Session:
        """
        The session; *symbol* names what a recorded chain holds.

        Raises:
            SessionError: The gateway cannot be reached.
            BadFile: The recording cannot be used.
            UsageError: The desk is not open.
        """
        self.check_open()
        async with self._opening:
            if self._session is None:
                self._session = await self._open_session(symbol)
            return self._session

    async def _open_session(self, symbol: str) -> Session:
        ib, pace = await self.gateway(symbol)
        now, deadline = asyncio.get_running_loop().time(), self._deadline
        session = await self._stack.enter_async_context(
            Session(
                ib,
                self.settings.limits,
                on_note=self.note,
                tap=self.recording.recorder if self.recording is not None else None,
                realtime_only=self.settings.market.realtime_only,
                pace=pace,
                # That of an earlier call is none of this one's.
                deadline=deadline if deadline is not None and deadline > now else None,
            )
        )
        for text in self.stand_in.notes if self.stand_in is not None else ():
            session.note(text)
        return session

    async def gateway(self, symbol: str = "") -> tuple[IbSettings, float | None]:
        """Where the gateway is and its own pace, if any; what stands in for TWS is started."""
        self.check_open()
        ib = self.settings.ib
        if not self.origin.simulated:
            return ib, None
        if self.stand_in is None:
            server = _stand_in(self.origin, symbol)
            await self._stack.enter_async_context(server.server)
            # Only now: whoever is cancelled while it starts must not leave one without a port.
            self.stand_in = server
        address = {"host": "127.0.0.1", "port": self.stand_in.server.port}
        return ib.model_copy(update=address), None if self.origin.paced else _DEMO_PACE

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` stopped a fetch, or what is computed."""
        return self._stopped or (self._session is not None and self._session.interrupted)

    def interrupt(self) -> bool:
        """Stop what is fetched or computed and keep what is there; False when nothing is."""
        if self._computing and not self._stopped:
            self._stopped = True
            return True
        if self._session is None or self._session.interrupted:
            return False
        self._session.interrupt()
        return True

    @contextmanager
    def computing(self) -> Iterator[None]:
        """While inside, `interrupt` stops what asks `interrupted` before each of its steps."""
        self._computing, self._stopped = True, False
        try:
            yield
        finally:
            self._computing = False

    def clock_now(self) -> dt.datetime:
        """The gateway's time while connected, else that of the computer."""
        return self._session.clock_now() if self._session else dt.datetime.now(dt.UTC)

    # -- store and web ---------------------------------------------------------------------

    async def store(self) -> Database:
        """The store; a demo or replay has its own, by default while it runs."""
        self.check_open()
        async with self._storing:
            if self._database is None:
                path = self.settings.store.path
                if self.origin.simulated and self._simulated_store is not None:
                    path = self._simulated_store
                elif self.origin.simulated:
                    folder = self._stack.enter_context(disk.temporary_folder())
                    path = folder / "demo.db"
                self._database = await self._opened(path)
            return self._database

    async def own_store(self) -> Database:
        """The store of the settings, beside that of a replay."""
        self.check_open()
        async with self._storing:
            if self._own is None:
                self._own = await self._opened(self.settings.store.path)
            return self._own

    async def _opened(self, path: Path) -> Database:
        database = Database(path, busy_timeout_s=self.settings.store.lock_wait_s)
        return await self._stack.enter_async_context(database)

    def visits(self) -> Visits | None:
        """Visits to public pages; None where the settings forbid them."""
        if self.settings.web.enabled and self._web is None:
            from tomic.web import Visits

            self._web = Visits(self.settings.web, self.settings.store.path.parent / "web")
        return self._web


class SharedResources(Resources):
    """
    The session and the store of *host*, which keeps both open; deadlines of their own.

    Args:
        settings: With the same gateway and store as the host's; see `Resources.serves`.
    """

    def __init__(self, host: Resources, settings: Settings, *, watch: Watcher = ignore) -> None:
        super().__init__(settings, host.origin, replay_store=host.replay_store, watch=watch)
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


def _stand_in(origin: Origin, symbol: str) -> stand_in.StandIn:
    if origin.replay is None:
        return stand_in.demo(seed=origin.seed, paced=origin.paced)
    return stand_in.replay(origin.replay, symbol, as_of=origin.as_of, paced=origin.paced)
