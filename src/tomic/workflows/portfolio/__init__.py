"""The book: read, stored, reviewed."""
