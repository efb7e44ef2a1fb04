"""Renderers: a Report goes in, text comes out. Each has its own file and is registered by name in
`rldk.core.registry.renderers`."""
