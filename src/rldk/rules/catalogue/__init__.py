"""The rules themselves, one file for each part of a family: the first word of a file names the family of its codes."""
