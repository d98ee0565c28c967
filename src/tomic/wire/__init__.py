"""The TWS protocol without input or output: framing, and messages both ways."""
