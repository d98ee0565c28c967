"""
The simulated gateway for the tests of any program that talks to TWS, such as ones of ib_async.

    from tomic import testing

    async with testing.gateway(symbols=["SPY"], faults=["silent:share=0.1"]) as port:
        await ib.connectAsync("127.0.0.1", port, clientId=1)

A program that blocks gets it with ``with``, in a thread of its own; pytest has the fixtures
``tomic_gateway`` and ``tomic_gateways``. It keeps IB's limits, refuses orders, and remembers what
it was told. The names below are imported when they are first asked for.
"""

from typing import TYPE_CHECKING

from tomic import _lazy

if TYPE_CHECKING:
    from tomic.sim import faults as faults
    from tomic.sim.server.limits import Limits as Limits
    from tomic.sim.server.state import SentError as SentError, Violation as Violation
    from tomic.testing.accounts import Execution as Execution, Position as Position
    from tomic.testing.serving import (
        GatewayPort as GatewayPort,
        Pace as Pace,
        ReplayPort as ReplayPort,
        Serving as Serving,
        gateway as gateway,
        replay as replay,
    )
    from tomic.testing.virtual_time import run as run
    from tomic.wire.orders import PlaceOrder as PlaceOrder

_NAMES = {
    "accounts": "Execution Position",
    "serving": "GatewayPort Limits Pace PlaceOrder ReplayPort SentError Serving Violation faults "
    "gateway replay",
    "virtual_time": "run",
}
_lazy.offer(__name__, _NAMES, "plugin")
