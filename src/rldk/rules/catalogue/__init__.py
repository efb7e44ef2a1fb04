"""The rules themselves, one family after the other: the first word of a file is the family of its codes."""
