"""Option chains: set up, fetched, several at once."""
