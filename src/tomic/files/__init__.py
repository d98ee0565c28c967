"""Files out and back in: the original's CSV files, JSON documents, and `load_chain`."""

from tomic.disk import write_text
from tomic.files.reading import load_chain
from tomic.files.writing import (
    CHAIN_HEADER,
    OVERVIEW_NAME,
    SCHEMA,
    SNAPSHOT_HEADER,
    left_out,
    ndjson_rows,
    to_csv_text,
    to_document,
    to_json,
    to_ndjson,
    to_snapshots_csv,
    write_chain,
    write_overview,
    write_snapshot,
)

__all__ = [
    "CHAIN_HEADER",
    "OVERVIEW_NAME",
    "SCHEMA",
    "SNAPSHOT_HEADER",
    "left_out",
    "load_chain",
    "ndjson_rows",
    "to_csv_text",
    "to_document",
    "to_json",
    "to_ndjson",
    "to_snapshots_csv",
    "write_chain",
    "write_overview",
    "write_snapshot",
    "write_text",
]
