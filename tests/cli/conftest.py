"""Every command starts in an empty folder, with an empty home."""

from __future__ import annotations

import pytest

from support.clean_home import make_clean_home


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)
