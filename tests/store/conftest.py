from __future__ import annotations

from pathlib import Path

import pytest

from tomic.store import Database


@pytest.fixture
def path(tmp_path) -> Path:
    """Where the store of this test will be; its folder does not exist yet."""
    return tmp_path / "home" / "store.db"


@pytest.fixture
async def store(path):
    """An open, empty store."""
    async with Database(path) as db:
        yield db
