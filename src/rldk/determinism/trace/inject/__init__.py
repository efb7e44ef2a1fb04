"""Loaded into the Python processes of a command that is traced, not by rldk itself. Standard library only, until the
command loads torch or numpy."""
