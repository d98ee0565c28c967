"""Chains out of DataFrames: our own, and those with columns named as most programs name them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tomic import dates, valuation
from tomic.chain import Chain
from tomic.errors import BadFile, UsageError
from tomic.files.reading import chain_of_text, column_name, complete
from tomic.legs import OCC
from tomic.models import RowStatus, normalize_symbol, settles_in_cash
from tomic.models.market import Underlying

if TYPE_CHECKING:
    import pandas as pd

WHERE = Path("the DataFrame")
"""What messages call it."""

_NAMED = ("symbol", "as_of", "spot", "rate", "data_type", "spot_source", "multiplier")
"""What a frame of `Chain.to_frame` says in its ``attrs``, which a file says in every row."""


def chain_of_frame(
    frame: pd.DataFrame,
    *,
    symbol: str | None = None,
    as_of: dt.datetime | dt.date | str | None = None,
    spot: float | None = None,
    rate: float | None = None,
) -> Chain:
    """
    A chain of the rows of *frame*; see `Chain.from_frame`.

    Raises:
        BadFile: A column is missing, a cell cannot be read, or symbol or time are not known.
        MissingSpot: No spot is known, and no pair of call and put implies it.
        UsageError: *frame* is no DataFrame, or *as_of* no time.
    """
    table = _copied(frame)
    facts = {name: frame.attrs[name] for name in _NAMED if frame.attrs.get(name) is not None}
    if "contractsymbol" in table:
        _by_contract(table, facts)
    name = symbol if symbol is not None else facts.get("symbol")
    moment = _moment(as_of, name) or facts.pop("as_of", None) or _last_quoted(table)
    if moment is None and "asof" not in table:
        raise UsageError(
            "a DataFrame does not say when it was quoted; give as_of, as in "
            "as_of=dt.datetime.now().astimezone()"
        )
    for fact, value in facts.items():
        if (column := column_name(fact)) not in table:
            table[column] = value
    _as_text(table)
    chain, is_ours = chain_of_text(
        WHERE, table.to_csv(index=False), symbol=name, as_of=moment, spot=spot, rate=rate
    )
    chain = complete(WHERE, chain, is_ours=is_ours)
    return chain if "delta" in table else _with_greeks_of_iv(chain)


def _with_greeks_of_iv(chain: Chain) -> Chain:
    """Of a frame without a column of deltas the Greeks at the volatilities that it has."""
    lacking = np.isfinite(chain["iv"]) & np.isnan(chain["delta"]) & (chain["tau"] > 0.0)
    if not lacking.any():
        return chain
    terms = valuation.pricing_terms(chain).of(lacking)
    computed = valuation.local_greeks(chain, lacking, chain["iv"][lacking], terms)
    columns = {name: chain[name].copy() for name in (*computed, "status", "greeks_source")}
    for name, values in computed.items():
        columns[name][lacking] = values
    known = lacking & np.isfinite(columns["delta"])
    columns["greeks_source"][known] = "local"
    columns["status"][known & (chain["status"] == RowStatus.NO_GREEKS)] = RowStatus.OK.value
    return chain.with_columns(**columns)


def _copied(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns under one spelling each, named levels of the index among them."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise UsageError(f"a DataFrame is needed, got {type(frame).__name__}")
    named = any(name is not None for name in frame.index.names)
    table = frame.reset_index() if named else frame.copy()
    table.columns = pd.Index([column_name(str(name)) for name in table.columns])
    doubled = table.columns[table.columns.duplicated()]
    if len(doubled):
        raise BadFile(f"{WHERE} has several columns that mean {doubled[0]}; drop all but one")
    if "iscall" in table and "right" not in table:
        table["right"] = ["C" if each else "P" for each in table["iscall"]]
    return table


def _by_contract(table: pd.DataFrame, facts: dict[str, Any]) -> None:
    """Expiry, right and symbol out of names such as ``SPY261218P00580000``."""
    found = [OCC.fullmatch(str(name)) for name in table["contractsymbol"]]
    if not all(found):
        odd = next(name for name, match in zip(table["contractsymbol"], found, strict=True)
                   if match is None)  # fmt: skip
        raise BadFile(f"{WHERE}: contractSymbol {odd!r} is not as SPY261218P00580000")
    matches = [match for match in found if match is not None]
    for place, column in ((2, "expiry"), (3, "right")):
        if column not in table:
            prefix = "20" if column == "expiry" else ""
            table[column] = [prefix + match[place] for match in matches]
    roots = {match[1] for match in matches}
    if len(roots) == 1:
        facts.setdefault("symbol", roots.pop())


def _moment(given: dt.datetime | dt.date | str | None, symbol: str | None) -> dt.datetime | None:
    if given is None or isinstance(given, dt.datetime):
        return given
    try:
        if isinstance(given, str):
            moment = dt.datetime.fromisoformat(given)
            if len(given) > len("2026-11-20"):
                return moment
            given = moment.date()
        name = normalize_symbol(symbol or "SPY")
        underlying = Underlying(
            symbol=name, con_id=0, sec_type="IND" if settles_in_cash(name) else "STK"
        )
        return dates.closing_moment(given, underlying=underlying)
    except (AttributeError, TypeError, ValueError) as exc:
        raise UsageError(
            f"as_of={given!r:.40} is no time; give a datetime, or a day for its close"
        ) from exc


def _last_quoted(table: pd.DataFrame) -> dt.datetime | None:
    if "quotedat" not in table or not table["quotedat"].notna().any():
        return None
    last = table["quotedat"].max()
    return last.to_pydatetime() if hasattr(last, "to_pydatetime") else None


def _as_text(table: pd.DataFrame) -> None:
    """Days and times as the reader of files takes them."""
    import pandas as pd

    for name in ("expiry", "quotedat", "asof"):
        if name not in table:
            continue
        form = "%Y-%m-%d" if name == "expiry" else "%Y-%m-%dT%H:%M:%S.%f%z"
        table[name] = [
            (each.strftime(form) if isinstance(each, dt.date) else each) if pd.notna(each) else ""
            for each in table[name]
        ]
