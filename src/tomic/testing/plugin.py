"""
The pytest plugin: fixtures that are a simulated gateway, for tests that block and for async ones.

It is loaded by every pytest of an environment in which tomic is installed, so it imports nothing
of the gateway before a test asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tomic import testing

if TYPE_CHECKING:
    from tomic.testing import GatewayPort

_MARK = "tomic_gateway"


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        f"{_MARK}(faults, symbols=..., ...): what the fixture tomic_gateway shall be, in the "
        "arguments of tomic.testing.gateway",
    )


@pytest.fixture
def tomic_gateways() -> Iterator[Callable[..., GatewayPort]]:
    """
    Starts simulated gateways: call it with the arguments of ``tomic.testing.gateway``.

    Each runs in a thread of its own, and is closed when the test has ended.
    """
    with ExitStack() as running:
        yield lambda *faults, **options: running.enter_context(testing.gateway(*faults, **options))


@pytest.fixture
def tomic_gateway(
    request: pytest.FixtureRequest, tomic_gateways: Callable[..., GatewayPort]
) -> GatewayPort:
    """
    The port of a simulated gateway that listens while the test runs.

    What it shall be stands in a marker: ``@pytest.mark.tomic_gateway(symbols=["SPY"])``.
    """
    mark = request.node.get_closest_marker(_MARK)
    return tomic_gateways(*mark.args, **mark.kwargs) if mark else tomic_gateways()
