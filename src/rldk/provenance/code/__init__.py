"""Reads Python source code, without running it, for what decides whether a run can be repeated."""
