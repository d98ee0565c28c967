"""A small walk over made surfaces: histories, what was looked at, what was chosen, the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from support import made_surfaces
from tomic.config import Settings
from tomic.evidence import candidates, choice, pool, walk
from tomic.evidence.candidates import Looked, WalkTerms
from tomic.evidence.choice import Choice
from tomic.evidence.history import SurfaceHistory, SurfaceRows, clean
from tomic.evidence.pool import Pool
from tomic.strategies.catalogue import templates

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
SETTINGS = Settings(
    scan={"profile": "all", "top": 3},
    backtest={"warm_up": 40, "processes": 1, "random_draws": 4, "funds": ["AAA"]},
)


class Walked(NamedTuple):
    """One walk and what it was made of."""

    histories: list[SurfaceHistory]
    looked: Looked
    choice: Choice
    pool: Pool
    settings: Settings


def table(days: int = 160, *, seed: int = 3) -> SurfaceRows:
    """Four symbols that walk at random."""
    return made_surfaces.rows(SYMBOLS, days, seed=seed)


def walked(
    rows: SurfaceRows, settings: Settings = SETTINGS, *, score: choice.Score | None = None,
    **given: Any,
) -> Walked:  # fmt: skip
    """Walk over *rows*; *given* are fields of `walk.Settings`."""
    histories = clean(rows, etfs=("AAA",))
    chosen = templates.choose(settings)
    structures = candidates.chosen_structures([template.name for template in chosen])
    by_name = {template.name: template for template in chosen}
    of = {structure.name: by_name[structure.strategy] for structure in structures}
    terms = WalkTerms.of(settings, structures, **given)
    looked = _looked_at(rows, terms, histories)
    decided = choice.choose(looked, structures, of, settings, histories, score=score)
    made = pool.modelled(
        looked, decided, structures, of, settings, dict.fromkeys(SYMBOLS, "surface")
    )
    return Walked(histories, looked, decided, made, settings)


_SEEN: dict[tuple[bytes, str], Looked] = {}


def _looked_at(rows: SurfaceRows, terms: WalkTerms, histories: Sequence[SurfaceHistory]) -> Looked:
    """
    Every history looked at on its days of entry: the dear part, which no choice can change.

    Tests that walk over the same table on the same terms share it, as arrays that none can write.
    """
    key = b"".join(column.tobytes() for column in rows), repr(terms)
    if key not in _SEEN:
        days = walk.entry_days(histories, every_day=terms.walk.every_day)
        found = [candidates.look(history, days, terms, Counter()) for history in histories]
        looked = Looked.joined([each for each in found if each is not None])
        for column in looked:
            if isinstance(column, np.ndarray):
                column.flags.writeable = False
        _SEEN[key] = looked
    return _SEEN[key]
