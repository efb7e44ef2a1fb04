"""Models that answer for others: a server of JSON, a classifier on this machine."""
