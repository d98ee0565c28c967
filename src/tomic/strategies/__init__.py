"""Strategies: what they are, what they cost and promise, and the search for the best of them."""
