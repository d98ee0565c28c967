"""From the socket to option data, step by step."""
