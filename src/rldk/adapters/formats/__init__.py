"""One file a format: how it is recognised, read, and followed while it grows."""
