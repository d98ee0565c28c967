"""Definitions of metrics as text or JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from tomic.figures import Definition
from tomic.present.forms import to_json
from tomic.present.text import PlainTable


def definition(metric: Definition, *, as_json: bool) -> str:
    """Everything about one metric."""
    if as_json:
        return to_json(asdict(metric))
    lines = [
        f"{metric.name}  {metric.title}",
        f"  {metric.meaning}",
        f"  unit     {metric.unit}",
        f"  formula  {metric.formula}",
        f"  source   {metric.source}",
        f"  caveat   {metric.caveat}",
        f"  kernel   {metric.kernel}",
        f"  example  {metric.example}",
        f"           = {metric.result:.10g}",
    ]
    return "\n".join(lines) + "\n"


def definitions_table(every: Mapping[str, Definition], *, as_json: bool) -> str:
    """All metrics by subject."""
    if as_json:
        return to_json({name: asdict(metric) for name, metric in every.items()})
    table = PlainTable("metric", "", "unit", left=(0, 1, 2))
    for metric in every.values():
        table.add_row(metric.name, metric.title, metric.unit)
    return table.text()
