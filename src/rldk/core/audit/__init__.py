"""What an audit has seen, as values: places in code, locks of environments, and what became of what was compared."""
