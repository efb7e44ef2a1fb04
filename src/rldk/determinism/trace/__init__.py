"""The trace of a command's operations: recorded in its processes, compared between two of them."""
