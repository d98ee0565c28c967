"""The command line: one file of commands per subject, and beside it what those print."""
