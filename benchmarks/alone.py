"""One module's figures in a process of its own: ``python -m benchmarks.alone MODULE [FILE]``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

from benchmarks.figures import Row, aligned


def main(module: str, file: str = "") -> None:
    """Measure, print the table and write the rows."""
    rows: list[Row] = importlib.import_module(f"benchmarks.{module}").run()
    print(aligned(rows), flush=True)
    if file:
        Path(file).write_text(json.dumps(rows, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
