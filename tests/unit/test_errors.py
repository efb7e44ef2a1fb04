from __future__ import annotations

import pytest

from rldk.errors import RldkError, UnknownName


@pytest.mark.parametrize(("name", "near"), [("abxy", ["abcd"]), ("axyz", [])])
def test_a_name_of_which_half_is_right_is_offered(name: str, near: list[str]) -> None:
    error = UnknownName("metric", name, ["abcd", "qrst"])
    assert error.nearest == near
    assert error.hint == ("did you mean abcd?" if near else "there are: abcd, qrst")
    assert error.exit_code == 2


def test_at_most_three_names_are_offered() -> None:
    assert len(UnknownName("rule", "KL00", ["KL001", "KL002", "KL003", "KL004"]).nearest) == 3


def test_the_text_of_an_error_ends_with_its_hint() -> None:
    assert str(RldkError("no such file", hint="check the path")) == "no such file\ncheck the path"
    assert str(RldkError("no such file")) == "no such file"
