"""The folder that `rldk run --hooks` puts on PYTHONPATH. It holds what Python itself loads at the start of a script."""
