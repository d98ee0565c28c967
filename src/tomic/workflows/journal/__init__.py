"""The journal's work."""
