"""Definitions of metrics as text or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from tomic.figures import Definition
from tomic.present.forms import to_json
from tomic.present.text import PlainTable


def definition(one: Definition, *, as_json: bool) -> str:
    """Everything about one metric."""
    if as_json:
        return to_json(asdict(one))
    lines = [
        f"{one.name}  {one.title}",
        f"  {one.meaning}",
        f"  unit     {one.unit}",
        f"  formula  {one.formula}",
        f"  source   {one.source}",
        f"  caveat   {one.caveat}",
        f"  kernel   {one.kernel}",
        f"  example  {one.example}",
        f"           = {one.result:.10g}",
    ]
    return "\n".join(lines) + "\n"


def definitions_table(every: Mapping[str, Definition], *, as_json: bool) -> str:
    """All metrics by subject."""
    if as_json:
        return to_json({name: asdict(one) for name, one in every.items()})
    table = PlainTable("metric", "", "unit", left=(0, 1, 2))
    for one in every.values():
        table.add_row(one.name, one.title, one.unit)
    return table.text()
