"""The volatility of symbols, measured and remembered."""
