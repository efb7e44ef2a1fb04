"""Rule files: how a user's YAML or JSON is read, checked and turned into rules."""
