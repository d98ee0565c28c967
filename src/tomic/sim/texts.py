"""The sentences that TWS says with its error codes; braces take the details of the case."""

from __future__ import annotations

TEXTS: dict[int, str] = {
    100: "Max rate of messages per second has been exceeded:max={} rec={} ({})",
    101: "Max number of tickers has been reached",
    105: "Order being modified does not match original order",
    110: "The price does not conform to the minimum price variation for this contract.",
    162: "Historical Market Data Service error message:{}",
    165: "Historical Market Data Service query message:{}",
    200: "No security definition has been found for the request",
    201: "Order rejected - reason:{}",
    300: "Can't find EId with tickerId:{}",
    320: "Error reading request:{}",
    321: "Error validating request.-'bN' : cause - {}",
    322: "Error processing request.-'bE' : cause - {}",
    326: "Unable to connect as the client id is already in use. Retry with a unique client id.",
    329: "Order modify failed. Cannot change to the new order type.",
    354: "Requested market data is not subscribed.{}",
    366: "No historical data query found for ticker id:{}",
    383: "The following order '{}' size exceeds the size limit of 500. Restriction is specified in "
    "Precautionary Settings of Global Configuration/Presets.",
    399: "Order Message:\nWarning: your order will not be placed at the exchange until "
    "2026-11-23 09:30:00 US/Eastern",
    404: "Order held while securities are located.",
    434: "The order size cannot be zero.",
    492: "You must enter a valid price.",
    501: "Already connected.",
    504: "Not connected",
    505: "Fatal Error: Unknown message id.",
    1100: "Connectivity between IBKR and Trader Workstation has been lost.",
    1101: "Connectivity between IBKR and Trader Workstation has been restored - data lost.",
    1102: "Connectivity between IBKR and Trader Workstation has been restored - data maintained. "
    "All data farms are connected: usfarm; ushmds; secdefil.",
    1300: "TWS socket port has been reset and this connection is being dropped. Please reconnect "
    "on the new port - {}",
    2103: "Market data farm connection is broken:usfarm",
    2104: "Market data farm connection is OK:usfarm",
    2105: "HMDS data farm connection is broken:ushmds",
    2106: "HMDS data farm connection is OK:ushmds",
    2107: "HMDS data farm connection is inactive but should be available upon demand.ushmds",
    2108: "Market data farm connection is inactive but should be available upon demand.usfarm",
    2110: "Connectivity between Trader Workstation and server is broken. It will be restored "
    "automatically.",
    2150: "Invalid position trade derived value",
    2157: "Sec-def data farm connection is broken:secdefil",
    2158: "Sec-def data farm connection is OK:secdefil",
    10089: "Requested market data requires additional subscription for API. See link in 'Market "
    "Data Connections' dialog for more details.{}",
    10090: "Part of requested market data is not subscribed. Subscription-independent ticks are "
    "still active.{}",
    10091: "Part of requested market data requires additional subscription for API. "
    "Subscription-independent ticks are still active.{}",
    10147: "OrderId {} that needs to be cancelled is not found.",
    10167: "Requested market data is not subscribed. Displaying delayed market data.{}",
    10168: "Requested market data is not subscribed. Delayed market data is not enabled.{}",
    10186: "Requested market data is not subscribed. Delayed market data is not enabled.{}",
    10197: "No market data during competing live session",
    10225: "Bust event occurred, current subscription is deactivated. Please resubscribe real-time "
    "bars immediately.",
    10276: "News feed is not allowed.",
    10311: "This order will be directly routed to {}. Direct routed orders may result in higher "
    "trade fees.",
    10349: "Order TIF was set to DAY based on order preset.",
}
AMBIGUOUS = (
    "The contract description specified for {} is ambiguous; you must specify the multiplier or "
    "currency."
)
"""The other thing that code 200 can mean."""


def text_of(code: int, *details: object) -> str:
    """What TWS says with *code*; details that the sentence has no room for are left out."""
    template = TEXTS.get(code, f"Error {code}")
    room = template.count("{}")
    filled = [str(detail) for detail in details[:room]] + [""] * (room - len(details))
    return template.format(*filled)
