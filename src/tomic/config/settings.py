"""The root of all settings: one frozen object, a section per subject."""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tomic.config.book import JournalSettings, PortfolioSettings
from tomic.config.files import MORNING, ExportSettings, Jobs, LogSettings, StoreSettings
from tomic.config.gateway import IbSettings, LimitsSettings
from tomic.config.market import ChainSettings, MarketSettings, WebSettings
from tomic.config.scan import (
    AccountSettings,
    CostsSettings,
    MarginSettings,
    ScanSettings,
    ScoreSettings,
)


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
    costs: CostsSettings = CostsSettings()
    account: AccountSettings = AccountSettings()
    margin: MarginSettings = MarginSettings()
    strategies: dict[str, dict[str, Any]] = {}
    """Changes to a strategy, by field name: `tomic strategies show NAME` lists the fields."""
    portfolio: PortfolioSettings = PortfolioSettings()
    journal: JournalSettings = JournalSettings()
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
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is passed and nothing else: the layers are joined by `load_settings`."""
        return (init_settings,)
