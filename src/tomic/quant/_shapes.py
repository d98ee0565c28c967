"""Arguments that must have one shape."""

from __future__ import annotations

import numpy as np

from tomic._typing import ArrayLike, FloatArray


def same_shape(**given: ArrayLike) -> tuple[FloatArray, ...]:
    """The arguments as flat float64 arrays; a ``ValueError`` names them where shapes differ."""
    arrays = {name: np.asarray(x, dtype=np.float64) for name, x in given.items()}
    if len({x.shape for x in arrays.values()}) != 1:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
        raise ValueError(f"arguments must have one shape, got {shapes}")
    return tuple(np.atleast_1d(x).ravel() for x in arrays.values())
