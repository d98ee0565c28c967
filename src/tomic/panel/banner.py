"""A lost connection is a line on the screen, not the end of the panel."""

from __future__ import annotations

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget


class Banner(Widget):
    """Shown while the gateway cannot be reached; one or two lines."""

    reason = reactive("", layout=True)

    def watch_reason(self, reason: str) -> None:
        """Appear with a reason, go without one."""
        self.display = bool(reason)

    def on_mount(self) -> None:
        """Start unseen."""
        self.display = bool(self.reason)

    def render(self) -> Text:
        """What is wrong, and the key that tries again."""
        return Text(f"no connection: {self.reason}  [r: try again]", style="bold")
