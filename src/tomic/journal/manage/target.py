"""
How likely the profit target closes a campaign: over the paths behind `tomic.strategies.managed`.

Only the target and the stop of the entry's own rules close it; time does not, as a campaign that
is advised on may be past its last day already. At the first expiry it ends.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tomic.config import ExitSettings, Settings
from tomic.journal import reading
from tomic.models.exits import ExitRules
from tomic.models.journal import Held
from tomic.quant import paths
from tomic.strategies import managed, measures, proposals
from tomic.strategies.catalogue.leg_rules import AtTheMoney, LegRule, Template
from tomic.strategies.pricing.board import Board
from tomic.strategies.search import Hit


class Campaign(NamedTuple):
    """What is held after an alternative, and what its target is measured against; currency."""

    legs: tuple[Held, ...]
    received: float | None
    """Cash of the options so far, after costs; None where it is not known."""
    premium: float | None


def chances(board: Board, rules: ExitRules, campaigns: Sequence[Campaign]) -> list[float | None]:
    """
    P(target before stop and expiry) of each campaign, in their order.

    None where there is no target, where a price or the premium is missing, where nothing but
    shares is left, and for what has more than two expiries.
    """
    plain = replace(board, settings=_with_rules(board, rules))
    answers: list[float | None] = [None] * len(campaigns)
    groups: dict[dt.date, list[tuple[int, Hit]]] = {}
    for number, campaign in enumerate(campaigns):
        hit = _as_hit(plain, campaign)
        if hit is not None:
            groups.setdefault(hit.expiries[0], []).append((number, hit))
    for members in groups.values():
        for number, answer in zip(
            [number for number, _ in members],
            _of_group(rules, [hit for _, hit in members], [campaigns[n] for n, _ in members]),
            strict=True,
        ):
            answers[number] = answer
    return answers


def _with_rules(board: Board, rules: ExitRules) -> Settings:
    """Settings under which only the target and the stop close anything."""
    off = dict.fromkeys(ExitSettings.model_fields)
    levels = {"profit_target": rules.profit_target, "stop": rules.stop, "negative_ev": False}
    exits = ExitSettings.model_validate({**off, "short_strike_breached": False, **levels})
    journal = board.settings.journal.model_copy(update={"exits": exits, "exits_of": {}})
    return board.settings.model_copy(update={"journal": journal})


def _as_hit(board: Board, campaign: Campaign) -> Hit | None:
    """The options and shares as a candidate of a template of their own."""
    options = [leg for leg in campaign.legs if not leg.is_stock]
    shares = sum(leg.quantity * leg.multiplier for leg in campaign.legs if leg.is_stock)
    stock = shares / board.chain.multiplier
    if campaign.received is None or not campaign.premium or not options or stock != round(stock):
        return None
    days = sorted({leg.expiry for leg in options if leg.expiry is not None})
    if len(days) > 2 or any(leg.quantity != round(leg.quantity) for leg in options):
        return None
    known = reading.rows_of(board, options)
    rows = [known[leg.key] for leg in options]
    template = Template(
        name="campaign",
        outlook="",
        side="neutral",
        legs=tuple(
            LegRule(
                str(number),
                "C" if leg.is_call else "P",
                round(leg.quantity),
                AtTheMoney(),
                "near" if leg.expiry == days[0] else "far",
            )
            for number, leg in enumerate(options)
        ),
        dte=(0, 9999),
        gap=(0, 9999) if len(days) > 1 else None,
        stock=round(stock),
    )
    far = days[1] if len(days) > 1 else None
    return Hit(
        board=board,
        template=template,
        expiries=(days[0], far),
        rows=tuple(rows),
        score=0.0,
        components=np.array([]),
        liquidity=1.0,
        ev=0.0,
        margin=0.0,
        tail_loss=0.0,
    )


def _of_group(
    rules: ExitRules, hits: Sequence[Hit], campaigns: Sequence[Campaign]
) -> list[float | None]:
    ready = managed.prepare(hits, [0.0] * len(hits))
    return [
        _chance(rules, hit, campaign, plan, ready)
        for hit, campaign, plan in zip(hits, campaigns, ready.plans, strict=True)
    ]


def _chance(
    rules: ExitRules, hit: Hit, campaign: Campaign, plan: paths.ExitPlan, ready: managed.Managed
) -> float | None:
    if campaign.received is None or campaign.premium is None:
        return None
    target, stop = rules.levels(campaign.premium)
    if target is None or not (np.isfinite(plan.gain).all() and np.isfinite(plan.watched).all()):
        return None
    # The plan is that of entering now; the campaign has other cash behind it.
    entered = float(measures.credits(proposals.batch_of(hit), hit.board)[0][0])
    shift = campaign.received - entered
    held = replace(
        plan,
        watched=plan.watched + shift,
        gain=plan.gain + shift,
        hold=plan.hold + shift,
        target=target,
        stop=-np.inf if stop is None else stop,
    )
    return paths.outcome(held, ready.paths, ready.elapsed).p_target
