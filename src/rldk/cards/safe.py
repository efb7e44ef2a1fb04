"""Makes text from a file harmless, for a terminal (`clean`) and for a page (`escape`)."""

from __future__ import annotations

import re

from rldk.core.text import later

# OSC, DCS, SOS, PM and APC strings (with their 8-bit forms) run to BEL or ST, or to the end of a torn line. CSI
# sequences end in a final byte. Any other escape is two bytes. Titles, links and clipboard writes travel in OSC.
_SEQUENCE = later(
    r"(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_CONTROL: dict[int, str] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), ""),
    **dict.fromkeys((0x09, 0x0A, 0x0D, 0x2028, 0x2029), " "),  # the last two end a line in some readers
    # marks of direction can make a name look like another one
    **dict.fromkeys((0x61C, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), ""),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),  # a lone surrogate cannot be written to a UTF-8 stream
}


def clean(text: object, limit: int = 400) -> str:
    """`text` as one line without escape sequences, control or direction characters, cut to `limit` characters."""
    plain = _SEQUENCE.sub("", str(text)).translate(_CONTROL)
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."


def escape(text: object, limit: int = 2000) -> str:
    """`clean` text for an HTML element or a quoted attribute."""
    import html

    return html.escape(clean(text, limit), quote=True)
