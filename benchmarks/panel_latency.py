"""
The panel: how long a key takes to be answered, at rest and while three chains come at IB's pace.

A key is answered when its view is the one that is shown and the screen has been drawn with it.
Beside it, in turns, the same key in an empty Textual application with as many views: what no panel
can do without. The processor time is that of the panel's own thread from the key to the view, and
says the same on a machine that has other things to do.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias

from benchmarks.figures import Limit, Peer, Row, Sample, figure
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, Footer, Static

from tomic.config import Settings
from tomic.panel.app import VIEWS, PanelApp, PanelSource
from tomic.panel.background import prompt

ROUNDS = 5
SYMBOLS = ("SPY", "QQQ", "IWM")
ASKED_MS, ASKED_WORST_MS, ASKED_FIRST_MS = 33, 80, 700
SIZE = (120, 40)
FRAME_MS = 1e3 / 60
"""Textual draws sixty frames a second."""
_KEYS = tuple(str(number) for number in range(1, len(VIEWS) + 1))
_CHAIN = {"monthlies": 3, "weeklies": 4, "strike_range": "10"}
_PATIENCE_S = 120.0


class Press(NamedTuple):
    """One key: milliseconds until its view was drawn, and of processor time spent on that."""

    wall: float
    cpu: float


Work: TypeAlias = Callable[[Pilot[Any]], Awaitable[Any]]


class Bare(App[None]):
    """As many views as the panel has, each a line of text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding(key, f"view('v{key}')") for key in _KEYS]

    def compose(self) -> ComposeResult:
        """The views and a footer."""
        with ContentSwitcher(initial="v1"):
            for key in _KEYS:
                yield Static(key, id=f"v{key}")
        yield Footer()

    def action_view(self, name: str) -> None:
        """Show one of them."""
        self.query_one(ContentSwitcher).current = name


def run() -> list[Row]:
    """Measure in an empty folder."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return asyncio.run(_measured())
        finally:
            os.chdir(before)


async def _measured() -> list[Row]:
    opened, opened_bare = [], []
    with prompt():
        for _ in range(ROUNDS):
            for make, found in ((_panel, opened), (Bare, opened_bare)):
                began, at = time.perf_counter(), time.thread_time()
                async with _running(make()):
                    wall, cpu = time.perf_counter() - began, time.thread_time() - at
                    found.append(Press(wall * 1e3, cpu * 1e3))
        async with Kept(_panel()) as panel, Kept(Bare()) as bare:
            # The first visit of a view builds it, and asks the gateway for what it shows.
            first = await panel.do(_pressed)
            await panel.do(_rested)
            await bare.do(_pressed)
            idle, plain = [], []
            for _ in range(ROUNDS):
                idle += await panel.do(_pressed)
                plain += await bare.do(_pressed)
            busy, loads = await panel.do(_while_fetching)
    coming = f"{loads} x {len(SYMBOLS)} chains coming"
    return [
        *_rows("until the first view is drawn", opened, opened_bare, f"<= {ASKED_FIRST_MS}"),
        *_rows("first visit of a view", first, plain, ""),
        *_rows("key to view, at rest", idle, plain, _ASKED),
        *_rows(f"key to view, {coming}", busy, plain, _ASKED),
    ]


_ASKED = f"<= {ASKED_MS}, worst {ASKED_WORST_MS}"


def _rows(name: str, times: list[Press], plain: list[Press], asked: str) -> list[Row]:
    """What the user waits for, and the part of it that is the panel's own."""
    peer, frame = (
        f"Textual {version('textual')}, empty views",
        Limit("one frame of Textual's", FRAME_MS),
    )
    rows = []
    for field, what, wish in (("wall", "", asked), ("cpu", ", processor time", "")):
        mine, theirs = (
            Sample(tuple(getattr(press, field) for press in presses)) for presses in (times, plain)
        )
        rows.append(
            figure(
                f"panel: {name}{what}",
                mine,
                "ms",
                asked=wish,
                peer=Peer(peer, theirs),
                limit=frame if field == "wall" else None,
            )
        )
    return rows


def _panel() -> PanelApp:
    settings = {"chain": _CHAIN, "market": {"symbols": list(SYMBOLS)}, "web": {"enabled": False}}
    return PanelApp(PanelSource(demo=True, paced=True), settings=Settings.model_validate(settings))


@asynccontextmanager
async def _running(app: App[None]) -> AsyncIterator[Pilot[Any]]:
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        yield pilot


class Kept:
    """
    A running application that does one thing after the other.

    It lives in a task, and so in a context, of its own: Textual looks there for the application
    that is meant, and two of them are to take turns.
    """

    def __init__(self, app: App[None]) -> None:
        self._app = app
        self._asked: asyncio.Queue[tuple[Work | None, asyncio.Future[Any]]] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._asked.put_nowait((None, asyncio.get_running_loop().create_future()))
        await self._task

    async def do(self, work: Work) -> Any:
        """What *work* returns."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((work, answer))
        await asyncio.wait([answer, self._task], return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            self._task.result()
        return answer.result()

    async def _serve(self) -> None:
        async with _running(self._app) as pilot:
            while True:
                work, answer = await self._asked.get()
                if work is None:
                    return
                answer.set_result(await work(pilot))


async def _rested(pilot: Pilot[Any]) -> None:
    """Wait until no view is at work."""
    end = time.perf_counter() + _PATIENCE_S
    # Work that ends may be followed by other work: what is stored comes first.
    while time.perf_counter() < end and any(pilot.app.view(one).working for one in VIEWS):
        await pilot.pause(0.1)


async def _pressed(pilot: Pilot[Any]) -> list[Press]:
    """From each key to the next screen with its view, once around all views."""
    times, app, shown = [], pilot.app, asyncio.Event()
    switcher = app.screen_stack[0].query_one("Stage, ContentSwitcher", ContentSwitcher)
    app.watch(switcher, "current", shown.set, init=False)
    # The view that is there now comes last: its key would change nothing.
    names = [view.label.lower() for view in VIEWS] if isinstance(app, PanelApp) else _BARE
    now = names.index(switcher.current or names[-1]) + 1
    for key in (*_KEYS[now:], *_KEYS[:now]):
        drawn = asyncio.Event()
        shown.clear()
        began, at = time.perf_counter(), time.thread_time()
        app.post_message(events.Key(key, key))
        async with asyncio.timeout(_PATIENCE_S):
            await shown.wait()
            app.screen.call_after_refresh(drawn.set)
            await drawn.wait()
        wall, cpu = time.perf_counter() - began, time.thread_time() - at
        times.append(Press(wall * 1e3, cpu * 1e3))
        await pilot.pause()
    return times


_BARE = [f"v{key}" for key in _KEYS]


async def _while_fetching(pilot: Pilot[Any]) -> tuple[list[Press], int]:
    """Keys while chains come, again and again; and how many times that was."""
    panel, times, loads = pilot.app, [], 0
    assert isinstance(panel, PanelApp)
    while len(times) < ROUNDS * len(_KEYS):
        loads += 1
        coming = asyncio.create_task(panel.background.run(lambda desk: desk.chains(SYMBOLS)))
        while not coming.done() and len(times) < ROUNDS * len(_KEYS):
            times += await _pressed(pilot)
        coming.cancel()
        await asyncio.wait([coming])
    return times, loads
