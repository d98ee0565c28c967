"""
The demo account: what it holds, what it is worth, and a margin figure of the Reg-T kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from tomic.sim.market import AccountBook, Holding, Listing, MarketFill
from tomic.sim.market.forex import PER_DOLLAR


@dataclass(frozen=True, slots=True)
class Planned:
    """One holding in words; a share line has no right."""

    symbol: str
    quantity: float
    right: str = ""
    sigmas: float = 0.0
    """Strike above (positive) or below the forward, in standard deviations of the expiry."""
    month: int = 0
    """0 is the first monthly at least 20 days away, 1 the one after."""
    paid: float = 1.0
    """Average cost over the present fair value."""


DEMO_BOOK = (
    # Iron condor.
    Planned("SPY", 1, "P", -1.9, paid=1.25),
    Planned("SPY", -1, "P", -1.3, paid=1.35),
    Planned("SPY", -1, "C", 1.1, paid=1.2),
    Planned("SPY", 1, "C", 1.6, paid=1.15),
    # Short put.
    Planned("IWM", -1, "P", -1.0, paid=1.5),
    # Covered call.
    Planned("AAPL", 100, paid=0.91),
    Planned("AAPL", -1, "C", 0.9, paid=0.8),
    # Calendar.
    Planned("QQQ", -1, "P", 0.0, paid=1.1),
    Planned("QQQ", 1, "P", 0.0, month=1, paid=1.03),
    # Short put spread, twice.
    Planned("MSFT", -2, "P", -0.8, paid=1.15),
    Planned("MSFT", 2, "P", -1.3, paid=1.1),
    # Shares.
    Planned("XLF", 200, paid=0.95),
    Planned("TLT", 50, paid=1.06),
)


PAPER_ACCOUNT = "DU1234567"
_CASH = 86_431.27
_NAKED, _NAKED_FLOOR = 0.20, 0.10
_MAINTENANCE_STOCK, _INITIAL_STOCK = 0.25, 0.50


@dataclass(frozen=True, slots=True)
class UnderlyingLeg:
    """One leg seen from its underlying: a share line has no right."""

    underlying: str
    quantity: float
    price: float
    """Currency per share."""
    spot: float
    multiplier: float = 1.0
    strike: float = 0.0
    right: str = ""
    expiry: str = ""
    fx: float = 1.0
    """Dollars for one unit of its currency, in which *price*, *spot* and *strike* are."""
    currency: str = "USD"
    """As the ledger counts it: pounds for what is quoted in pence."""


def in_dollars(currency: str) -> float:
    """Dollars for one unit of a currency."""
    return 1.0 / PER_DOLLAR[currency]


def margin(lines: Sequence[UnderlyingLeg]) -> tuple[float, float]:
    """
    Initial and maintenance requirement in currency, underlying by underlying.

    The smaller of the worst loss at expiry and the naked requirement, which is what Reg-T with
    recognised spreads comes to. Long options are paid for, not margined.

    Source: Cboe "Margin Manual", short options and spreads.
    """
    initial = maintenance = 0.0
    for symbol in sorted({line.underlying for line in lines}):
        of_symbol = [
            replace(
                line, price=line.price * line.fx, spot=line.spot * line.fx,
                strike=line.strike * line.fx, fx=1.0,
            )
            for line in lines
            if line.underlying == symbol
        ]  # fmt: skip
        stock = sum(abs(x.quantity) * x.spot for x in of_symbol if not x.right)
        option = _option_margin(of_symbol)
        initial += _INITIAL_STOCK * stock + option
        maintenance += _MAINTENANCE_STOCK * stock + option
    return round(initial, 2), round(maintenance, 2)


def _option_margin(lines: Sequence[UnderlyingLeg]) -> float:
    """Requirement of the options of one underlying, its shares counted as cover."""
    shorts = [line for line in lines if line.right and line.quantity < 0]
    if not shorts:
        return 0.0
    naked = sum(_naked(line) for line in shorts if not _covered(line, lines))
    worst = _worst_loss(lines)
    return naked if worst is None else min(naked, worst)


def _covered(short: UnderlyingLeg, lines: Sequence[UnderlyingLeg]) -> bool:
    shares = sum(x.quantity for x in lines if not x.right)
    return short.right == "C" and shares >= -short.quantity * short.multiplier


def _naked(line: UnderlyingLeg) -> float:
    """Premium plus 20 % of the underlying less what is out of the money, or 10 % at least."""
    out = line.strike - line.spot if line.right == "C" else line.spot - line.strike
    floor = _NAKED_FLOOR * (line.spot if line.right == "C" else line.strike)
    need = max(_NAKED * line.spot - max(out, 0.0), floor)
    return -line.quantity * line.multiplier * (line.price + need)


def _worst_loss(lines: Sequence[UnderlyingLeg]) -> float | None:
    """Largest loss at expiry against intrinsic value, None when it has no bound."""
    options = [line for line in lines if line.right]
    kinks = sorted({0.0, *(line.strike for line in options)})
    beyond = kinks[-1] * 2.0 + 1.0
    values = [_payoff(lines, level) for level in (*kinks, beyond)]
    if any(b < a for a, b in pairwise(values[-2:])):
        return None
    # A long leg that dies before the short one it should cover covers nothing.
    longest = max((x.expiry for x in options if x.quantity < 0), default="")
    if any(x.expiry < longest for x in options if x.quantity > 0):
        return None
    return max(0.0, -min(values))


def _payoff(lines: Sequence[UnderlyingLeg], level: float) -> float:
    total = 0.0
    for line in lines:
        if not line.right:
            total += line.quantity * (level - line.spot)
            continue
        sign = 1.0 if line.right == "C" else -1.0
        total += line.quantity * line.multiplier * max(sign * (level - line.strike), 0.0)
    return total


def merged(holdings: Sequence[Holding]) -> list[Holding]:
    """Lines of one contract added up; those that come to nothing are dropped."""
    totals: dict[int, Holding] = {}
    for holding in holdings:
        before = totals.get(holding.con_id)
        quantity = holding.quantity + (before.quantity if before else 0.0)
        totals[holding.con_id] = replace(holding, quantity=quantity)
    return [holding for holding in totals.values() if holding.quantity]


def open_book(
    accounts: Sequence[str],
    currency: str,
    holdings: Sequence[Holding],
    line_of: Callable[[Holding], UnderlyingLeg],
) -> AccountBook:
    """Every account with its summary values in *currency*; the first one has the holdings."""
    values = {}
    for account in accounts:
        lines = [line_of(holding) for holding in holdings if holding.account == account]
        values[account] = _values(lines, currency, _CASH)
    every = [line_of(holding) for holding in holdings]
    ledger = _ledger(every, currency, _CASH * len(accounts))
    return AccountBook(tuple(accounts), values, tuple(holdings), ledger=ledger)


def _ledger(
    lines: Sequence[UnderlyingLeg], currency: str, cash: float
) -> dict[str, dict[str, str]]:
    """
    What all accounts together hold in each currency, and in the base.

    An account with another base keeps some of its cash in that, the rest in dollars.
    """
    at_home = cash if currency == "USD" else 0.25 * cash
    parts: dict[str, tuple[float, float, float]] = {currency: (at_home, 0.0, 0.0)}
    for name in dict.fromkeys(["USD", *(line.currency for line in lines)]):
        own = [line for line in lines if line.currency == name]
        stock = sum(x.quantity * x.price * x.fx for x in own if not x.right)
        option = sum(x.quantity * x.price * x.multiplier * x.fx for x in own if x.right)
        kept = parts.get(name, (0.0, 0.0, 0.0))[0]
        if name == "USD" != currency:
            kept = cash - at_home
        parts[name] = (kept, stock, option)
    total = (cash, sum(part[1] for part in parts.values()), sum(part[2] for part in parts.values()))
    rows: dict[str, dict[str, str]] = {}
    rate = PER_DOLLAR[currency]
    rows["BASE"] = _ledger_row("BASE", total, rate, 1.0)
    for name, amounts in parts.items():
        units = PER_DOLLAR[name]
        rows[name] = _ledger_row(name, amounts, units, rate / units)
    return rows


def _ledger_row(
    name: str, dollars: tuple[float, float, float], units: float, rate: float
) -> dict[str, str]:
    cash, stock, option = (amount * units for amount in dollars)
    return {
        "Currency": name,
        "RealCurrency": name,
        "CashBalance": f"{cash:.4f}",
        "TotalCashBalance": f"{cash:.4f}",
        "AccruedCash": "0.00",
        "NetDividend": "0.00",
        "StockMarketValue": f"{stock:.2f}",
        "OptionMarketValue": f"{option:.2f}",
        "NetLiquidationByCurrency": f"{cash + stock + option:.4f}",
        "UnrealizedPnL": "0.00",
        "RealizedPnL": "0.00",
        "ExchangeRate": f"{rate:.8g}",
    }


_COMBINATION = 28812380
"""Contract id that TWS gives to combinations."""


def day_of_trading(
    holdings: Sequence[Holding], listing_of: Callable[[Holding], Listing | None], now: datetime
) -> tuple[MarketFill, ...]:
    """
    Today's executions behind *holdings*: a calendar opened as one order, shares sold.

    TWS reports the combination as a row of its own beside its legs, corrects one of them later
    under the next number, and gives no profit for what only opened.
    """
    named = [(holding, listing) for holding in holdings if (listing := listing_of(holding))]
    legs = [(h, x) for h, x in named if x.symbol == "QQQ" and x.right]
    shares = [(h, x) for h, x in named if x.symbol == "TLT" and not x.right]
    fills: list[MarketFill] = []
    traded = now - timedelta(hours=2, minutes=7)
    if len(legs) == 2:
        net = round(sum(h.average_cost * h.quantity for h, _ in legs) / 100.0, 2)
        whole = Listing(_COMBINATION, "QQQ", "BAG", "SMART", local_symbol=str(_COMBINATION))
        fills.append(
            MarketFill(
                "0000e215.674f3a10.01.01", legs[0][0].account, traded, 1.0, net, contract=whole,
                exchange="SMART", order_id=41, perm_id=1_733_442_101, client_id=0,
            )
        )  # fmt: skip
        for number, (holding, _) in enumerate(legs, start=2):
            price = round(holding.average_cost / 100.0, 2)
            fill = MarketFill(
                f"0000e215.674f3a10.{number:02}.01", holding.account, traded, holding.quantity,
                price, holding.con_id, order_id=41, perm_id=1_733_442_101, commission=0.65,
            )  # fmt: skip
            if number == 3:
                wrong = replace(fill, price=round(price + 0.05, 2))
                fills += [wrong, replace(fill, exec_id=f"{fill.exec_id[:-2]}02", reported_s=0.4)]
            else:
                fills.append(fill)
    for holding, _ in shares:
        price = round(holding.average_cost * 0.94, 2)
        fills.append(
            MarketFill(
                "0000e215.674f3b77.01.01", holding.account, now - timedelta(minutes=48), -10.0,
                price, holding.con_id, exchange="ARCA", order_id=42, perm_id=1_733_442_118,
                commission=1.0, realized=round((price - holding.average_cost) * 10.0 - 1.0, 2),
                reported_s=-1.0,
            )
        )  # fmt: skip
    return tuple(fills)


def _values(
    lines: Sequence[UnderlyingLeg], currency: str, cash: float
) -> dict[str, tuple[str, str]]:
    rate = PER_DOLLAR[currency]
    initial, maintenance = margin(lines)
    stock = sum(x.quantity * x.price * x.fx for x in lines if not x.right)
    option = sum(x.quantity * x.price * x.multiplier * x.fx for x in lines if x.right)
    gross = sum(abs(x.quantity * x.price * x.multiplier * x.fx) for x in lines)
    net = cash + stock + option
    money = {
        "NetLiquidation": net,
        "TotalCashValue": cash,
        "SettledCash": cash,
        "AccruedCash": 0.0,
        "EquityWithLoanValue": cash + stock,
        "PreviousDayEquityWithLoanValue": cash + stock,
        "StockMarketValue": stock,
        "OptionMarketValue": option,
        "GrossPositionValue": gross,
        "RegTEquity": cash + stock,
        "RegTMargin": initial,
        "SMA": max(net - initial, 0.0),
    }
    for kind in ("", "Full", "LookAhead"):
        money[f"{kind}InitMarginReq"] = initial
        money[f"{kind}MaintMarginReq"] = maintenance
        money[f"{kind}AvailableFunds"] = net - initial
        money[f"{kind}ExcessLiquidity"] = net - maintenance
    money["BuyingPower"] = max(net - initial, 0.0) * 4.0
    plain = {
        "AccountType": ("INDIVIDUAL", ""),
        "Cushion": (f"{(net - maintenance) / net:.6f}", ""),
        "LookAheadNextChange": ("0", ""),
        "DayTradesRemaining": ("-1", ""),
        "Leverage": (f"{gross / net:.2f}", ""),
        "Currency": (currency, currency),
        "ExchangeRate": (f"{rate:.4f}", "USD"),
        **{
            # A tag may come several times: what follows the blank tells them apart.
            f"ExchangeRate {other}": (f"{rate / per_dollar:.6f}", other)
            for other, per_dollar in PER_DOLLAR.items()
            if other != "USD" and any(x.fx != 1.0 for x in lines)
        },
    }
    return plain | {tag: (f"{value * rate:.2f}", currency) for tag, value in money.items()}
