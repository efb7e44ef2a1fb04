"""The commands that set runs side by side."""
