"""Settings of the commands, and where each came from."""

from rldk.config.settings import KEYS, Setting, Settings, load_settings

__all__ = ["KEYS", "Setting", "Settings", "load_settings"]
