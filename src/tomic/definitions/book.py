"""Metrics of the book and the journal."""

from __future__ import annotations

from tomic.definitions.definition import Definition

DEFINITIONS: tuple[Definition, ...] = (
    Definition(
        name="beta",
        title="beta",
        meaning="How much a symbol has moved per move of the benchmark.",
        unit="ratio",
        formula="slope of daily log returns on the benchmark's over 252 days",
        source='Vasicek (1973) for the shrunk value: "A Note on Using Cross-Sectional Information"',
        caveat="an estimate with an error, which is printed; it drifts",
        kernel="tomic.quant.realized.beta",
        example=("realized.beta([0.02, -0.01, 0.03, 0.0], [0.01, -0.005, 0.015, 0.0], 4).beta"),
        result=2.0,
    ),
)
