"""Files that are read: notebooks, broken and hostile ones, and folders of many."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from examples import each_of
from hypothesis import given
from hypothesis import strategies as st

from rldk.errors import NoData, UnreadableSource
from rldk.provenance.code import files, scan
from rldk.provenance.code.scan import scan_code, scan_file

LISTING = "import os\nfor f in os.listdir('d'): print(f)\n"


def test_a_folder_is_read_in_the_order_of_names_without_environments(tmp_path: Path) -> None:
    for name in ("b.py", "a/c.py", ".venv/x.py", "env9/y.py", "__pycache__/z.py", "a/site-packages/w.py", ".hidden.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(LISTING)
    (tmp_path / "env9" / "pyvenv.cfg").touch()
    begun: list[str] = []
    expected: list[int] = []
    found = scan_code(tmp_path, begun.append, expected.append)
    assert begun == ["b.py", "a/c.py"]
    assert (expected, found.files, [site.place for site in found.sites]) == ([2], 2, ["b.py:2", "a/c.py:2"])
    assert found.imports == {"os"}
    assert found.programs == ()


def test_links_are_followed_only_inside(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.py").write_text(LISTING)
    (tmp_path / "in" / "a.py").write_text(LISTING)
    (tmp_path / "in" / "inside.py").symlink_to("a.py")
    (tmp_path / "in" / "outside.py").symlink_to("../secret.py")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "in" / "pipe.py")
    found = scan_code(tmp_path / "in")
    assert {site.file for site in found.sites} == {"a.py", "inside.py"}
    assert found.unread == {"outside.py": "a link that leads outside"}


@each_of(
    ("content", "reason"),
    [
        (b"def f(:\n", "a syntax error in line 1"), (b"x = '\0'", "a syntax error: "),
        (b"(" * 10_000, "a syntax error"),
        (b"# -*- coding: nonsense -*-\n", "a syntax error"), (b"x = 1\n" * 400_000, "larger than 2 MiB"),
        (b"\xff\xfe\x00", "a syntax error"), (b"-" * 100_000 + b"1", "nested too deeply"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "bad.py").write_bytes(content)
    (tmp_path / "good.py").write_text(LISTING)
    found = scan_code(tmp_path)
    assert found.files == 1
    said = found.unread["bad.py"]
    assert said.startswith((reason, "cannot be parsed"))


def _notebook(*cells: object) -> str:
    return json.dumps({"cells": [c if isinstance(c, dict) else {"cell_type": "code", "source": c} for c in cells]})


def test_a_notebook_is_read_by_its_code_cells(tmp_path: Path) -> None:
    cells = (
        {"cell_type": "markdown", "source": "for f in os.listdir('d')"}, "%pip install x\nimport os\n!ls", "1 +",
        ["%%time\n", "for f in os.listdir('d'):\n", "    print(f)\n"], "%%bash\nls", {"cell_type": "code"}, 7,
        "for g in os.listdir('e'): print(g)",
    )  # fmt: skip
    (tmp_path / "n.ipynb").write_text(_notebook(*cells))
    found = scan_code(tmp_path / "n.ipynb")
    assert [site.place for site in found.sites] == ["n.ipynb, cell 4, line 2", "n.ipynb, cell 8, line 1"]
    assert found.programs == ("n.ipynb",)


@each_of("text", ["", "[]", "{}", '{"cells": 3}', "[" * 100_000])
def test_what_is_no_notebook_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "n.ipynb").write_text(text)
    found = scan_file(tmp_path / "n.ipynb", "n.ipynb")
    assert isinstance(found, str)
    assert found.startswith("no notebook")


def test_a_path_without_code_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="does not exist"):
        scan_code(tmp_path / "absent")
    with pytest.raises(NoData, match="no Python file"):
        scan_code(tmp_path)


def test_limits_on_files_and_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    monkeypatch.setattr(scan, "MAX_SITES", 3)
    for name in "abc":
        (tmp_path / f"{name}.py").write_text("import os\n" + "x = os.listdir('d')\n" * 3)
    found = scan_code(tmp_path)
    assert (found.files, len(found.sites), found.dropped) == (2, 3, {"directory-order": 3})
    assert found.unread == {"c.py": "only the first 2 files are read"}


def test_no_secret_of_a_line_is_kept(tmp_path: Path) -> None:
    secret = "hf_abcdefghij0123456789"
    (tmp_path / "a.py").write_text(
        f"import os\nx = f(hash('{secret}'), api_key='S3cr3tS3cr3t9999'); os.environ['A'] = '{secret}'\n"
    )
    text = repr(scan_code(tmp_path))
    assert secret not in text
    assert "S3cr3tS3cr3t9999" not in text
    assert "hash-of-text" in text


PIECES = st.sampled_from(
    ["import os", "import random as r", "from numpy.random import *", "x = set(y)", "for x in x: pass", "os.listdir()",
     "def f(*a, **k): return sorted(*a)", "class A(B): x = {1}", "x.sort(key=id)", "hash()", "r.seed(*z)", "[*{*x}]",
     "lambda: {x for x in {y}}", "os.environ[x] = 1", "os.environ.update({**a})", "x = y = z = set()", "x |= {1}",
     "with os.scandir() as s: pass", "async def g():\n  async for a in b: await c", "match x:\n  case {'a': b}: pass"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=8))
def test_any_code_that_parses_is_scanned(tmp_path_factory: pytest.TempPathFactory, pieces: list[str]) -> None:
    path = tmp_path_factory.mktemp("code") / "a.py"
    path.write_text("\n".join(pieces))
    assert not isinstance(scan_file(path, "a.py"), str)
