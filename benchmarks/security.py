"""
Look for known weaknesses: ``python -m benchmarks.security``.

Bandit reads the package's source, with the exceptions that pyproject.toml explains. pip-audit asks
PyPI's advisories for every version of constraints.txt; where nobody answers that is said and is no
failure, since it says nothing about the packages. What is there fails.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Audit:
    """What became of the question for advisories."""

    weak: tuple[str, ...]
    """A line for each package that has known weaknesses."""
    asked: int
    unanswered: int

    def __str__(self) -> str:
        if self.asked == self.unanswered:
            return "advisories: nobody answers for these packages from here; nothing was audited"
        answered = self.asked - self.unanswered
        gap = f"; {self.unanswered} have no answer and were not audited" if self.unanswered else ""
        lines = [f"advisories: {answered} of {self.asked} packages audited{gap}", *self.weak]
        return "\n".join(lines)


def judged(document: Mapping[str, Any]) -> Audit:
    """The audit that pip-audit's JSON *document* tells of."""
    packages = document.get("dependencies", [])
    weak = []
    for package in packages:
        if ids := [found["id"] for found in package.get("vulns", ())]:
            mended = {fixed for found in package["vulns"] for fixed in found["fix_versions"]}
            remedy = f"; mended in {', '.join(sorted(mended))}" if mended else ""
            weak.append(f"{package['name']} {package['version']}: {', '.join(ids)}{remedy}")
    return Audit(tuple(weak), len(packages), sum("skip_reason" in one for one in packages))


def audit() -> Audit:
    """Ask for advisories about the pinned versions, as far as anybody answers."""
    words = ["pip_audit", "-r", "constraints.txt", "--no-deps", "--disable-pip"]
    asked = [sys.executable, "-m", *words, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(
            asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
        return judged(json.loads(done.stdout))
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return Audit((), 0, 0)


def main() -> int:
    """Run both; return 1 where either has something to say."""
    source = [sys.executable, "-m", "bandit", "-q", "-r", "src", "-c", "pyproject.toml"]
    code = subprocess.run(source, cwd=ROOT, check=False).returncode
    print(f"bandit: {'see above' if code else 'nothing'}", flush=True)
    told = audit()
    print(told)
    return 1 if code or told.weak else 0


if __name__ == "__main__":
    sys.exit(main())
