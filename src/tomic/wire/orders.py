"""
Orders on the wire, read and written as far as a gateway that never trades needs them.

The what-if answer is the only order message that a client of this gateway ever gets back.
"""

from __future__ import annotations

from dataclasses import dataclass

from tomic.wire.answers import ANSWERS
from tomic.wire.framing import Fields
from tomic.wire.layout import UNSET, Cursor, Layout, message, number_text
from tomic.wire.requests import REQUESTS, ContractSpec


@dataclass(frozen=True, slots=True)
class OrderComboLeg:
    """One leg of a combination in an order."""

    con_id: int
    ratio: int
    action: str
    exchange: str
    open_close: int = 0
    short_sale_slot: int = 0
    location: str = ""
    exempt_code: int = -1


_CONTRACT = Layout(ContractSpec)
_LEG = Layout(OrderComboLeg)
_TERMS = 5  # order type, limit, auxiliary price, time in force, OCA group
_FLAGS = 11  # open/close, origin, reference, transmit, ... hidden


class _PlaceOrderCodec:
    """Walks over the fields whose number depends on other fields."""

    def encode(self, value: PlaceOrder, out: list[str], version: int) -> None:
        out.append(str(value.order_id))
        _CONTRACT.encode(value.contract, out, version)
        out += [*value.security_id, value.action, number_text(value.quantity)]
        out += [*value.terms, value.account, *value.flags]
        if value.contract.sec_type == "BAG":
            out.append(str(len(value.legs)))
            for leg in value.legs:
                _LEG.encode(leg, out, version)
            out += [str(len(value.leg_prices)), *value.leg_prices]
            out += [str(len(value.routing) // 2), *value.routing]
        out += [*value.between, "1" if value.what_if else "0", *value.after]

    def decode(self, cursor: Cursor) -> PlaceOrder:
        order_id = cursor.integer()
        contract = _CONTRACT.decode(cursor)
        security_id = _some(cursor, 2)
        action, quantity = cursor.text(), cursor.number()
        terms, account, flags = _some(cursor, _TERMS), cursor.text(), _some(cursor, _FLAGS)
        legs: tuple[OrderComboLeg, ...] = ()
        prices: Fields = ()
        routing: Fields = ()
        if contract.sec_type == "BAG":
            legs = tuple(_LEG.decode(cursor) for _ in range(cursor.count()))
            prices = _some(cursor, cursor.count())
            routing = _some(cursor, 2 * cursor.count())
        return PlaceOrder(
            order_id=order_id,
            contract=contract,
            action=action,
            quantity=quantity,
            account=account,
            legs=legs,
            between=_between(cursor),
            what_if=cursor.flag(),
            security_id=security_id,
            terms=terms,
            flags=flags,
            leg_prices=prices,
            routing=routing,
            after=cursor.rest(),
        )


def _some(cursor: Cursor, count: int) -> Fields:
    return tuple(cursor.text() for _ in range(count))


def _between(cursor: Cursor) -> Fields:
    """Share allocation to algorithm id: each optional group follows the field that announces it."""
    kept: list[str] = []

    def take(count: int) -> str:
        kept.extend(_some(cursor, count))
        return kept[-1]

    take(7 if cursor.version >= 177 else 8)  # shares allocation ... advisor percentage or profile
    neutral = take(23)  # model code ... delta-neutral order type
    take(1)
    if neutral:
        take(8)
    take(6)  # continuous update ... scale sizes
    increment = take(1)
    if increment and 0.0 < _number(increment) < UNSET:
        take(7)
    hedge = take(4)  # scale table ... hedge type
    if hedge:
        take(1)
    take(4)  # smart routing, clearing, not held
    if take(1) in {"1", "True", "true"}:
        take(3)  # delta-neutral contract
    if take(1):  # algorithm
        count = int(_number(take(1)))
        if count > 0:
            take(2 * min(count, 1000))
    take(1)
    return tuple(kept)


def _number(text: str) -> float:
    return Cursor((text,), 0).number()


@message(REQUESTS, 3, numbered=True, codec=_PlaceOrderCodec())
class PlaceOrder:
    """
    An order, named as far as its what-if flag; the other fields are kept as they came.

    *terms* are order type, limit price, auxiliary price, time in force and OCA group.
    """

    order_id: int
    contract: ContractSpec
    action: str
    quantity: float
    account: str = ""
    legs: tuple[OrderComboLeg, ...] = ()
    what_if: bool = False
    security_id: Fields = ("", "")
    terms: Fields = ("MKT", "", "", "", "")
    flags: Fields = ("",) * _FLAGS
    leg_prices: Fields = ()
    routing: Fields = ()
    between: Fields = ()
    after: Fields = ()


@dataclass(frozen=True, slots=True)
class Margins:
    """Margin before, change and after, and the commission; unset while it is being computed."""

    before: tuple[float, float, float] = (UNSET, UNSET, UNSET)
    """Initial, maintenance, equity with loan."""
    change: tuple[float, float, float] = (UNSET, UNSET, UNSET)
    after: tuple[float, float, float] = (UNSET, UNSET, UNSET)
    commission: float = UNSET
    currency: str = ""


class _WhatIfCodec:
    def encode(self, value: WhatIfOrder, out: list[str], version: int) -> None:
        _open_order_head(value, out, version)
        _open_order_legs(value, out)
        _open_order_margins(value, out)
        _open_order_tail(out, version)

    def decode(self, cursor: Cursor) -> WhatIfOrder:
        """Not needed by a gateway; kept as texts so that a recorded answer can be read."""
        order_id = cursor.integer()
        return WhatIfOrder(PlaceOrder(order_id, ContractSpec(), "", 0.0, after=cursor.rest()))


@message(ANSWERS, 5, numbered=True, codec=_WhatIfCodec())
class WhatIfOrder:
    """The open order that answers a what-if: the order repeated, with its margins."""

    order: PlaceOrder
    margins: Margins = Margins()
    client_id: int = 0
    perm_id: int = 0
    status: str = "PreSubmitted"


def _open_order_head(value: WhatIfOrder, out: list[str], version: int) -> None:
    order, contract = value.order, value.order.contract
    kind, limit, auxiliary, tif, oca = order.terms
    out += [str(order.order_id), str(contract.con_id), contract.symbol, contract.sec_type]
    out += [contract.expiry, number_text(contract.strike), contract.right or "?"]
    out += [contract.multiplier, contract.exchange, contract.currency or "USD"]
    out += [contract.local_symbol, contract.trading_class]
    out += [order.action, number_text(order.quantity)]
    out += [kind, limit or "0.0", auxiliary or "0.0", tif or "DAY", oca, order.account]
    out += ["", "0", ""]  # open or close, origin, reference
    out += [str(value.client_id), str(value.perm_id)]
    out += ["0", "0", "0"]  # outside regular hours, hidden, discretionary amount
    out += ["", "", "", "", ""]  # good after, share allocation, advisor group, method, percentage
    if version < 177:
        out.append("")  # advisor profile
    out += ["", "", "", "", "", "0", "", "-1", "0"]  # model code ... auction strategy
    out += ["", "", "", "", "", "0", "0", "0", "0"]  # starting price ... all or none
    out += ["", "3", "0", "0", "", "0", "0"]  # minimum quantity ... trigger method
    out += ["", "0", "None", ""]  # volatility, its type, delta-neutral order type and price
    out += ["0", "", "", "", "?", "0", "0", ""]  # the group that "None" announces all the same
    out += ["0", "0", "", ""]  # continuous update ... trailing percent


def _open_order_legs(value: WhatIfOrder, out: list[str]) -> None:
    order = value.order
    out += ["", "", ""]  # basis points, their type, description of the legs
    out.append(str(len(order.legs)))
    for leg in order.legs:
        _LEG.encode(leg, out, 0)
    out += ["0", "0"]  # leg prices, routing parameters
    out += ["", "", ""]  # scale sizes and increment
    out += ["", "0", order.account, "IB", "0"]  # hedge, smart routing, clearing, not held
    out += ["0", "", "0"]  # delta-neutral contract, algorithm, solicited


def _open_order_margins(value: WhatIfOrder, out: list[str]) -> None:
    margins = value.margins
    out += ["1", value.status]
    for group in (margins.before, margins.change, margins.after):
        out += [number_text(amount) for amount in group]
    commission = "" if margins.commission == UNSET else number_text(margins.commission)
    out += [commission, "", "", margins.currency, ""]


def _open_order_tail(out: list[str], version: int) -> None:
    out += ["0", "0"]  # randomised size and price
    out.append("0")  # conditions
    out += ["None", "", "", "", "", "", "", "0"]  # adjusted order ... trailing unit
    out += ["", "", "", ""]  # soft dollar tier, cash quantity
    out += ["0", "0", "0", "0"]  # hedge price, container, discretionary limit, price management
    if version >= 159:
        out.append("")  # duration
    if version >= 160:
        out.append("")  # post to ATS
    if version >= 162:
        out.append("0")  # cancelled with its parent
    if version >= 170:
        out += ["", "", "", "", ""]  # minimum quantities and offsets
