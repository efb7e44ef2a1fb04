"""Turns a log's own names into canonical ones: keys, columns, rows."""
