"""Results as text, tables, JSON, NDJSON and CSV, for the command line, the panel and the report."""

from tomic import _lazy

_lazy.offer(
    __name__,
    modules="backtest chain journal manage palette portfolio proposal scan store text ticket track"
    " volatility what_if",
)
