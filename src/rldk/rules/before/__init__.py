"""Rules that look before the first step: at the configuration, the packages, and what preflight has tried out."""
