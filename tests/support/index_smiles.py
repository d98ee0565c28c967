"""Smooth random smiles as indices have them, without noise, for tests and benchmarks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class IndexSmile(NamedTuple):
    """Volatilities from two to six standard deviations below the money to three above."""

    kind: str
    forward: float
    tau: float
    at_money: float
    """Volatility at the forward."""
    strike: np.ndarray
    iv: np.ndarray


def draw(count: int, seed: int) -> Iterator[IndexSmile]:
    """
    *count* smiles of five kinds: straight, parabolic, SABR's, bent and exponential in the score.

    Wings below a quarter of the volatility at the money are cut off.
    """
    rng = np.random.default_rng(seed)
    kinds = (_straight, _parabolic, _sabr, _bent, _exponential)
    for i in range(count):
        forward, tau = float(rng.choice([100.0, 500.0, 3000.0])), rng.uniform(5, 75) / 365
        level, strikes = rng.uniform(0.08, 0.4), int(rng.integers(25, 160))
        score = np.linspace(-rng.uniform(2.0, 6.0), rng.uniform(1.0, 3.0), strikes)
        kind = kinds[i % len(kinds)]
        iv = level * kind(rng, score, level, tau)
        kept = iv > 0.25 * level
        strike = forward * np.exp(score * level * math.sqrt(tau))
        yield IndexSmile(kind.__name__[1:], forward, tau, level, strike[kept], iv[kept])


def _straight(rng: np.random.Generator, z: np.ndarray, level: float, tau: float) -> np.ndarray:
    return 1.0 - rng.uniform(0.05, 0.3) * z


def _parabolic(rng: np.random.Generator, z: np.ndarray, level: float, tau: float) -> np.ndarray:
    return 1.0 - rng.uniform(0.05, 0.3) * z + rng.uniform(0.0, 0.06) * z * z


def _sabr(rng: np.random.Generator, z: np.ndarray, level: float, tau: float) -> np.ndarray:
    """Hagan et al. (2002) with beta 1, the leading order."""
    nu = rng.uniform(0.5, 3.0) / math.sqrt(max(12.0 * tau, 1.0)) * 1.5
    rho = rng.uniform(-0.95, -0.2)
    y = -nu * z * math.sqrt(tau)
    chi = np.log((np.sqrt(1.0 - 2.0 * rho * y + y * y) + y - rho) / (1.0 - rho))
    small = np.abs(chi) < 1e-9
    return np.where(small, 1.0, y / np.where(small, 1.0, chi))


def _bent(rng: np.random.Generator, z: np.ndarray, level: float, tau: float) -> np.ndarray:
    """Straight on both sides, with a rounded corner at or above the money."""
    down, up = rng.uniform(0.1, 0.35), rng.uniform(-0.05, 0.15)
    width, corner = rng.uniform(0.2, 1.0), rng.uniform(0.0, 1.2)

    def rise(y: np.ndarray | float) -> np.ndarray:
        return 0.5 * (up - down) * y + 0.5 * (up + down) * np.sqrt(np.square(y) + width**2)

    return 1.0 + rise(z - corner) - rise(-corner)


def _exponential(rng: np.random.Generator, z: np.ndarray, level: float, tau: float) -> np.ndarray:
    return np.exp(-rng.uniform(0.05, 0.25) * z)
