"""From a log's own names to the canonical ones: keys, columns, rows."""
