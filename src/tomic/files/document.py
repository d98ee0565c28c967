"""The JSON document of a chain, schema ``tomic.chain/1``; absent numbers are null, never NaN."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tomic._version import __version__
from tomic.chain import Chain
from tomic.models import OptionQuote, RowStatus
from tomic.models.documents import finite

SCHEMA = "tomic.chain/1"

ROW_FIELDS = (
    "con_id", "expiry", "dte", "strike", "right", "bid", "ask", "last", "close", "iv", "delta",
    "gamma", "vega", "theta", "volume", "open_interest", "parity_deviation", "status",
    "quote_source", "greeks_source", "quoted_at",
)  # fmt: skip
"""Fields of a row, in order."""


def to_document(chain: Chain) -> dict[str, Any]:
    """Return the whole chain, every row whatever its status, as JSON-ready values."""
    return {"schema": SCHEMA, "meta": _meta(chain), "rows": [_row(row) for row in chain.rows()]}


def to_json(chains: Sequence[Chain], *, as_array: bool = False) -> str:
    """
    Return one document for one chain, an array of documents for several or none.

    *as_array* makes it an array for one too, as when only one of several symbols had a chain.
    """
    documents = [to_document(chain) for chain in chains]
    whole = documents[0] if len(documents) == 1 and not as_array else documents
    return json.dumps(whole, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def ndjson_rows(chain: Chain) -> Iterator[dict[str, Any]]:
    """Yield the document's rows, each with its symbol first."""
    for row in chain.rows():
        yield {"symbol": chain.symbol, **_row(row)}


def to_ndjson(chain: Chain) -> str:
    """Return `ndjson_rows` as text, a row per line."""
    return "".join(
        json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in ndjson_rows(chain)
    )


def _meta(chain: Chain) -> dict[str, Any]:
    fetch, underlying = chain.fetch, chain.underlying
    return {
        "symbol": chain.symbol,
        "spot": finite(chain.spot.price),
        "spot_source": chain.spot.source.value,
        "data_type": chain.data_type.value,
        "as_of": chain.as_of.isoformat(),
        "rate": finite(chain.rate),
        "div_yield": finite(chain.div_yield),
        "expiries": [day.isoformat() for day in chain.expiries],
        "requested": len(chain),
        "ok": chain.counts.get(RowStatus.OK, 0),
        "gaps": chain.gaps,
        "completeness": chain.completeness,
        "complete": fetch.complete,
        "seconds": round(fetch.seconds, 3),
        "messages": fetch.messages,
        "messages_per_second": (
            round(fetch.messages / fetch.seconds, 1) if fetch.seconds > 0.0 else None
        ),
        "trading_class": chain.trading_class,
        "multiplier": chain.multiplier,
        "underlying": {
            "con_id": underlying.con_id,
            "sec_type": underlying.sec_type,
            "exchange": underlying.exchange,
            "primary_exchange": underlying.primary_exchange,
            "currency": underlying.currency,
            "name": underlying.name,
            "time_zone": underlying.time_zone,
        },
        "notes": list(chain.notes),
        "version": __version__,
    }


def _row(row: OptionQuote) -> dict[str, Any]:
    cells: dict[str, Any] = {name: getattr(row, name) for name in ROW_FIELDS}
    cells["expiry"] = row.expiry.isoformat()
    cells["status"] = row.status.value
    cells["quote_source"] = row.quote_source.value if row.quote_source else None
    cells["quoted_at"] = row.quoted_at.isoformat() if row.quoted_at else None
    return cells
