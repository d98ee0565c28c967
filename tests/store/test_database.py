from __future__ import annotations

import importlib.util
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak_store.py"


async def test_a_killed_writer_loses_nothing_finished(path):
    """After each kill -9 the file opens, is sound, and holds every transaction told as done."""
    spec = importlib.util.spec_from_file_location("soak_store", SOAK)
    soak = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(soak)
    path.parent.mkdir()

    result = await soak.kill_often(path, kills=4)

    assert "none lost" in result["measured"]
