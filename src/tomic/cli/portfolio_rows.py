"""The review of the portfolio as rows and as a document: what machines read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tomic import __version__
from tomic.cli import machine_forms
from tomic.models.documents import to_document, with_flags
from tomic.models.review import BookReview, HeldLeg, Structure
from tomic.portfolio.exposure import Total
from tomic.workflows.review import Considered, PortfolioView

SCHEMA = "tomic.portfolio/1"
GROUPINGS = ("strategy", "symbol", "expiry")


def leg_text(leg: HeldLeg) -> str:
    """A leg in short; ~ where another volatility stands in for its own."""
    flag = "~" if leg.sigma_source not in ("own", "none") else ""
    if leg.strike is None or leg.expiry is None:
        return f"{leg.quantity:+g} {leg.contract.partition(' ')[2] or leg.contract}{flag}"
    return f"{leg.quantity:+g} {leg.strike:g}{leg.right} {leg.expiry:%d%b%y}{flag}"


# -- rows ----------------------------------------------------------------------------------------


def rows(review: BookReview, by: str) -> list[dict[str, Any]]:
    """
    One row per structure, or per symbol or expiry; money in the base currency.

    A sum of which a part is unknown is None, and a count beside it says of how many structures.
    """
    if by == "strategy":
        return [structure_row(one) for one in review.structures]
    name: Callable[[Structure], str] = (
        (lambda one: one.symbol) if by == "symbol" else (lambda one: str(one.expiry or "none"))
    )
    groups: dict[str, list[Structure]] = {}
    for one in review.structures:
        groups.setdefault(name(one), []).append(one)
    return [_group_row(by, key, groups[key], review) for key in sorted(groups)]


def structure_row(one: Structure) -> dict[str, Any]:
    """One structure in one row; an unbounded amount is None, and the flag beside it says so."""
    greeks = one.greeks
    row = {
        "id": one.id,
        "strategy": one.strategy,
        "symbol": one.symbol,
        "account": one.account,
        "source": one.source,
        "link": one.link or None,
        "quantity": one.quantity,
        "legs": ", ".join(leg_text(leg) for leg in one.legs),
        "expiry": one.expiry.isoformat() if one.expiry else None,
        "dte": one.dte,
        "days_in_trade": one.days_in_trade,
        "credit": one.credit,
        "pnl": one.pnl,
        "max_profit": one.max_profit,
        "max_loss": one.max_loss,
        "profit_share": one.profit_share,
        "delta": greeks.delta,
        "delta_value": greeks.delta_value,
        "gamma_value": greeks.gamma_value,
        "vega": greeks.vega,
        "theta": greeks.theta,
        "margin": one.margin,
        "margin_net": one.margin_net,
        "rom": one.rom,
        "currency": one.currency,
    }
    return with_flags(row, one.unbounded)


def _group_row(
    by: str, name: str, members: Sequence[Structure], review: BookReview
) -> dict[str, Any]:
    share = next((x.share for x in review.concentration if (x.kind, x.name) == (by, name)), None)
    pnl = Total.of((one.id, one.pnl) for one in members)
    margins = [one.margin for one in members]
    known = [value for value in margins if value is not None]
    row = {
        by: name,
        "structures": len(members),
        "pnl": pnl.value,
        "pnl_unknown": len(pnl.unknown),
        "delta": math.fsum(one.greeks.delta for one in members),
        "delta_value": math.fsum(one.greeks.delta_value for one in members),
        "gamma_value": math.fsum(one.greeks.gamma_value for one in members),
        "vega": math.fsum(one.greeks.vega for one in members),
        "theta": math.fsum(one.greeks.theta for one in members),
        # Infinite as soon as one of them is, whatever the others are.
        "margin": sum(known) if len(known) == len(margins) or math.inf in known else None,
        "margin_unknown": len(margins) - len(known),
        "margin_share": share,
    }
    return with_flags(row, ("margin",))


# -- machine forms ---------------------------------------------------------------------------------


def to_json(view: PortfolioView, by: str, *, grids: bool) -> str:
    """The whole review as one document; the cells of stress grids only when asked for."""
    review = view.review
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "meta": {
            "as_of": review.as_of.isoformat(),
            "currency": review.currency,
            "data_type": review.data_type.value if review.data_type else None,
            "by": by,
            "book": str(view.saved) if view.saved else None,
            "version": __version__,
        },
        **_review_document(review, by, grids=grids),
    }
    if view.considered is not None:
        document["with"] = _considered_document(view.considered, by)
    return machine_forms.to_json(document)


def _review_document(review: BookReview, by: str, *, grids: bool) -> dict[str, Any]:
    document = to_document(review)
    for name in ("as_of", "currency", "data_type"):
        document.pop(name)
    for grid in [document["stress"], *document["stress_by_symbol"]]:
        if grid is not None and not grids:
            grid.pop("pnl")
    return {"rows": rows(review, by), **document}


def _considered_document(one: Considered, by: str) -> dict[str, Any]:
    after = _review_document(one.after, by, grids=False)
    return {
        "trade": one.trade,
        "change": to_document(one.change),
        "structures": [to_document(x) for x in one.structures],
        "alerts": [to_document(x) for x in one.alerts],
        "ib_margin": to_document(one.what_if) if one.what_if else None,
        "ib_margin_problem": one.what_if_problem or None,
        "after": {name: after[name] for name in ("rows", "totals", "concentration", "alerts")},
    }


def to_ndjson(view: PortfolioView, by: str) -> str:
    """A row per line."""
    return machine_forms.to_ndjson(rows(view.review, by))


def to_csv(view: PortfolioView, by: str) -> str:
    """The rows as CSV; fractions and money as plain numbers, unknown ones empty."""
    return machine_forms.to_csv(rows(view.review, by))
