"""Renderers: a Report in, text out. One file each, registered by name in `rldk.core.registry.renderers`."""
