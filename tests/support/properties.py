"""How many examples a property is tried on: few in the suite, all of them in `nox -s soak`."""

from __future__ import annotations

from typing import Any

from hypothesis import settings

FEWEST = 5
"""Examples that every property gets."""

# Never a deadline: how long an example takes says more about the machine than about the program.
settings.register_profile("suite", max_examples=20, deadline=None)
settings.register_profile("soak", max_examples=100, deadline=None)


def examples(most: int, **options: Any) -> settings:
    """Settings for *most* examples in the soak, and the profile's percentage of them elsewhere."""
    share = settings.default.max_examples / 100.0
    return settings(max_examples=max(FEWEST, round(most * share)), deadline=None, **options)
