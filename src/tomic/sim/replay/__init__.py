"""Recorded chains and recorded sessions behind the gateway."""
