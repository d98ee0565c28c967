"""A chain made ready for the search: what options cost, and what an expiry expects."""
