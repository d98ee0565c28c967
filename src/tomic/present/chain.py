"""A chain as tables and summary lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tomic import dates, figures
from tomic.chain import Chain
from tomic.figures import Figure
from tomic.models import Carry, OptionQuote, RowStatus
from tomic.present.forms import Format, emit_rows
from tomic.present.palette import Tone, painted
from tomic.present.text import PlainTable, figure_text, number
from tomic.workflows.chain import open_interest

PIPED_WIDTH = 160
"""Letters a line where no screen says another width: room for everything."""


_CHAIN_COLUMNS = figures.columns("open_interest volume bid ask iv delta gamma vega theta")
_LAST_HIDDEN = ["bid", "ask", "delta", "iv", "theta", "open_interest", "volume", "vega", "gamma"]
"""Columns by importance; the last ones go first when space is short."""
_LEAST_WIDTH = 5
_CELL_WIDTH = 8
_MIDDLE_WIDTH = 12
_USUAL_SIZE = 100
"""Shares per contract that need not be said."""


# -- chain ---------------------------------------------------------------------------------


def chain_table(chain: Chain, *, width: int) -> tuple[str, int]:
    """The chain as one table per expiry, calls left and puts right; and how many columns hid."""
    shown = _columns_for(width)
    hidden = len(_CHAIN_COLUMNS) - len(shown)
    parts = [chain_header(chain)]
    pairs: dict[tuple[str, float], dict[str, OptionQuote]] = {}
    for row in chain.rows():
        if row.status is not RowStatus.UNKNOWN_CONTRACT:
            pairs.setdefault((row.expiry.isoformat(), row.strike), {})[row.right] = row
    carries = {carry.expiry: carry for carry in chain.carries}
    for expiry in chain.expiries:
        day = expiry.isoformat()
        rows = {strike: sides for (date, strike), sides in pairs.items() if date == day}
        if rows:
            dte = next(iter(next(iter(rows.values())).values())).dte
            settled = dates.expiry_moment(
                expiry, underlying=chain.underlying, trading_class=chain.trading_class
            ).date()
            until = "" if settled == expiry else f", settled {settled:%d %b} at the open"
            title = f"{expiry:%d %b %Y}  {dte} days{until}  ({len(rows)} strikes)"
            if expiry in carries:
                title += f"  {_carried(carries[expiry], chain.rate)}"
            parts.append(f"{title}\n{_expiry_table(rows, shown, chain.spot.price)}")
    return "\n\n".join(parts) + "\n", hidden


def _carried(carry: Carry, usual: float) -> str:
    """Forward and rate of an expiry and where both come from, beside the rate of the settings."""
    forward = "no forward" if carry.forward is None else f"forward {carry.forward:,.2f}"
    if carry.forward_source == "spot":
        forward += " (spot carried)"
    if carry.rate_source == "settings":
        return f"{forward}, rate {carry.rate:.2%} (market.rate)"
    error = f" ±{carry.rate_error:.2%}" if carry.rate_error is not None else ""
    return f"{forward}, rate {carry.rate:.2%}{error} ({carry.rate_source}; market.rate {usual:.2%})"


def _columns_for(width: int) -> list[Figure]:
    room = max((width - _MIDDLE_WIDTH) // (2 * _CELL_WIDTH), 2)
    return [column for column in _CHAIN_COLUMNS if column.name in _LAST_HIDDEN[:room]]


def _expiry_table(
    rows: dict[float, dict[str, OptionQuote]], columns: Sequence[Figure], spot: float
) -> str:
    """
    A line per strike, numbers to the right, the strike in the middle.

    Laid out by hand: with rich a chain takes longer to print than to put together.
    """
    titles = [column.narrow for column in columns]
    lines = [[*titles, "strike", *reversed(titles)]]
    nearest = min(rows, key=lambda strike: abs(strike - spot))
    for strike, sides in sorted(rows.items()):
        mark = "›" if strike == nearest else " "
        calls, puts = _cells(sides.get("C"), columns), _cells(sides.get("P"), columns)
        lines.append([*calls, f"{mark}{strike:g}{_flag(sides)}", *reversed(puts)])
    middle = len(columns)
    widths = [max(_LEAST_WIDTH, *map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            _shown(text, width, centred=at == middle, title=at == middle or line == 0)
            for at, (text, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()
        for line, cells in enumerate(lines)
    )


def _shown(text: str, width: int, *, centred: bool, title: bool) -> str:
    """A cell as wide as its column."""
    text = text.rstrip() if centred else text
    left = (width - len(text)) // 2 if centred else width - len(text)
    padded = f"{'':{left}}{text}".ljust(width)
    return painted(padded, Tone.TITLE) if title else padded


def _cells(row: OptionQuote | None, columns: Sequence[Figure]) -> list[str]:
    if row is None:
        return [""] * len(columns)
    if not row.status.is_final:
        return [row.status.value if column.name == "bid" else "" for column in columns]
    return [figure_text(column, getattr(row, column.name)) for column in columns]


def _flag(sides: dict[str, OptionQuote]) -> str:
    return "~" if any(row.greeks_source == "local" for row in sides.values()) else " "


def chain_header(chain: Chain) -> str:
    """What the chain is and how good it is, in one line."""
    underlying = chain.underlying
    currency = "" if underlying.currency == "USD" else f" {underlying.currency}"
    size = "" if chain.multiplier == _USUAL_SIZE else f" x{chain.multiplier}"
    future = f" · future {underlying.local_symbol}" if underlying.is_future else ""
    return (
        f"{chain.symbol} {chain.spot.price:,.2f}{currency} ({chain.spot.source.value}) · "
        f"{chain.data_type.value} · {chain.as_of:%Y-%m-%d %H:%M:%S} UTC{future} · class "
        f"{chain.trading_class}{size} · {chain.completeness:.0%} complete"
    )


def chain_summary(chain: Chain, paths: Sequence[object]) -> str:
    """The last line on stderr: counts, pace, data type, and where the files went."""
    counts, fetch = chain.counts, chain.fetch
    gaps = ", ".join(f"{n} {name}" for name, n in chain.gaps.items()) or "none"
    pace = fetch.messages / fetch.seconds if fetch.seconds > 0.0 else 0.0
    text = (
        f"{chain.symbol}: {len(chain)} contracts · {counts.get(RowStatus.OK, 0)} ok · "
        f"gaps: {gaps} · {fetch.seconds:.1f} s · {fetch.messages} messages, {pace:.1f}/s · "
        f"spot {chain.spot.price:,.2f} ({chain.spot.source.value}) · {chain.data_type.value}"
    )
    return text + (f" · {', '.join(str(path) for path in paths)}" if paths else "")


# -- open interest -------------------------------------------------------------------------

INTEREST_SCHEMA = "tomic.open_interest/1"
_BAR = 24
"""Letters of the longest bar."""


def open_interest_table(chain: Chain) -> str:
    """Open interest of all expiries of *chain* together, a line a strike, puts left of calls."""
    strikes = open_interest.by_strike(chain)
    total = open_interest.summary(chain, strikes)
    if not strikes:
        return f"{chain_header(chain)}\n\nno option has an open interest\n"
    most = max(max(row.puts or 0.0, row.calls or 0.0) for row in strikes)
    nearest = min((row.strike for row in strikes), key=lambda k: abs(k - chain.spot.price))
    table = PlainTable("", "puts", "strike", "calls", "", left=(4,))
    for row in strikes:
        table.add_row(
            _bar(row.puts, most),
            number(row.puts, 0) or "?",
            f"{'›' if row.strike == nearest else ''}{row.strike:g}",
            number(row.calls, 0) or "?",
            _bar(row.calls, most),
        )
    first, *more = table.text().splitlines()
    return (
        "\n".join((chain_header(chain), "", first, *more, "", _interest_text(chain, total))) + "\n"
    )


def _bar(value: float | None, most: float) -> str:
    return "█" * round(_BAR * (value or 0.0) / most) if most else ""


def _interest_text(chain: Chain, total: open_interest.InterestSummary) -> str:
    walls = ", ".join(
        f"most {side} at {strike:g}"
        for side, strike in (("puts", total.put_wall), ("calls", total.call_wall))
        if strike is not None
    )
    ratio = "" if total.put_call is None else f", {total.put_call:.2f} puts a call"
    unknown = f"; not known of {total.unknown:,} options" if total.unknown else ""
    days = chain.expiries
    count = "1 expiry" if len(days) == 1 else f"{len(days)} expiries"
    return (
        f"{total.puts:,} puts and {total.calls:,} calls open{ratio}; {walls}\n"
        f"of the strikes fetched, {count}, {days[0]} to {days[-1]}{unknown}\n"
        "contracts, as the exchange counted them the evening before\n"
    )


def open_interest_rows(chain: Chain) -> list[dict[str, Any]]:
    """A row a strike: contracts, None where unknown."""
    return [{"symbol": chain.symbol, **asdict(row)} for row in open_interest.by_strike(chain)]


def open_interests(chains: Sequence[Chain], format: Format) -> str:
    """Open interest by strike of several chains."""
    return emit_rows(
        format,
        [row for chain in chains for row in open_interest_rows(chain)],
        lambda: "\n".join(map(open_interest_table, chains)),
        schema=INTEREST_SCHEMA,
        name="strikes",
        symbols=[
            {
                "symbol": chain.symbol,
                "spot": chain.spot.price,
                "as_of": chain.as_of,
                **asdict(open_interest.summary(chain, open_interest.by_strike(chain))),
            }
            for chain in chains
        ],
    )
