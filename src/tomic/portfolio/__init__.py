"""The book: what is held as strategies, its risks, and what a trade would change."""
