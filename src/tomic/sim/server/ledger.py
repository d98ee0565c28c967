"""
Accounts, positions, executions and the what-if answer; every real order is refused and counted.

Source: TWS API, "Executions and Commissions".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from tomic.sim import faults
from tomic.sim.market import AccountBook, Holding, Listing, MarketFill, Quote
from tomic.sim.server.limits import Times
from tomic.sim.server.lookup import complaint, conflict, find, subject_of
from tomic.sim.server.state import ANSWERLESS, Client, Handlers
from tomic.wire import answers, requests
from tomic.wire.layout import UNSET
from tomic.wire.orders import Margins, PlaceOrder, WhatIfOrder
from tomic.wire.requests import ContractSpec

LEDGER_TAGS = (
    "AccruedCash", "CashBalance", "ExchangeRate", "NetDividend", "NetLiquidationByCurrency",
    "OptionMarketValue", "RealizedPnL", "StockMarketValue", "TotalCashBalance", "UnrealizedPnL",
)  # fmt: skip
EVERY_ACCOUNT = "All"
"""How TWS names the account of ledger rows, which are those of the whole login."""
COMMISSION = 0.65
"""Dollars per option contract in a what-if answer."""
_SHARE_COMMISSION, _LEAST_COMMISSION = 0.005, 1.0
"""Dollars per share, and per order of shares at least."""
_CASH_COMMISSION = 2.0
"""Dollars per order of currencies: the least that IB takes."""
_CURRENCIES = "IDEALPRO"
"""Where currencies trade; orders sent there are not called directly routed."""
_READ_ONLY = "The API interface is currently in Read-Only mode."


class Ledger:
    """Answers what belongs to an account, for one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._market = client.gateway.market
        self._summaries: set[int] = set()

    def handlers(self) -> Handlers:
        """What this part answers, including messages that TWS accepts silently."""
        return {
            requests.ReqPositions: ("positions", self._soon(self._positions)),
            requests.ReqPositionsMulti: self._opened("positions", self._positions_multi),
            requests.ReqAccountSummary: ("account_summary", self._summary),
            requests.CancelAccountSummary: ("cancel_account_summary", self._cancel_summary),
            requests.ReqAccountUpdates: ("account_updates", self._soon(self._updates)),
            requests.ReqAccountUpdatesMulti: self._opened("account_updates", self._updates_multi),
            requests.ReqCurrentTime: ("current_time", self._time),
            requests.ReqManagedAccounts: ("managed_accounts", self._managed),
            requests.ReqIds: ("ids", self._always(answers.NextValidId(1))),
            requests.ReqOpenOrders: ("open_orders", self._always(answers.OpenOrderEnd())),
            requests.ReqAllOpenOrders: ("open_orders", self._always(answers.OpenOrderEnd())),
            requests.ReqCompletedOrders: (
                "completed_orders",
                self._always(answers.CompletedOrdersEnd()),
            ),
            requests.ReqExecutions: ("executions", self._executions),
            requests.ReqPnL: self._opened("pnl", self._pnl),
            requests.ReqPnLSingle: self._opened("pnl", self._pnl_single),
            requests.CancelPnLSingle: self._closed("pnl"),
            requests.ReqUserInfo: ("user_info", self._user_info),
            PlaceOrder: ("place_order", self._order),
            requests.CancelOrder: (ANSWERLESS, self._cancel_order),
            requests.CancelPositions: (ANSWERLESS, _nothing),
            requests.CancelPositionsMulti: self._closed("positions"),
            requests.CancelAccountUpdatesMulti: self._closed("account_updates"),
            requests.CancelPnL: self._closed("pnl"),
            requests.SetLogLevel: (ANSWERLESS, _nothing),
            requests.ReqAutoOpenOrders: (ANSWERLESS, _nothing),
            requests.GlobalCancel: (ANSWERLESS, _nothing),
        }

    def _always(self, answer: object) -> Callable[[Any], None]:
        return lambda _: self._client.send(answer)

    def _soon(self, call: Callable[[Any], None]) -> Callable[[Any], None]:
        def handler(request: Any) -> None:
            span = self._client.gateway.profile.account_s
            self._client.later(self._client.draw(span), call, request)

        return handler

    def _opened(self, kind: str, call: Callable[[Any], None]) -> tuple[str, Callable[[Any], None]]:
        """Answer soon, and keep the request id in use until its cancel."""

        def answer(request: Any) -> None:
            if self._client.open.get(request.req_id) == kind:
                call(request)

        soon = self._soon(answer)

        def handler(request: Any) -> None:
            if self._client.begin(request.req_id, kind):
                soon(request)

        return kind, handler

    def _closed(self, kind: str) -> tuple[str, Callable[[Any], None]]:
        """Free a request id; an unknown one is ignored, as in TWS."""

        def handler(request: Any) -> None:
            if self._client.open.get(request.req_id) == kind:
                self._client.end(request.req_id)

        return ANSWERLESS, handler

    # the clock and the login

    def _time(self, _: requests.ReqCurrentTime) -> None:
        drift = sum(
            fault.seconds for fault in self._client.gateway.interference.of(faults.ClockDrift)
        )
        self._client.send(answers.CurrentTime(round(self._market.now().timestamp() + drift)))

    def _managed(self, _: requests.ReqManagedAccounts) -> None:
        self._client.send(answers.ManagedAccounts(",".join(self._market.accounts())))

    # executions

    def _executions(self, request: requests.ReqExecutions) -> None:
        client = self._client
        if not client.begin(request.req_id, "executions"):
            return
        if is_blank(request) and client.gateway.interference.of(faults.BlankFilterIgnored):
            return
        span = client.gateway.profile.account_s
        client.later(client.draw(span), self._executions_now, request)

    def _executions_now(self, request: requests.ReqExecutions) -> None:
        """Every row with its commission before or after it, the end, then what comes late."""
        client, late = self._client, list[tuple[float, answers.CommissionReport]]()
        for fill, listing in self._fills():
            if not fits(fill, listing, request):
                continue
            row = execution_row(request.req_id, fill, listing, client.gateway.times)
            cost = commission_row(fill, listing)
            early = fill.reported_s < 0.0
            if cost is not None and early:
                client.send(cost)
            client.send(row)
            if cost is not None and not early:
                late.append((fill.reported_s, cost))
                if fill.reported_s == 0.0:
                    client.send(late.pop()[1])
        client.end(request.req_id)
        client.send(answers.ExecutionsEnd(request.req_id))
        for seconds, cost in late:
            client.later(seconds, client.send, cost)

    def _fills(self) -> Iterator[tuple[MarketFill, Listing]]:
        for fill in self._market.book().fills:
            listing = fill.contract or self._listing(fill.con_id)
            if listing is not None:
                yield fill, listing

    def _listing(self, con_id: int) -> Listing | None:
        return next(iter(self._market.find(ContractSpec(con_id=con_id))), None)

    def _user_info(self, request: requests.ReqUserInfo) -> None:
        if self._client.begin(request.req_id, "user_info"):
            self._client.end(request.req_id)
            self._client.send(answers.UserInfo(request.req_id))

    def _pnl(self, request: requests.ReqPnL) -> None:
        self._client.send(answers.PnL(request.req_id))

    def _pnl_single(self, request: requests.ReqPnLSingle) -> None:
        """Of a contract that is not held the position is zero and the rest unset."""
        held = [
            (holding, listing)
            for holding, listing in self._holdings(request.account)
            if holding.con_id == request.con_id
        ]
        if not held:
            self._client.send(answers.PnLSingle(request.req_id, 0.0))
            return
        holding, listing = held[0]
        quote = self._market.quote(holding.con_id) or Quote()
        row = _portfolio(holding, listing, quote, self._last_trade(listing))
        self._client.send(
            answers.PnLSingle(
                request.req_id,
                row.position,
                unrealized=row.unrealized,
                realized=row.realized,
                value=row.value,
            )
        )

    # positions

    def _holdings(self, account: str = "") -> Iterator[tuple[Holding, Listing]]:
        for holding in self._market.book().holdings:
            listing = self._listing(holding.con_id)
            if listing is not None and account in ("", "All", holding.account):
                yield holding, listing

    def _last_trade(self, listing: Listing) -> str:
        """Its last trading day, which near its end is that of the login's zone."""
        return self._client.gateway.times.last_trade(listing, self._market.now().date())[:8]

    def _positions(self, _: requests.ReqPositions) -> None:
        for holding, listing in self._holdings():
            self._client.send(
                answers.PositionData(*_position(holding, listing, self._last_trade(listing)))
            )
        self._client.send(answers.PositionEnd())

    def _positions_multi(self, request: requests.ReqPositionsMulti) -> None:
        for holding, listing in self._holdings(request.account):
            row = (*_position(holding, listing, self._last_trade(listing)), request.model)
            self._client.send(answers.PositionMulti(request.req_id, *row))
        self._client.send(answers.PositionMultiEnd(request.req_id))

    # values

    def _summary(self, request: requests.ReqAccountSummary) -> None:
        client = self._client
        if not client.begin(request.req_id, "account_summary"):
            return
        if len(self._summaries) >= client.gateway.limits.summaries:
            client.end(request.req_id)
            most = f"more than {client.gateway.limits.summaries} account summaries open"
            client.gateway.violated(client, "summaries", most)
            client.error(request.req_id, 322, "Maximum number of account summary requests exceeded")
            return
        if request.group != "All":
            client.end(request.req_id)
            client.error(request.req_id, 321, f"Invalid group: {request.group}")
            return
        self._summaries.add(request.req_id)
        client.later(client.draw(client.gateway.profile.account_s), self._summary_now, request)

    def _summary_now(self, request: requests.ReqAccountSummary) -> None:
        if request.req_id not in self._summaries:
            return
        tags = [tag.strip() for tag in request.tags.split(",") if tag.strip()]
        wanted = {tag for tag in tags if not tag.startswith("$LEDGER")}
        ledgers = [tag for tag in tags if tag.startswith("$LEDGER")]
        book = self._market.book()
        real = self._client.gateway.profile.is_real and bool(book.ledger)
        if ledgers and not real:
            wanted.update(LEDGER_TAGS)
        for account, values in book.values.items():
            for tag, (value, currency) in values.items():
                name = tag.partition(" ")[0]
                if name in wanted:
                    row = answers.SummaryValue(request.req_id, account, name, value, currency)
                    self._client.send(row)
        for ledger in ledgers if real else ():
            self._send_ledger(request.req_id, book, ledger.partition(":")[2] or "BASE")
        self._client.send(answers.SummaryEnd(request.req_id))

    def _send_ledger(self, req_id: int, book: AccountBook, currency: str) -> None:
        """What all accounts hold together, which TWS reports under a name of its own."""
        for name, values in book.ledger.items():
            if currency in ("ALL", name):
                for tag, value in values.items():
                    self._client.send(answers.SummaryValue(req_id, EVERY_ACCOUNT, tag, value, name))

    def _cancel_summary(self, request: requests.CancelAccountSummary) -> None:
        self._summaries.discard(request.req_id)
        if not self._client.end(request.req_id):
            self._client.error(request.req_id, 300, request.req_id)

    def _account(self, named: str) -> str | None:
        accounts = self._market.accounts()
        if named in ("", "All"):
            return accounts[0] if accounts else None
        return named if named in accounts else None

    def _updates(self, request: requests.ReqAccountUpdates) -> None:
        if not request.subscribe:
            return
        account = self._account(request.account)
        if account is None:
            self._client.error(-1, 321, f"Invalid account code '{request.account}'")
            return
        for tag, (value, currency) in self._market.book().values.get(account, {}).items():
            name = tag.partition(" ")[0]
            self._client.send(answers.AccountValue(name, value, currency, account))
        for holding, listing in self._holdings(account):
            quote = self._market.quote(holding.con_id) or Quote()
            self._client.send(_portfolio(holding, listing, quote, self._last_trade(listing)))
        self._client.send(answers.AccountTime(self._market.now().strftime("%H:%M")))
        self._client.send(answers.AccountDownloadEnd(account))

    def _updates_multi(self, request: requests.ReqAccountUpdatesMulti) -> None:
        account = self._account(request.account)
        if account is None:
            self._client.end(request.req_id)
            self._client.error(request.req_id, 321, f"Invalid account code '{request.account}'")
            return
        for tag, (value, currency) in self._market.book().values.get(account, {}).items():
            name = tag.partition(" ")[0]
            row = answers.AccountMulti(
                request.req_id, account, request.model, name, value, currency
            )
            self._client.send(row)
        self._client.send(answers.AccountMultiEnd(request.req_id))

    # orders

    def _order(self, order: PlaceOrder) -> None:
        client, gateway = self._client, self._client.gateway
        if not order.what_if:
            gateway.orders += 1
            gateway.orders_seen.append(order)
            client.error(order.order_id, 201, "this simulated gateway never takes an order")
            return
        gateway.what_ifs += 1
        if gateway.read_only:
            client.error(order.order_id, 321, _READ_ONLY)
            return
        objection = complaint(order.contract)
        if not (objection or order.contract.exchange):
            objection = "Please enter exchange"
        if objection:
            client.error(order.order_id, 321, objection)
            return
        legs = self._legs(order)
        account = self._account(order.account)
        if not legs or account is None:
            client.error(order.order_id, 200)
            return
        listing = self._listing(order.contract.con_id)
        contradiction = conflict(order.contract, listing) if listing is not None else ""
        if contradiction:
            client.error(order.order_id, 478, text=contradiction)
            return
        change = self._market.whatif_margin(account, legs)
        if change is None:
            client.error(order.order_id, 201, "margin cannot be computed")
            return
        subject = subject_of(self._market, order)
        warned = gateway.interference.aimed(faults.OrderWarned, "place_order", subject)
        codes = warned.codes if warned is not None else self._warnings(order, legs)
        for code in codes:
            text = warned.text if warned is not None else ""
            client.error(order.order_id, code, order.contract.exchange, text=text)
        if warned is not None and not warned.margins:
            return
        self._what_if(order, account, change, self._commission(legs))

    def _warnings(self, order: PlaceOrder, legs: Sequence[tuple[int, float]]) -> Iterator[int]:
        """
        What TWS says of an order before its margins, which it computes all the same.

        10349, about a time in force, depends on a setting of TWS and is left to a fault.
        """
        if not self._client.gateway.profile.is_real:
            return
        if order.contract.exchange not in ("SMART", _CURRENCIES):
            yield 10311
        if not all(self._market.is_open(con_id) for con_id, _ in legs):
            yield 399

    def _commission(self, legs: Sequence[tuple[int, float]]) -> float:
        """Of options by the contract, of shares and currencies by the order."""
        listings = [(self._listing(con_id), quantity) for con_id, quantity in legs]
        if any(listing is not None and listing.sec_type == "CASH" for listing, _ in listings):
            return _CASH_COMMISSION
        options = sum(abs(n) for listing, n in listings if listing and listing.sec_type == "OPT")
        shares = sum(abs(n) for listing, n in listings if listing and listing.sec_type == "STK")
        shares_cost = max(_SHARE_COMMISSION * shares, _LEAST_COMMISSION) if shares else 0.0
        return COMMISSION * options + shares_cost

    def _legs(self, order: PlaceOrder) -> list[tuple[int, float]]:
        signs = {"BUY": 1.0, "SELL": -1.0}
        lot = signs.get(order.action, 0.0) * order.quantity
        if order.contract.sec_type == "BAG":
            legs = [
                (leg.con_id, lot * leg.ratio * signs.get(leg.action, 0.0)) for leg in order.legs
            ]
        else:
            # A contract need not be named by its id.
            fitting = find(self._market, order.contract)
            legs = [(fitting[0].con_id, lot)] if len(fitting) == 1 else []
        return (
            legs
            if legs and all(self._listing(con_id) and amount for con_id, amount in legs)
            else []
        )

    def _what_if(
        self, order: PlaceOrder, account: str, change: tuple[float, float], commission: float
    ) -> None:
        """TWS answers twice: first with unset margins, then with the real ones."""
        client = self._client
        values = self._market.book().values.get(account, {})
        before = (
            _number(values, "InitMarginReq"),
            _number(values, "MaintMarginReq"),
            _number(values, "EquityWithLoanValue"),
        )
        moved = (change[0], change[1], -commission)
        after = (before[0] + moved[0], before[1] + moved[1], before[2] + moved[2])
        base = values.get("NetLiquidation", ("", "USD"))[1]
        margins = Margins(before, moved, after, commission, base)
        client_id = client.client_id or 0
        client.send(WhatIfOrder(order, client_id=client_id))
        client.send(WhatIfOrder(order, margins, client_id=client_id))
        status = answers.OrderStatus(
            order.order_id, "PreSubmitted", remaining=order.quantity, client_id=client_id
        )
        client.send(status)

    def _cancel_order(self, request: requests.CancelOrder) -> None:
        self._client.error(request.order_id, 10147, request.order_id)


def _nothing(_: object) -> None:
    """TWS accepts the message silently."""


def _number(values: dict[str, tuple[str, str]], tag: str) -> float:
    try:
        return float(values[tag][0])
    except (KeyError, ValueError):
        return 0.0


def _described(listing: Listing, exchange: str, last_trade: str = "") -> answers.ContractRow:
    return answers.ContractRow(
        listing.con_id,
        listing.symbol,
        listing.sec_type,
        last_trade or listing.expiry_text,
        listing.strike,
        listing.right,
        listing.multiplier,
        exchange,
        listing.currency,
        listing.local_symbol,
        listing.trading_class,
    )


def _position(
    holding: Holding, listing: Listing, last_trade: str
) -> tuple[str, answers.ContractRow, float, float]:
    """The fields of a position; IB leaves its exchange empty."""
    described = _described(listing, "", last_trade)
    return holding.account, described, holding.quantity, holding.average_cost


def _portfolio(
    holding: Holding, listing: Listing, quote: Quote, last_trade: str
) -> answers.PortfolioValue:
    """A position at its market price: the mid, else the last, else the close, else its cost."""
    factor = float(listing.multiplier or 1)
    price = holding.average_cost / factor
    if quote.bid is not None and quote.ask is not None:
        price = (quote.bid + quote.ask) / 2.0
    else:
        price = next((known for known in (quote.last, quote.close) if known is not None), price)
    if price != holding.average_cost / factor:
        price /= listing.magnifier
    value = price * factor * holding.quantity
    return answers.PortfolioValue(
        contract=_described(listing, _primary_of(listing), last_trade),
        position=holding.quantity,
        price=price,
        value=value,
        average_cost=holding.average_cost,
        unrealized=value - holding.average_cost * holding.quantity,
        realized=0.0,
        account=holding.account,
    )


def _primary_of(listing: Listing) -> str:
    """
    The exchange that TWS names with a position: never SMART.

    Options have no primary one in their details; of a position TWS gives a venue all the same.
    """
    venues = [name for name in listing.valid_exchanges.split(",") if name not in ("", "SMART")]
    named = listing.primary_exchange or listing.exchange
    return venues[0] if named in ("", "SMART") and venues else named


def is_blank(request: requests.ReqExecutions) -> bool:
    """Whether the filter of a request names nothing."""
    return not any((request.client_id, request.account, request.time, request.symbol,
                    request.sec_type, request.exchange, request.side))  # fmt: skip


def fits(fill: MarketFill, listing: Listing, request: requests.ReqExecutions) -> bool:
    """Whether a request means this execution; an empty field of its filter means every one."""
    side = "BUY" if fill.quantity > 0 else "SELL"
    pairs = (
        (request.client_id or None, fill.client_id),
        (request.account, fill.account),
        (request.symbol, listing.symbol),
        (request.sec_type, listing.sec_type),
        (request.exchange, fill.exchange),
        (request.side, side),
    )
    return all(wanted in (None, "", value) for wanted, value in pairs)


def execution_row(
    req_id: int, fill: MarketFill, listing: Listing, times: Times
) -> answers.ExecutionData:
    """One execution on the wire."""
    return answers.ExecutionData(
        req_id=req_id,
        order_id=fill.order_id,
        contract=replace(_described(listing, fill.exchange), right=listing.right or "?"),
        exec_id=fill.exec_id,
        time=fill.time_text or times.execution(fill.at, listing.time_zone_id),
        account=fill.account,
        executed_at=fill.exchange,
        side="BOT" if fill.quantity > 0 else "SLD",
        shares=abs(fill.quantity),
        price=fill.price,
        perm_id=fill.perm_id,
        client_id=fill.client_id,
        cumulative=abs(fill.quantity),
        average=fill.price,
    )


def commission_row(fill: MarketFill, listing: Listing) -> answers.CommissionReport | None:
    """The report of its commission; None where this client gets none."""
    if fill.commission is None:
        return None
    currency = fill.commission_currency or listing.currency
    realized = UNSET if fill.realized is None else fill.realized
    return answers.CommissionReport(fill.exec_id, fill.commission, currency, realized)
