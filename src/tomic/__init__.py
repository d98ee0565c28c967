"""Tactical Option Modeling & Insight Console. It never trades: it supports, the user decides."""

__version__ = "0.1.0"
