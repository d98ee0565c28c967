"""The desk: what notebooks and commands work with, and what it holds open for them."""

from tomic.desk.desk import Desk

__all__ = ["Desk"]
