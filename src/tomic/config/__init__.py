"""Settings: frozen sections, read from files, environment and command line in that order."""

from tomic.config.book import (
    AlertsSettings,
    ExitSettings,
    JournalSettings,
    ManageSettings,
    PortfolioSettings,
    StressSettings,
)
from tomic.config.loading import config_file, load_settings, origins
from tomic.config.market import ChainSettings, MarketSettings, WebSettings
from tomic.config.scan import (
    AccountSettings,
    CostsSettings,
    MarginSettings,
    ScanSettings,
    ScoreSettings,
    ScoreWeights,
    View,
    ViewSettings,
)
from tomic.config.settings import (
    ExportSettings,
    FlexSettings,
    IbSettings,
    JobSettings,
    LimitsSettings,
    LogSettings,
    Settings,
    StoreSettings,
)

__all__ = [
    "AccountSettings",
    "AlertsSettings",
    "ChainSettings",
    "CostsSettings",
    "ExitSettings",
    "ExportSettings",
    "FlexSettings",
    "IbSettings",
    "JobSettings",
    "JournalSettings",
    "LimitsSettings",
    "LogSettings",
    "ManageSettings",
    "MarginSettings",
    "MarketSettings",
    "PortfolioSettings",
    "ScanSettings",
    "ScoreSettings",
    "ScoreWeights",
    "Settings",
    "StoreSettings",
    "StressSettings",
    "View",
    "ViewSettings",
    "WebSettings",
    "config_file",
    "load_settings",
    "origins",
]
