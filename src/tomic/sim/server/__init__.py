"""The gateway itself: connections, requests, limits."""
