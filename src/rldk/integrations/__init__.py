"""Hooks into trainers. One recorder does the work, and each framework is a small file that translates its hooks."""
