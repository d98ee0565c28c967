"""Results as text, tables, JSON, NDJSON and CSV, for the command line, the panel and the report."""

from tomic import _lazy

_lazy.offer(
    __name__,
    modules="chain journal manage portfolio proposal scan store text ticket volatility what_if",
)
