"""Array aliases shared by the numeric floors."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
"""Float64 array of any shape."""

BoolArray: TypeAlias = NDArray[np.bool_]
"""Boolean array of any shape."""

IntArray: TypeAlias = NDArray[np.int64]
"""Integer array of any shape."""

Num: TypeAlias = ArrayLike
"""What a kernel accepts and broadcasts: a number, a list or an array; rights also as letters."""

__all__ = ["BoolArray", "FloatArray", "IntArray", "Num"]
