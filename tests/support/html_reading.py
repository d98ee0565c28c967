"""Reading a report as a browser would: its cells, its tags, and the document inside."""

from __future__ import annotations

import json
from html.parser import HTMLParser


class Read(HTMLParser):
    """What a browser would see: cells, tags with their attributes, the embedded document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[tuple[str, str, object, str]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self._cell: dict[str, str | None] | None = None
        self._text = ""
        self._in_data = False
        self.feed(text)
        self.document = json.loads(self.data)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append((tag, given))
        if "data-value" in given:
            self._cell, self._text = given, ""
        self._in_data = tag == "script" and given.get("id") == "document"

    def handle_data(self, data):
        if self._in_data:
            self.data += data
        self._text += data

    def handle_endtag(self, tag):
        if tag == "script":
            self._in_data = False
        if self._cell is not None and tag in ("td", "dd"):
            cell = self._cell
            self.cells.append(
                (cell["data-at"], cell["data-kind"], json.loads(cell["data-value"]), self._text)
            )
            self._cell = None
