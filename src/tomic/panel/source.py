"""Where the panel's data come from, and the commands that give the same from there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KNOWS: Mapping[str, tuple[str, ...]] = {
    "chain": ("--demo", "--paced", "--replay", "--config"),
    "config set": ("--config",),
    "config show": ("--demo", "--config"),
    "doctor": ("--demo", "--replay", "--config"),
    "journal add": ("--demo", "--config"),
    "journal check": ("--demo", "--replay", "--config"),
    "journal close": ("--demo", "--config"),
    "journal import": ("--demo", "--config"),
    "journal note": ("--demo", "--config"),
    "journal show": ("--demo", "--config"),
    "journal snapshot": ("--demo", "--config"),
    "journal stats": ("--demo", "--config"),
    "manage": ("--demo", "--paced", "--replay", "--config"),
    "portfolio": ("--demo", "--paced", "--config"),
    "prices": ("--demo", "--paced", "--config"),
    "scan": ("--demo", "--paced", "--replay", "--config"),
    "show": ("--demo", "--config"),
    "store check": ("--demo", "--config"),
    "store info": ("--demo", "--config"),
    "vol": ("--demo", "--paced", "--config"),
    "why-not": ("--demo", "--replay", "--config"),
}
"""Which of the options that say where data come from each command has."""


@dataclass(frozen=True, slots=True)
class PanelSource:
    """Where the panel's data come from, as given on the command line."""

    demo: bool = False
    replay: Path | None = None
    config: Path | None = None
    paced: bool = False

    @property
    def name(self) -> str:
        """In a word; empty for the gateway of the settings."""
        return "demo" if self.demo else "replay" if self.replay else ""

    def command(self, *words: object) -> str:
        """
        A `tomic` command as typed in a shell, over the same data; empty words are left out.

        A command that cannot be had over the same data says so in a comment.
        """
        typed = [str(word) for word in words if word not in (None, "")]
        known = KNOWS.get(" ".join(typed[:2])) or KNOWS[typed[0]]
        given: dict[str, list[str]] = {
            "--demo": ["--demo"] if self.demo else [],
            "--paced": ["--paced"] if self.demo and self.paced else [],
            "--replay": ["--replay", str(self.replay)] if self.replay else [],
            "--config": ["--config", str(self.config)] if self.config else [],
        }
        options = [word for name in known for word in given[name]]
        line = shlex.join(["tomic", *typed, *options])
        if self.replay is not None and "--replay" not in known and "--demo" in known:
            return f"{line}  # plays no recording"
        return line
