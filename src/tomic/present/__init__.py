"""Results as text, tables, JSON, NDJSON and CSV, for the command line, the panel and the report."""
