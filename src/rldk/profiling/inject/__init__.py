"""Loaded into the Python processes of a profiled command, not by rldk itself."""
