"""What an audit of code and environment has seen, as values: places in code, and locks of environments."""
