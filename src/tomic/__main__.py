"""``python -m tomic``."""

from tomic.cli.app import main

main()
