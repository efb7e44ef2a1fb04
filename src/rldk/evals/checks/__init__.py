"""The evaluations, by what they look at."""
