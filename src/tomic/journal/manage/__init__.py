"""What can be done with a position: its alternatives, each with figures, and which is best."""
