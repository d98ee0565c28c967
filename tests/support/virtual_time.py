"""The loop of the suite's scenarios, which is that of `tomic.testing`."""

from tomic.testing.virtual_time import VirtualLoop, run, stall

__all__ = ["VirtualLoop", "run", "stall"]
