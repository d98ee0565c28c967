"""Packages whose names and submodules are imported when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


class _LazyModule(ModuleType):
    """Stands for the module of its name, which is imported when something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        setattr(self, name, value)
        return value


def offer(package: str, names: Mapping[str, str] | None = None, modules: str = "") -> None:
    """
    Let *package* offer what is in its submodules without importing them.

    For the ``__init__`` of a package. The import system asks a package for a name before it looks
    for a submodule, so ``from package import module`` may stand at the top of a file and costs
    nothing until the module is used. Submodules that are not named here are imported at once.

    Args:
        package: Its ``__name__``.
        names: By submodule, the names of its ``__all__``, separated by blanks.
        modules: The submodules that are offered, separated by blanks.
    """
    homes = {name: home for home, text in (names or {}).items() for name in text.split()}
    submodules = frozenset(modules.split())

    def get(name: str) -> Any:
        if name in homes:
            return getattr(import_module(f"{package}.{homes[name]}"), name)
        if name in submodules:
            return _LazyModule(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    members = vars(sys.modules[package])
    members["__all__"], members["__getattr__"] = sorted(homes), get
    members["__dir__"] = lambda: sorted({*members, *homes, *submodules})
