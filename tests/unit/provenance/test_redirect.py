"""A command is made to use the code of a work tree, and nothing else of it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from rldk.provenance.interpreters import InterpreterFacts
from rldk.provenance.redirect import CodeRedirect


@pytest.fixture
def redirect(tmp_path: Path) -> CodeRedirect:
    made = CodeRedirect(root=tmp_path / "repo", tree=tmp_path / "tree")
    for folder in (made.root, made.tree):
        (folder / "sub").mkdir(parents=True)
        (folder / "src").mkdir()
        (folder / "train.py").touch()
    (made.root / "data.csv").touch()
    return made


def test_paths_of_the_repository_are_replaced_where_the_tree_has_them(redirect: CodeRedirect) -> None:
    root, tree = redirect.root, redirect.tree
    words = (
        "python",
        f"{root}/train.py",
        f"--config={root}/sub",
        f"{root}/data.csv",
        "/etc/passwd",
        "train.py",
        "-n=3",
    )
    expected = ("python", f"{tree}/train.py", f"--config={tree}/sub", f"{root}/data.csv", "/etc/passwd", "train.py")
    assert redirect.words(words, root) == (*expected, "-n=3")
    assert redirect.words([f"{root}/../repo/train.py"], root) == (f"{tree}/train.py",)
    assert redirect.words([f"{root}-other/train.py"], root) == (f"{root}-other/train.py",)


def test_the_python_of_an_environment_in_the_repository_is_used_from_there(redirect: CodeRedirect) -> None:
    environment = redirect.root / ".venv"
    (environment / "bin").mkdir(parents=True)
    assert redirect.words([".venv/bin/python"], redirect.root) == (".venv/bin/python",)
    (environment / "pyvenv.cfg").touch()
    assert redirect.words([".venv/bin/python"], redirect.root) == (f"{environment}/bin/python",)
    assert redirect.words(["./run.sh"], redirect.root) == ("./run.sh",)


def test_a_folder_of_the_repository_has_its_place_in_the_tree(redirect: CodeRedirect, tmp_path: Path) -> None:
    assert redirect.place(redirect.root / "sub") == redirect.tree / "sub"
    assert redirect.place(redirect.root / "gone") == redirect.tree
    assert redirect.place(tmp_path) == redirect.tree


def test_what_would_be_imported_from_the_repository_is_imported_from_the_tree(redirect: CodeRedirect) -> None:
    root, tree = redirect.root, redirect.tree

    def path(**facts: object) -> str | None:
        return redirect.python_path(InterpreterFacts(python="3", executable="p", **facts), {"PYTHONPATH": "/mine"})  # type: ignore[arg-type]

    assert path(paths=("/usr/lib",)) is None
    assert path(paths=(f"{root}/src", f"{root}/gone")) == f"{tree}/src:/mine"
    assert path(editable={"project": str(root)}) == f"{tree}/src:{tree}:/mine"


def test_a_link_is_made_once_and_only_for_what_is_in_the_repository(redirect: CodeRedirect, tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    assert redirect.link(redirect.root / "data.csv")
    assert redirect.link(redirect.root / "data.csv")
    assert (redirect.tree / "data.csv").readlink() == redirect.root / "data.csv"
    assert not redirect.link(tmp_path / "outside")
    assert not redirect.link(redirect.root / "missing")
    assert redirect.link(redirect.root / "train.py")
    assert not (redirect.tree / "train.py").is_symlink()
