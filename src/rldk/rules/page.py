"""The documentation of a rule: its docstring under fixed headings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping

from msgspec import Struct

HEADINGS = ("Why it matters", "How it is computed", "When it is wrong", "Source")


class Page(Struct, frozen=True, kw_only=True):
    """The documentation of a rule, read from its docstring."""

    what: str
    sections: Mapping[str, str]


def read_page(doc: str | None, *, where: str) -> Page:
    """The page of a docstring: a first paragraph, then one paragraph for each heading (`Why it matters: ...`)."""
    text = inspect.cleandoc(doc or "")
    parts = re.split(rf"^({'|'.join(HEADINGS)}):\s*", text, flags=re.MULTILINE)
    sections = {h: " ".join(t.split()) for h, t in zip(parts[1::2], parts[2::2], strict=True)}
    missing = [h for h in HEADINGS if not sections.get(h)]
    if missing or not parts[0].strip():
        raise ValueError(f"{where}: the docstring lacks {', '.join(missing) or 'its first paragraph'}")
    return Page(what=" ".join(parts[0].split()), sections=sections)
