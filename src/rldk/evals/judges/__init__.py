"""Scores from models: a judge behind an OpenAI-compatible server, a local classifier."""
