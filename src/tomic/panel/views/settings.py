"""Settings: every value with where it comes from, changed in the file, and a connection test."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from tomic.config import origins
from tomic.config.text import plain, set_key, toml_text
from tomic.desk import Desk
from tomic.errors import ConfigError
from tomic.panel.views.view import Panel, View
from tomic.panel.widgets.grid import Column, Grid, text_column
from tomic.panel.widgets.lines import Ask, FactLines, LineInput
from tomic.workflows.doctor.ladder import Check


@dataclass(frozen=True, slots=True)
class Setting:
    """One key."""

    key: str
    value: str
    """As TOML writes it."""
    origin: str


_WIDEST = 22


def _short(text: str) -> str:
    """As much as leaves room for the origin on a narrow screen."""
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 2]}.."


COLUMNS: list[Column[Any]] = [
    text_column("key", "key"),
    text_column("value", "value", _short),
    Column(
        "from",
        attrgetter("origin"),
        attrgetter("origin"),
        style=lambda row: "dim" if row.origin == "default" else "bold",
        left=True,
    ),
]
_CHECK_ROWS = 9


def settings_of(config: Path | None) -> list[Setting]:
    """Every setting in effect."""
    return [
        Setting(key, toml_text(plain(value)), source)
        for key, (value, source) in origins(config).items()
    ]


class SettingsView(View):
    """Values, their origin, and the way to the gateway."""

    label = "Settings"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Find", key_display="/"),
        Binding("e", "change", "Change"),
        Binding("t", "test", "Test connection"),
    ]

    class Checked(Message):
        """A check of the connection test ended."""

        def __init__(self, check: Check) -> None:
            super().__init__()
            self.check = check

    _words: tuple[object, ...] = ("config", "show", "--origin")

    def __init__(self, panel: Panel) -> None:
        super().__init__(panel)
        self._rows: list[Setting] = []
        self._checks: list[str] = []
        self.part = LineInput(id="find", hint="part of a key, such as ib.", width=40)
        self.table = Grid(COLUMNS, key=attrgetter("key"), id="settings-table")
        self.checks = FactLines(id="checks", rows=0)

    def body(self) -> ComposeResult:
        """A search line, the table, and the connection test below it."""
        yield self.part
        yield self.table
        yield self.checks

    def action_load(self) -> None:
        """Read all settings again."""
        try:
            rows = settings_of(self.panel.source.config)
        except ConfigError as exc:
            self.show_status(str(exc), failed=True)
            return
        self._words = ("config", "show", "--origin")
        self.show(rows)

    def show(self, rows: list[Setting]) -> None:
        """Fill the table."""
        self._rows = rows
        self._refill()
        changed = sum(row.origin != "default" for row in rows)
        self.show_status(f"{changed} of {len(rows)} settings are not the default")
        self.show_command()

    def _refill(self) -> None:
        part = self.part.value.strip().lower()
        rows = [row for row in self._rows if part in row.key]
        self.table.fill(rows)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show the keys that hold what is typed."""
        event.stop()
        self._refill()

    # -- change ----------------------------------------------------------------------------

    def on_grid_opened(self, message: Grid.Opened) -> None:
        """Change the chosen key."""
        message.stop()
        self._change(message.row)

    def action_change(self) -> None:
        """Change the key under the cursor."""
        row = self.table.pointed
        if row is not None:
            self._change(row)

    def _change(self, row: Setting) -> None:
        def answered(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                self._set(row.key, answer[0])

        title = f"{row.key} (from {row.origin})"
        self.app.push_screen(Ask(title, [("value, as TOML writes it", row.value)]), answered)

    def _set(self, key: str, text: str) -> None:
        config = self.panel.source.config
        try:
            file, written = set_key(key, text, config)
            rows = settings_of(config)
        except ConfigError as exc:
            self.show_status(str(exc), failed=True)
            return
        self.show(rows)
        self._words = ("config", "set", key, text)
        self.show_command()
        now = next(row for row in rows if row.key == key)
        overridden = f"; {now.origin} overrides it" if now.origin != str(file) else ""
        self.show_status(f"{file}: {key} = {toml_text(written)}{overridden}")
        self.run_worker(self.panel.take_settings(), group="settings changed")

    # -- connection test -------------------------------------------------------------------

    def action_test(self) -> None:
        """Climb the ladder of checks, from the socket to option data."""
        self._checks = []
        self._words = ("doctor",)
        self.checks.styles.height = _CHECK_ROWS

        async def ask(desk: Desk) -> int:
            count = 0
            async for check in desk.examine():
                count += check.verdict != "ok"
                self.post_message(self.Checked(check))
            return count

        self.request("testing the connection", ask, self.tested, online=False)

    def on_settings_view_checked(self, message: SettingsView.Checked) -> None:
        """Show a check as soon as it ends."""
        check = message.check
        self._checks.append(f"{check.verdict.value:<5}{check.name:<17}{check.found}")
        if check.fix:
            self._checks.append(f"{'':5}fix: {check.fix}")
        self.checks.show(self._checks[-_CHECK_ROWS:])

    def tested(self, problems: int) -> None:
        """Say how it ended."""
        self.show_status("the connection is sound" if not problems else f"{problems} to look at")
