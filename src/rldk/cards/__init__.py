"""Renderers: a Report in, text out. One file each, registered by name in `rldk.core.registry.renderers`."""

from rldk.cards import page, terminal, wire

__all__ = ["page", "terminal", "wire"]
