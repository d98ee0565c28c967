"""The look for advisories: what fails, and what only says that nobody answered."""

from __future__ import annotations

import pytest
from benchmarks.security import Audit, judged

SOUND = {"name": "numpy", "version": "2.3.0", "vulns": []}
WEAK = {
    "name": "old",
    "version": "1.0",
    "vulns": [
        {"id": "PYSEC-2026-1", "fix_versions": ["1.1"]},
        {"id": "GHSA-xxxx", "fix_versions": ["1.2", "1.1"]},
    ],
}
UNKNOWN = {"name": "ours", "skip_reason": "not found on PyPI"}


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ([SOUND], "advisories: 1 of 1 packages audited"),
        (
            [SOUND, UNKNOWN, WEAK],
            "advisories: 2 of 3 packages audited; 1 have no answer and were not audited\n"
            "old 1.0: PYSEC-2026-1, GHSA-xxxx; mended in 1.1, 1.2",
        ),
        ([UNKNOWN], "advisories: nobody answers for these packages from here; nothing was audited"),
    ],
)
def test_what_was_answered_is_said(packages, said):
    """Weak packages are named with what mends them, and what nobody knows is counted."""
    found = judged({"dependencies": packages})

    assert str(found) == said
    assert bool(found.weak) is (WEAK in packages)


def test_silence_is_no_clean_bill():
    """Where nobody answered, nothing is called audited."""
    assert "nothing was audited" in str(Audit((), 0, 0))
