"""Settings of the connection: where the gateway is and how fast it may be asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tomic.config.section import Seconds, Section

Port = Annotated[int, Field(ge=1, le=65535)]
ClientId = Annotated[int, Field(ge=1, le=2**31 - 1)]


class IbSettings(Section):
    """TWS or IB Gateway: address, client ids and patience."""

    host: str = Field(default="127.0.0.1", min_length=1)
    """Computer on which TWS or IB Gateway runs."""
    port: Port = 7497
    """TWS paper 7497, TWS live 7496, IB Gateway paper 4002, IB Gateway live 4001."""
    client_id: ClientId = 100
    """First client id to try."""
    last_client_id: ClientId = 131
    """Last client id to try when the earlier ones are in use (error 326); below client_id: none."""
    connect_timeout_s: Seconds = 10.0
    """Seconds until the gateway must have said that it is ready."""
    request_timeout_s: Seconds = 10.0
    """Seconds for the answer to one plain request: stock details, time, account values."""
    params_timeout_s: Seconds = 20.0
    """Seconds for the list of expiries and strikes."""
    history_timeout_s: Seconds = 60.0
    """Seconds for one series of historical bars."""
    account: str = Field(default="", pattern=r"^[A-Za-z0-9]*$")
    """Account to look at; empty means all accounts of the login."""
    reconnect_pauses_s: tuple[Seconds, ...] = (2.0, 5.0, 10.0)
    """Seconds to wait before each attempt to connect again, within the deadline."""
    reset_window: str = Field(
        default="00:15-01:45", pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"
    )
    """Nightly server reset, New York time; named in the message when the line drops then."""


class LimitsSettings(Section):
    """What may be asked of the gateway at once; IB's own limits are the upper bounds."""

    messages_per_s: float = Field(default=48.0, ge=1.0, le=50.0)
    """Messages a second, all kinds together; IB allows 50."""
    lines: int = Field(default=60, ge=1, le=90)
    """Market-data lines open at once; IB gives 100, shared with the windows of TWS."""
    lines_at_end: int = Field(default=85, ge=1, le=90)
    """Lines for the last options of a run, held for about a second; kept to `lines` below 60."""
    details_at_once: int = Field(default=5, ge=1, le=50)
    """Contract-details requests open at once."""
    open_details_per_symbol: int = Field(default=2, ge=1, le=5)
    """Requests for a whole expiry open at once per symbol; IB throttles these."""
    history_at_once: int = Field(default=6, ge=1, le=50)
    """Historical requests open at once; IB allows 50."""
    history_per_10_min: int = Field(default=55, ge=1, le=60)
    """Historical requests in ten minutes; IB allows 60."""
    liveness_s: Seconds = 10.0
    """Seconds of silence after which the gateway is asked for a sign of life."""
