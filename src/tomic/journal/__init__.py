"""The journal's decisions: results, exit signals, attribution, statistics; no clock, no I/O."""
