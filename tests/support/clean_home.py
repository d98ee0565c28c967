"""A home and a working folder without any configuration, and no TOMIC variables."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tomic.config import load_settings
from tomic.errors import ConfigError


def make_clean_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move into an empty folder; return the home, which is empty too."""
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    return enter_home(tmp_path, monkeypatch)


def enter_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move into what `make_clean_home` made there, as it is by now; return the home."""
    for name in list(os.environ):
        if name.upper().startswith("TOMIC_"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    for name in ("HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.chdir(tmp_path / "work")
    return home


def write(path: Path | str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def refusal(path=None, **overrides) -> str:
    """The message with which these settings are refused."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path, **overrides)
    assert caught.value.exit_code == 2
    return str(caught.value)
