"""
What the shell offers after Tab: symbols, proposals and entries of the store, strategies, jobs.

Runs at every Tab: it opens no session, creates nothing, and stays silent where a configuration
or a store cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import typer

from tomic import config, figures
from tomic.errors import TomicError
from tomic.store import names
from tomic.strategies.catalogue import templates

Offers: TypeAlias = list[tuple[str, str]]
"""What may be typed, each with a word about it."""


def symbols(ctx: typer.Context, incomplete: str) -> Offers:
    """Symbols of the settings and of the store."""

    def known(settings: config.Settings) -> Offers:
        stored = names.symbols(_store(ctx, settings))
        return [(name, "") for name in dict.fromkeys([*settings.market.symbols, *stored])]

    return _matching(ctx, incomplete, known)


def strategies(ctx: typer.Context, incomplete: str) -> Offers:
    """Names of the catalogue, each with its outlook."""

    def known(settings: config.Settings) -> Offers:
        catalogue = templates.with_overrides(settings.strategies)
        return [(name, template.outlook) for name, template in catalogue.items()]

    return _matching(ctx, incomplete, known)


def proposals(ctx: typer.Context, incomplete: str) -> Offers:
    """Ids of saved proposals, newest first."""

    def known(settings: config.Settings) -> Offers:
        return names.proposals(_store(ctx, settings))

    return _matching(ctx, incomplete, known)


def entries(ctx: typer.Context, incomplete: str) -> Offers:
    """Numbers of journal entries, newest first."""

    def known(settings: config.Settings) -> Offers:
        return names.entries(_store(ctx, settings))

    return _matching(ctx, incomplete, known)


def jobs(ctx: typer.Context, incomplete: str) -> Offers:
    """Names of the jobs in the configuration."""

    def known(settings: config.Settings) -> Offers:
        return [(name, "; ".join(job.run)) for name, job in sorted(settings.jobs.items())]

    return _matching(ctx, incomplete, known)


def metrics(incomplete: str) -> Offers:
    """Names of the figures that `tomic explain` knows, each with what it is."""
    return [
        (name, metric.title) for name, metric in figures.ALL.items() if name.startswith(incomplete)
    ]


def _store(ctx: typer.Context, settings: config.Settings) -> Path:
    return settings.store.demo_path if ctx.params.get("demo") else settings.store.path


def _matching(
    ctx: typer.Context, incomplete: str, known: Callable[[config.Settings], Offers]
) -> Offers:
    """What begins as was typed; nothing where the settings cannot be used."""
    named = ctx.params.get("config")
    try:
        offers = known(config.load_settings(Path(named) if named else None))
    except TomicError:
        return []
    return [(name, text) for name, text in offers if name.startswith(incomplete)]
