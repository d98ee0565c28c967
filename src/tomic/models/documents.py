"""
Models as JSON documents: the one place where a model becomes values that JSON knows, and back.

JSON cannot write infinity. An amount without a bound, such as the largest loss of a short call,
is infinite in Python; in a document it is null beside a flag that says so: ``"max_loss": null,
"loss_bounded": false``. A flag that is null beside a null says that the amount is unknown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from pydantic import (
    BaseModel,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic_core import from_json

from tomic._keywords import nearest
from tomic.models.market import Model

UNLIMITED = "unlimited"
"""An amount without a bound, in words for people."""


class UnboundedModel(Model):
    """
    A model some of whose amounts may have no bound: `unbounded` names them.

    In JSON each stands beside its flag (`flag_of`); reading makes a null whose flag is false
    infinite again. Older documents without flags, with ``Infinity`` as a number or a text, are read
    as well.
    """

    unbounded: ClassVar[tuple[str, ...]] = ()

    @property
    def bounds(self) -> dict[str, bool | None]:
        """Each flag: whether its amount has a bound, None where the amount is unknown."""
        return {flag_of(name): is_bounded(getattr(self, name)) for name in self.unbounded}

    # Named here, as pydantic 2.10 would look up the annotation where the subclass is.
    @model_serializer(mode="wrap", return_type=dict[str, Any])
    def _flagged(
        self, handler: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        if info.mode != "json":
            return values
        # From the field itself: what pydantic makes of infinity depends on its version.
        amounts = {name: getattr(self, name) for name in self.unbounded if name in values}
        return with_flags(values | amounts, amounts)

    @model_validator(mode="before")
    @classmethod
    def _restored(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        values = dict(data)
        for name in cls.unbounded:
            flag = flag_of(name)
            if values.pop(flag, None) is False:
                if values.get(name) is not None:
                    raise ValueError(f"{name} is {values[name]}, but {flag} says it has no bound")
                values[name] = math.inf
        return values


def flag_of(name: str) -> str:
    """The flag beside an amount: ``loss_bounded`` of ``max_loss``, ``margin_bounded``."""
    return f"{name.removeprefix('max_')}_bounded"


def is_bounded(value: float | None) -> bool | None:
    """Whether an amount has a bound; None where it is unknown."""
    return None if value is None or math.isnan(value) else not math.isinf(value)


def with_flags(row: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """*row* with a flag after each amount of *names*: how documents and tables write them."""
    unbounded, flagged = frozenset(names), {}
    for name, value in row.items():
        flagged[name] = value
        if name in unbounded:
            bounded = is_bounded(value)
            flagged[name] = value if bounded else None
            flagged[flag_of(name)] = bounded
    return flagged


def to_document(model: BaseModel, **left_out: Any) -> dict[str, Any]:
    """
    *model* as JSON values: days and times as ISO text, a missing number as None, never NaN.

    Args:
        left_out: ``exclude`` names fields; ``exclude_none``, ``exclude_defaults`` and
            ``exclude_unset`` leave out what is None, equals its default or was not set.
    """
    # By way of the text: both ends of it are compiled, and it knows no infinity and no NaN.
    document: dict[str, Any] = from_json(model.model_dump_json(**left_out))
    return document


def to_text(model: BaseModel, *, indent: int | None = None, **left_out: Any) -> str:
    """The document of *model*, without what `to_document` leaves out, in one line or indented."""
    document = to_document(model, **left_out)
    separators = (",", ":") if indent is None else None
    return json.dumps(
        document, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators
    )


def plain(value: Any) -> Any:
    """JSON values with None for every number that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def first_fault(error: ValidationError, known: Collection[str] = ()) -> str:
    """
    The first thing that is wrong, as ``legs.0.strike: reason``.

    Args:
        known: The names there are, to suggest one where that is what is wrong.
    """
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        hint = f"; {nearest(str(fault['loc'][-1]), known)}" if known else ""
        return f"{where}: unknown{hint}"
    reason = str(fault["msg"]).removeprefix("Value error, ")
    return f"{where}: {reason}" if where else reason


def finite(value: float | None) -> float | None:
    """The number as a plain float; None where it is missing, NaN or infinite."""
    return float(value) if value is not None and math.isfinite(value) else None
