"""What every test of the settings starts from."""

from __future__ import annotations

import pytest

from support.clean_home import make_clean_home


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty working folder, an empty home, and no TOMIC variables."""
    return make_clean_home(tmp_path, monkeypatch)
