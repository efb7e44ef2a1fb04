import copy
import importlib
import pkgutil
import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec
import pytest

import rldk
from rldk.core.text import later


def test_a_pattern_is_compiled_when_it_is_first_asked() -> None:
    broken = later("(")
    with pytest.raises(re.error):
        broken.search("text")
    words = later(r"\b(?P<word>[a-z]+)\b", re.IGNORECASE)
    assert words.pattern == r"\b(?P<word>[a-z]+)\b"
    assert [hit["word"] for hit in words.finditer("One two")] == ["One", "two"]
    assert words.groups == 1
    assert later(rb"\d+").sub(b"n", b"a1b22") == b"anbn"


def test_a_copy_of_what_holds_a_pattern_shares_it() -> None:
    """Even one whose groups were asked for: their mapping cannot be copied."""
    words = later("(?P<word>[a-z]+)")
    assert dict(words.groupindex) == {"word": 1}
    assert copy.deepcopy([words])[0] is words


def _patterns(value: object) -> Iterator[re.Pattern[str]]:
    if type(value) is type(later("")):
        yield value
    elif isinstance(value, msgspec.Struct):
        yield from _patterns([getattr(value, name) for name in value.__struct_fields__])
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _patterns(one)
    elif isinstance(value, dict):
        yield from _patterns(list(value.values()))
    elif isinstance(value, type) and value.__module__.startswith("rldk"):
        yield from _patterns([one for name, one in vars(value).items() if not name.startswith("__")])


@pytest.mark.slow
def test_every_pattern_of_the_package_compiles() -> None:
    modules = []
    # walk_packages imports packages; one that needs a package which is absent has no pattern to offer
    for found in pkgutil.walk_packages(rldk.__path__, "rldk.", onerror=lambda name: None):
        if not found.name.endswith("__main__"):
            with suppress(ImportError):
                modules.append(importlib.import_module(found.name))
    patterns = [pattern for module in modules for pattern in _patterns(dict(vars(module)))]
    assert len(patterns) > 100
    for pattern in patterns:
        assert pattern.groups >= 0
