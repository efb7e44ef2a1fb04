"""Names of folders at their longest, and how old a half-written file must be to be removed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rldk.tracking.folders import file_word, remove_torn, word


def test_a_half_written_file_is_removed_after_ten_minutes(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    now = time.time()
    for folder in (tmp_path, tmp_path / "below"):
        for name, age in [(".old.part", 602), (".new.part", 590), ("old.part", 999), (".old.json", 999)]:
            (folder / name).write_text("")
            os.utime(folder / name, (now - age, now - age))
    remove_torn(tmp_path)
    for folder in (tmp_path, tmp_path / "below"):
        assert {path.name for path in folder.glob("*.*")} == {".new.part", "old.part", ".old.json"}


def test_a_name_has_a_hundred_characters_and_two_hundred_bytes() -> None:
    assert [len(word("x" * n)) for n in (99, 100, 101)] == [99, 100, 100]
    for letter, kept in [("é", 100), ("\u4e2d", 66)]:
        assert word(letter * 120) == letter * kept
    assert (word("..-a b/c.-"), word("///"), word("a.b=c+d-e")) == ("a-b-c", "run", "a.b=c+d-e")
    assert (file_word("a"), len(file_word("a b")), file_word("a b") == file_word("a-b")) == ("a", 12, False)
