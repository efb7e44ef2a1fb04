"""A table of cases in one test: none is passed over, and a failure names its case."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from examples import each_of


def test_every_case_is_tried_with_what_the_test_asks_for() -> None:
    seen: list[object] = []
    test = each_of(("a", "b"), [(1, 2), (3, 4)])(lambda a, b, folder: seen.append((a, b, folder)))
    assert list(inspect.signature(test).parameters) == ["folder"]
    test(folder="here")
    each_of("a", [5])(each_of("b", "xy")(lambda a, b: seen.append((a, b))))()
    assert seen == [(1, 2, "here"), (3, 4, "here"), (5, "x"), (5, "y")]


def test_each_case_has_a_folder_of_its_own(tmp_path: Path) -> None:
    each_of("name", ["a", "b"])(lambda name, tmp_path: (tmp_path / "f").touch(exist_ok=False))(tmp_path=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["case0", "case1"]


def test_one_case_that_fails_fails_the_test_by_its_name() -> None:
    tried: list[int] = []

    def odd(number: int) -> None:
        tried.append(number)
        assert number % 2

    with pytest.raises(AssertionError) as caught:
        each_of("number", [1, 2, 3])(odd)()
    assert (tried, caught.value.__notes__) == ([1, 2, 3], ["in the case 2"])
    with pytest.raises(ExceptionGroup, match="2 of 3 cases fail") as several:
        each_of("number", [2, 3, 4], ids=["two", "three", "four"])(odd)()
    assert [one.__notes__ for one in several.value.exceptions] == [["in the case two"], ["in the case four"]]


def test_an_empty_table_is_an_error_and_no_test_that_passes() -> None:
    with pytest.raises(ValueError, match="no case of number"):
        each_of("number", [])
