"""Loaded into the Python processes of a command, not by rldk itself."""
