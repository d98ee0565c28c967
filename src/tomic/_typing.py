"""Array aliases shared by the numeric floors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

FloatArray: TypeAlias = NDArray[np.float64]
"""Float64 array of any shape."""

BoolArray: TypeAlias = NDArray[np.bool_]
"""Boolean array of any shape."""

IntArray: TypeAlias = NDArray[np.int64]
"""Integer array of any shape."""

Num: TypeAlias = ArrayLike
"""What a kernel accepts and broadcasts: a number, a list or an array; rights also as letters."""

Labelled = TypeVar("Labelled", "pd.Series[Any]", "pd.DataFrame")
"""A column of pandas, or a table of days by symbols: what comes out is of the same kind."""

__all__ = ["BoolArray", "FloatArray", "IntArray", "Labelled", "Num"]
