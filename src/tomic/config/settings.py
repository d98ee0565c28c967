"""
The root of all settings, and its sections about this computer: the connection, files, log and jobs.
"""

from __future__ import annotations

import datetime as dt
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tomic.config.book import JournalSettings, ManageSettings, PortfolioSettings
from tomic.config.market import ChainSettings, MarketSettings, WebSettings
from tomic.config.notify import NotifySettings
from tomic.config.scan import (
    AccountSettings,
    BacktestSettings,
    CostsSettings,
    MarginSettings,
    ScanSettings,
    ScoreSettings,
    ViewSettings,
)
from tomic.config.section import Duration, Location, Names, NotEmpty, Seconds, Section

_LONGEST_NAME = 64
_JOB_NAME = re.compile(rf"\w[\w .-]{{,{_LONGEST_NAME - 1}}}")
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}
)
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


def _service(value: str) -> str:
    parts = urlsplit(value)
    is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and is_local)):
        raise ValueError(f"{value!r} must be an address with https, which keeps the token secret")
    return value.rstrip("/")


def _queries(value: Any) -> Any:
    """Numbers may be written without quotes."""
    if isinstance(value, list | tuple):
        return [str(name) if type(name) is int else name for name in value]
    return str(value) if type(value) is int else value


def _query(value: str) -> str:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(f"{value!r} must be the number of a Flex query, not its name")
    return value


class FlexSettings(Section):
    """
    Trades by the Flex Web Service of Interactive Brokers, for `journal import --flex`.

    The token is no setting: it comes from $TOMIC_FLEX_TOKEN or from token_file.
    """

    query: Annotated[
        Names, BeforeValidator(_queries), AfterValidator(lambda names: tuple(map(_query, names)))
    ] = ()
    """Numbers of the queries to fetch, as Client Portal shows them."""
    token_file: Location | None = None
    """File with the token that only its owner may read, or "none"; TOMIC_FLEX_TOKEN wins."""
    url: Annotated[str, AfterValidator(_service)] = (
        "https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService"
    )
    """Address of the service."""
    request_timeout_s: Seconds = 60.0
    """Seconds for one answer."""
    first_wait_s: Seconds = 5.0
    """Seconds before a report is asked for; it is asked for again after up to 20."""
    deadline_s: Seconds = 300.0
    """Seconds until a query must have given its report; IB makes them on demand."""


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


class StoreSettings(Section):
    """The one database file."""

    path: Location = Field(default="data/volatility.db", validate_default=True)
    """SQLite file with bars, volatility, chains of the day, scans and the journal."""
    lock_wait_s: float = Field(default=10.0, ge=0.0, le=3600.0)
    """Seconds to wait for another run before giving up with exit code 7."""
    keep_chains: Duration = Field(default=dt.timedelta(days=90), le=dt.timedelta(days=3650))
    """How long the quotes of a chain a symbol and day are kept; "0d" keeps none."""

    @property
    def demo_path(self) -> Path:
        """The store of the demo, for every command and the panel: beside that of real data."""
        return self.path.with_name("demo.db")

    @property
    def replay_path(self) -> Path:
        """Where scans of recordings are kept, apart from those of real data and of the demo."""
        return self.path.with_name("replay.db")


class ExportSettings(Section):
    """Files written for others to read."""

    dir: Location = Field(default="exports", validate_default=True)
    """Folder that gets a folder per day."""
    enabled: bool = True
    """Whether `chain`, `vol` and `scan` write files without being asked."""


LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class LogSettings(Section):
    """What the command line logs, and where."""

    level: Annotated[
        LogLevel, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
    ] = "WARNING"
    """DEBUG, INFO, WARNING, ERROR or CRITICAL; -v and -q override it."""
    file: Location | None = None
    """File that gets the log as well, or "none"."""


def _command(value: str) -> str:
    try:
        words = shlex.split(value)
    except ValueError as exc:
        raise ValueError(f"{value!r} cannot be split into words: {exc}") from exc
    if not words:
        raise ValueError("a step must not be empty")
    return value


class JobSettings(Section):
    """Commands that `tomic run NAME` runs one after the other over one connection."""

    run: Annotated[tuple[Annotated[str, AfterValidator(_command)], ...], NotEmpty]
    """Commands without the leading `tomic`; {date} becomes today's date."""
    skip_holidays: bool = False
    """Do nothing on days without trading."""
    notify: bool = False
    """Tell at its end what changed, a step that failed among it; see [notify]."""
    log: Location | None = None
    """File that gets one JSON line per step, or "none"."""


MORNING = JobSettings(
    run=(
        "prices",
        "vol",
        "scan --top 5",
        "journal check --exit-code",
        "report day --html reports/{date}.html",
    )
)


def _check_name(name: str) -> None:
    """A job's lock is a file of its name, on any operating system."""
    if not _JOB_NAME.fullmatch(name) or name.endswith((".", " ")):
        raise ValueError(
            f"{name!r} cannot name a job: use letters, digits, dots, - and _, a letter or digit "
            f"first, at most {_LONGEST_NAME} of them"
        )
    if name.partition(".")[0].upper() in _DEVICES:
        raise ValueError(f"{name!r} cannot name a job: Windows has a device of that name")


def _with_morning(value: Any) -> Any:
    """Join the jobs that are named with the one that exists by default."""
    if not isinstance(value, dict):
        return value
    for name in value:
        _check_name(str(name))
    given = value.get("morning", {})
    return value | {"morning": MORNING.model_dump() | given} if isinstance(given, dict) else value


Jobs = Annotated[dict[str, JobSettings], BeforeValidator(_with_morning)]


class Settings(BaseSettings):
    """
    All settings. ``Settings()`` is the defaults; `load_settings` reads files and environment.

    Frozen: changed settings are a new object, made with ``model_copy`` or `load_settings`.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="TOMIC_", env_nested_delimiter="__"
    )

    ib: IbSettings = IbSettings()
    limits: LimitsSettings = LimitsSettings()
    chain: ChainSettings = ChainSettings()
    market: MarketSettings = MarketSettings()
    web: WebSettings = WebSettings()
    scan: ScanSettings = ScanSettings()
    score: ScoreSettings = ScoreSettings()
    view: ViewSettings = ViewSettings()
    costs: CostsSettings = CostsSettings()
    account: AccountSettings = AccountSettings()
    margin: MarginSettings = MarginSettings()
    strategies: dict[str, dict[str, Any]] = {}
    """Changes to a strategy, by field name: `tomic strategies show NAME` lists the fields."""
    portfolio: PortfolioSettings = PortfolioSettings()
    journal: JournalSettings = JournalSettings()
    manage: ManageSettings = ManageSettings()
    backtest: BacktestSettings = BacktestSettings()
    flex: FlexSettings = FlexSettings()
    notify: NotifySettings = NotifySettings()
    store: StoreSettings = StoreSettings()
    export: ExportSettings = ExportSettings()
    log: LogSettings = LogSettings()
    jobs: Jobs = {"morning": MORNING}
    """Named jobs for `tomic run`; each is a table of its own, such as [jobs.morning]."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is passed and nothing else: the layers are joined by `load_settings`."""
        return (init_settings,)
