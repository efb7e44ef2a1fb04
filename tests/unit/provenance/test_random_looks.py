"""What looks like a key: long, mixed, and with three bits a character."""

from __future__ import annotations

from rldk.core.secrets.shapes import looks_random


def test_sixteen_mixed_characters_of_three_bits_each() -> None:
    for text, expected in [
        ("a1b2c3d4a1b2c3d4", True),  # eight characters, equally often: three bits
        ("a1b2c3d4a1b2c3da", False),
        ("a1b2c3d4e5f6g7h", False),  # fifteen
        ("a1b2c3d4e5f6g7h8", True),
        ("abcdefghijklmnop", False),
        ("1234567890123456", False),
    ]:
        assert looks_random(text) is expected, text
