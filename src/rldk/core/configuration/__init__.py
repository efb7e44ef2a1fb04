"""What configurations and environments are made of: nested keys, and versions of packages."""
