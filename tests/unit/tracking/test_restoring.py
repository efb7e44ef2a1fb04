"""`rldk restore` and bundles: the code comes back byte for byte, and a hostile record writes nothing."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from examples import few
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded_runs import BINARY, CHANGED, Project, git, make_project, record_run

from rldk.cli.main import main
from rldk.errors import MalformedInput, OutputError, UnreadableSource
from rldk.tracking.exports.bundle import write_bundle
from rldk.tracking.exports.source import export_source
from rldk.tracking.restoring import restore_run
from rldk.tracking.verification import verify_run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def tree(root: Path) -> dict[str, tuple[str, bool]]:
    """Every file and link below a folder: its content and whether it can be started."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if ".git" in name.parts or (path.is_dir() and not path.is_symlink()):
            continue
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found[str(name)] = (data.hex(), not path.is_symlink() and bool(path.stat().st_mode & stat.S_IXUSR))
    return found


def bundle_of(project: Project, output: Path) -> Path:
    write_bundle(export_source(project.run), output, [project.root])
    return output


def edit(project: Project, **changes: object) -> None:
    file = project.run / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_git(project: Project, **changes: object) -> None:
    said = json.loads((project.run / "run.json").read_text())
    edit(project, git=said["git"] | changes)


def test_the_code_comes_back_as_it_was(project: Project, tmp_path: Path) -> None:
    before = tree(project.root)
    git(project.root, "checkout", "-q", "--", ".")
    (project.root / "notes with space.txt").unlink()
    found = restore_run(project.run, tmp_path / "back", repository=project.root)
    assert tree(tmp_path / "back" / "code") == before
    assert (found.lacking, found.redacted, found.files) == ((), (), 6)
    assert found.command == "python train.py"
    assert json.loads((tmp_path / "back" / "config.json").read_text()) == {"lr": 0.03, "model": {"layers": 2}}
    data = json.loads((tmp_path / "back" / "data.json").read_text())
    assert data["datasets"]["train"]["fingerprint"].startswith("sha256:")
    assert tree(tmp_path / "back" / "run") == tree(project.run)


@pytest.mark.slow
def test_a_bundle_brings_it_back_without_the_repository(project: Project, tmp_path: Path) -> None:
    before = tree(project.root)
    bundle = bundle_of(project, tmp_path / "x.zip")
    assert bundle.read_bytes() == bundle_of(project, tmp_path / "y.zip").read_bytes()
    project.root.rename(tmp_path / "gone")
    restore_run(bundle, tmp_path / "back")
    assert tree(tmp_path / "back" / "code") == before
    assert verify_run(tmp_path / "back" / "run", work_tree=False, root=tmp_path).passed


names = st.text("ab\u00e9 '\"-*[]\\\t", min_size=1, max_size=6).filter(lambda name: name.strip(". ") != "")


@pytest.mark.slow
@settings(max_examples=few(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    committed=st.dictionaries(names, st.binary(max_size=60), max_size=4),
    later=st.dictionaries(names, st.one_of(st.none(), st.binary(max_size=60)), max_size=4),
)
def test_export_and_restore_bring_back_any_files(
    tmp_path_factory: pytest.TempPathFactory, committed: dict[str, bytes], later: dict[str, bytes | None]
) -> None:
    """Names with spaces, quotes, patterns and other scripts; contents that are text, binary or empty."""
    place = tmp_path_factory.mktemp("any")
    project = make_project(place)
    (project.root / "sub").mkdir()
    for name, data in committed.items():
        (project.root / "sub" / name).write_bytes(data)
    git(project.root, "add", "sub")
    git(project.root, "commit", "-qm", "more", "--allow-empty")
    for name, content in later.items():
        path = project.root / "sub" / name
        path.parent.mkdir(exist_ok=True)
        if content is not None:
            path.write_bytes(content)
        else:
            path.unlink(missing_ok=True)
    git(project.root, "add", "-N", ".")
    git(project.root, "rm", "-q", "--cached", "notes with space.txt")
    record_run(project)
    before = tree(project.root)
    restore_run(bundle_of(project, place / "x.zip"), place / "back")
    assert tree(place / "back" / "code") == before


def test_a_file_that_git_would_leave_out_of_an_archive_or_change_comes_back(project: Project, tmp_path: Path) -> None:
    (project.root / ".gitattributes").write_text(
        "secret.txt export-ignore\nid.txt export-subst ident\n* text eol=crlf\n"
    )
    (project.root / "secret.txt").write_text("kept")
    (project.root / "id.txt").write_text("$Format:%H$ $Id$\n")
    git(project.root, "add", ".gitattributes", "secret.txt", "id.txt")
    git(project.root, "commit", "-qm", "attributes")
    record_run(project)
    restore_run(project.run, tmp_path / "back", repository=project.root)
    assert (tmp_path / "back" / "code" / "id.txt").read_text() == "$Format:%H$ $Id$\n"
    assert (tmp_path / "back" / "code" / "secret.txt").read_text() == "kept"


def test_nothing_is_overwritten(project: Project, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        restore_run(project.run, full, repository=project.root)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="no folder"):
        restore_run(project.run, tmp_path / "link", repository=project.root)
    (tmp_path / "empty").mkdir()
    assert restore_run(project.run, tmp_path / "empty", repository=project.root).files == 6
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


@pytest.mark.slow
def test_what_was_redacted_or_not_kept_is_said(project: Project, tmp_path: Path) -> None:
    patch = (project.run / "changes.diff").read_bytes().replace(b"+LR = 0.03", b"+LR = [redacted]")
    (project.run / "changes.diff").write_bytes(patch)
    lost = {"path": ".env", "bytes": 20, "reason": "a file for secrets"}
    edit_git(project, diff_digest=f"sha256:{hashlib.sha256(patch).hexdigest()}", untracked=[lost], redactions=2)
    found = restore_run(project.run, tmp_path / "back", repository=project.root)
    assert found.redacted == ("train.py",)
    assert [(one.what, one.why) for one in found.lacking] == [(".env", "a file for secrets")]
    words = ["restore", str(project.run), "--to", str(tmp_path / "two"), "--repo", str(project.root)]
    result = CliRunner().invoke(main, [*words, "--no-color"])
    assert result.exit_code == 1
    assert "1 thing lacking. Secrets were taken out of 1 file." in " ".join(result.output.split())
    assert "a file for secrets" in result.output


def test_changes_that_do_not_fit_leave_the_rest_whole(project: Project, tmp_path: Path) -> None:
    patch = (project.run / "changes.diff").read_bytes().replace(b"-LR = 0.01", b"-LR = [redacted]")
    (project.run / "changes.diff").write_bytes(patch)
    edit_git(project, diff_digest=f"sha256:{hashlib.sha256(patch).hexdigest()}")
    found = restore_run(project.run, tmp_path / "back", repository=project.root)
    assert [one.what for one in found.lacking] == ["train.py"]
    assert (tmp_path / "back" / "code" / "logo.bin").read_bytes() == BINARY[::-1]
    assert (tmp_path / "back" / "code" / "train.py").read_bytes() != CHANGED


def test_without_the_commit_the_record_still_comes_back(project: Project, tmp_path: Path) -> None:
    found = restore_run(project.run, tmp_path / "back", repository=tmp_path)
    assert [one.what[:10] for one in found.lacking] == ["the commit"]
    assert (tmp_path / "back" / "run" / "run.json").is_file()


def test_a_submodule_and_a_link_that_leads_outside_are_lacking(project: Project, tmp_path: Path) -> None:
    (project.root / "out").symlink_to("/etc/passwd")
    (project.root / "up").symlink_to("../../x")
    git(project.root, "add", "out", "up")
    git(project.root, "update-index", "--add", "--cacheinfo", f"160000,{'a' * 40},vendor")
    git(project.root, "commit", "-qm", "links")
    (project.root / "vendor").mkdir()
    record_run(project)
    found = restore_run(project.run, tmp_path / "back", repository=project.root)
    assert {one.what for one in found.lacking} == {"out", "up", "vendor"}
    assert not (tmp_path / "back" / "code" / "out").is_symlink()


HOSTILE_PATHS = [
    "../x",
    "/tmp/x",
    "a/../../x",
    "sub/.git/hooks/post-checkout",
    ".GIT/config",
    "",
    "a//b",
    "latest/../x",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_a_kept_file_that_leads_outside_is_refused(project: Project, tmp_path: Path, path: str) -> None:
    edit_git(project, untracked=[{"path": path, "bytes": 1, "kept": True, "digest": f"sha256:{'0' * 64}"}])
    with pytest.raises(MalformedInput):
        restore_run(project.run, tmp_path / "back", repository=project.root)
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("sha", ["--output=x", "HEAD", "-h", "a" * 39, "a" * 40 + "\n", "main"])
def test_a_commit_that_is_an_option_or_a_name_is_refused(project: Project, tmp_path: Path, sha: str) -> None:
    edit_git(project, sha=sha)
    with pytest.raises(MalformedInput, match="no full name"):
        restore_run(project.run, tmp_path / "back", repository=project.root)
    assert not (tmp_path / "back").exists()


PATCHES = {
    "up": "diff --git a/x b/../x\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+pwned\n",
    "absolute": "diff --git a/x b//tmp/x\nnew file mode 100644\n--- /dev/null\n+++ /tmp/x\n@@ -0,0 +1 @@\n+pwned\n",
    "hook": "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100755\n--- /dev/null\n+++ b/.git/hooks/x\n"
    "@@ -0,0 +1 @@\n+pwned\n",
    "through a link": "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+..\n"
    "\\ No newline at end of file\ndiff --git a/l/x b/l/x\nnew file mode 100644\n--- /dev/null\n+++ b/l/x\n"
    "@@ -0,0 +1 @@\n+pwned\n",
    "no patch": "hello\n",
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_hostile_patch_writes_nothing_outside(project: Project, tmp_path: Path, name: str) -> None:
    data = PATCHES[name].encode()
    (project.run / "changes.diff").write_bytes(data)
    edit_git(project, diff_digest=f"sha256:{hashlib.sha256(data).hexdigest()}")
    try:
        found = restore_run(project.run, tmp_path / "back", repository=project.root)
    except MalformedInput:
        assert not (tmp_path / "back").exists()
    else:
        assert name in ("absolute", "through a link")  # the first is a file inside of the folder
        assert name == "absolute" or "l/x" in {one.what for one in found.lacking}
    inside = tmp_path / "back" / "code"
    written = [p for p in tmp_path.rglob("*") if p.is_file() and p.name != "changes.diff" and inside not in p.parents]
    assert [path for path in written if b"pwned" in path.read_bytes()] == []
    assert not list(inside.rglob(".git"))


def test_a_changed_patch_or_kept_file_is_refused(project: Project, tmp_path: Path) -> None:
    (project.run / "untracked" / "notes with space.txt").write_text("other\n")
    with pytest.raises(MalformedInput, match="notes with space"):
        restore_run(project.run, tmp_path / "back", repository=project.root)
    (project.run / "changes.diff").write_bytes(b"")
    with pytest.raises(MalformedInput, match="is not what was recorded"):
        restore_run(project.run, tmp_path / "back", repository=project.root)


def rewritten(bundle: Path, output: Path, extra: dict[str, bytes], *, mode: int = 0o644) -> Path:
    """The bundle with other entries; the index is kept."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(output, "w") as new:
        for info in old.infolist():
            if info.filename not in extra:
                new.writestr(info, old.read(info))
        for name, data in extra.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode if mode > 0o7777 else stat.S_IFREG | mode) << 16
            new.writestr(info, data)
    return output


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../x", 0o644), ("/tmp/x", 0o644), ("code/../../x", 0o644), ("code/l", stat.S_IFLNK | 0o777),
        ("code/train.py", 0o644), ("code/new.py", 0o644), ("run/.git/config", 0o644), ("bundle.json", 0o644),
    ],
)  # fmt: skip
def test_a_hostile_bundle_is_refused(project: Project, tmp_path: Path, name: str, mode: int) -> None:
    bad = rewritten(bundle_of(project, tmp_path / "x.zip"), tmp_path / "bad.zip", {name: b"pwned"}, mode=mode)
    with pytest.raises(MalformedInput):
        restore_run(bad, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
@settings(max_examples=few(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_byte_of_a_bundle_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    place = tmp_path_factory.mktemp("flip")
    whole = _one_bundle(tmp_path_factory)
    at = data.draw(st.integers(0, len(whole[0]) - 1))
    broken = bytearray(whole[0])
    broken[at] ^= data.draw(st.integers(1, 255))
    (place / "x.zip").write_bytes(broken)
    try:
        restore_run(place / "x.zip", place / "back")
    except (MalformedInput, UnreadableSource):
        return
    assert tree(place / "back" / "code") == whole[1]  # a byte of the archive's own book-keeping


_made: list[tuple[bytes, dict[str, tuple[str, bool]]]] = []


def _one_bundle(factory: pytest.TempPathFactory) -> tuple[bytes, dict[str, tuple[str, bool]]]:
    if not _made:
        project = make_project(factory.mktemp("whole"))
        data = bundle_of(project, project.run.parent / "x.zip").read_bytes()
        _made.append((data, tree(project.root)))
    return _made[0]


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    for name, data in {
        "text": b"hello",
        "zip": _zip({"a": b"b"}),
        "empty": b"",
        "other": _zip({"bundle.json": b"[]"}),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MalformedInput):
            restore_run(tmp_path / name, tmp_path / "back")


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


@pytest.mark.slow
def test_a_pointer_of_git_lfs_is_lacking_in_either_way(project: Project, tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"
    (project.root / "weights.bin").write_text(pointer)
    git(project.root, "add", "weights.bin")
    git(project.root, "commit", "-qm", "lfs")
    record_run(project)
    for source, name in ((project.run, "one"), (bundle_of(project, tmp_path / "x.zip"), "two")):
        found = restore_run(source, tmp_path / name, repository=project.root if source.is_dir() else None)
        assert [one.what for one in found.lacking] == ["weights.bin"]


@pytest.mark.slow
def test_a_name_that_is_no_text_is_lacking_in_a_bundle_and_comes_back_from_the_repository(
    project: Project, tmp_path: Path
) -> None:
    blob = git(project.root, "hash-object", "-w", "train.py").decode().strip()
    strange = "caf\udce9.py"
    git(project.root, "update-index", "--add", "--cacheinfo", f"100644,{blob},{strange}")
    (project.root / strange).write_bytes((project.root / "train.py").read_bytes())
    git(project.root, "commit", "-qm", "latin-1")
    record_run(project)
    restore_run(project.run, tmp_path / "one", repository=project.root)
    assert (tmp_path / "one" / "code" / strange).is_file()
    found = restore_run(bundle_of(project, tmp_path / "x.zip"), tmp_path / "two")
    assert [one.why for one in found.lacking] == ["its name is no text"]
