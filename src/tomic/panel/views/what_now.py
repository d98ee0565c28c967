"""What now: the alternatives of one position, as `tomic manage` judges them, over any view."""

from __future__ import annotations

from tomic.desk import Desk
from tomic.models.review import Structure
from tomic.panel.views.view import TextSheet, View, folded
from tomic.present import manage as present
from tomic.present.forms import Format
from tomic.present.text import reasons
from tomic.workflows.journal.manage import ManageRun

_MARGIN = 4
"""Cells of the screen at the sides of a page."""


def show_what_now(view: View, which: str) -> None:
    """Show what can be done with a position, the best first, each with its reason."""
    panel = view.panel
    command = panel.source.command("manage", which)

    async def ask(desk: Desk) -> ManageRun:
        return await desk.manage(which)

    def show(run: ManageRun) -> None:
        view.show_lost(run.errors.values())
        width = panel.size.width - _MARGIN
        notes = [*reasons(run.errors.items()), *run.notes]
        page = present.shown(run, Format.TABLE, whole=True, width=width)
        text = folded("\n".join([page, *(f"note: {note}" for note in notes)]), width)
        view.show_status(panel.joined(notes))
        panel.push_screen(TextSheet(f"What now: {which}", text, command, wide=True))

    view.request(f"judging what to do with {which}", ask, show)


def name_of(structure: Structure) -> str:
    """What `tomic manage` calls a structure: the number of its entry where the journal has it."""
    return structure.link if structure.source == "journal" and structure.link else structure.id
