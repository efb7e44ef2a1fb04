"""Whatever a run.json says, each command that reads it ends with a result or with an error of rldk."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_runs import Project, make_project, safetensors

from rldk.errors import RldkError
from rldk.tracking import diff_runs, export_run, restore_run, verify_run
from rldk.tracking.exports import FORMATS

words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["../x", "/etc/passwd", "-x", "a" * 40, "sha256:00", f"sha256:{'0' * 64}", "", "\0", "~", ".", ".git"]
    ),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False, allow_infinity=False), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
files = st.fixed_dictionaries(
    {"path": words, "bytes": st.integers(0, 9)},
    optional={"digest": words, "kept": st.booleans(), "reason": words},
)
gits = st.fixed_dictionaries(
    {},
    optional={
        "sha": words, "branch": words, "dirty": st.booleans(), "remote": words, "diff": words, "diff_digest": words,
        "untracked": st.lists(files, max_size=2), "submodules": st.dictionaries(words, words, max_size=2),
    },
)  # fmt: skip
data = st.fixed_dictionaries(
    {"fingerprint": words, "format": words},
    optional={
        "rows": st.integers(-3, 9), "source": words, "sampled": st.booleans(), "rows_file": words, "leaves_file": words,
    },
)  # fmt: skip
models = st.fixed_dictionaries(
    {"weights": words, "architecture": words, "parameters": st.integers(0, 9)},
    optional={"source": words, "tensors_file": words, "weights_file": words},
)
tokenizers = st.fixed_dictionaries(
    {"digest": words}, optional={"source": words, "parts": st.dictionaries(words, words)}
)
manifests = st.fixed_dictionaries(
    {"schema_version": st.just(1)},
    optional={
        "run_id": words, "project": words, "name": words, "status": st.sampled_from(["finished", "crashed"]),
        "started_at": words, "finished_at": words, "command": st.lists(words, max_size=3), "seed": st.integers(),
        "config": st.dictionaries(words, values, max_size=3), "git": gits, "cwd": words, "notes": words,
        "script": st.fixed_dictionaries({"path": words, "sha256": words}), "tags": st.lists(words, max_size=2),
        "datasets": st.dictionaries(words, data, max_size=2), "models": st.dictionaries(words, models, max_size=2),
        "tokenizers": st.dictionaries(words, tokenizers, max_size=2),
        "seeds": st.dictionaries(words, values, max_size=2),
    },
)  # fmt: skip


@pytest.mark.slow
@given(said=manifests)
def test_any_manifest_gives_a_result_or_an_error_of_rldk(
    tmp_path_factory: pytest.TempPathFactory, said: dict[str, Any]
) -> None:
    place = tmp_path_factory.mktemp("hostile")
    run = place / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps(said))
    outside = place / "outside"
    outside.mkdir()
    with suppress(RldkError):
        assert verify_run(run, root=outside, repository=outside).kind == "verification"
    with suppress(RldkError):
        restore_run(run, outside / "back", repository=outside)
    for form in FORMATS:
        with suppress(RldkError):
            export_run(run, outside / form, form=form)
            _check_names(outside / form)
    with suppress(RldkError):
        diff_runs(run, run)
    assert sorted(path.name for path in place.iterdir()) == ["outside", "run"]
    assert {path.name for path in outside.iterdir()} <= {"back", *FORMATS}


def _check_names(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        assert not [name for name in names if name.startswith("/") or ".." in name.split("/")]
        assert len(names) == len(set(names))
    else:
        json.loads(path.read_text())


tensors = st.fixed_dictionaries(
    {"dtype": st.sampled_from(["float32", "x"]), "shape": st.lists(st.integers(-2, 40), max_size=2), "digest": words},
    optional={"leaves": st.lists(st.sampled_from(["", "00", "ff" * 32, "zz"]), max_size=2)},
)
sidecars = st.one_of(
    values,
    st.fixed_dictionaries({"tensors": st.dictionaries(st.sampled_from(["emb", "head", "x"]), tensors, max_size=3)}),
    st.fixed_dictionaries(
        {"leaves": st.lists(st.sampled_from(["", "00" * 32, "zz"]), max_size=3), "leaf_rows": st.integers(-2, 9000)},
        optional={"columns": st.lists(words, max_size=2)},
    ),
)


@pytest.mark.slow
@given(leaves=sidecars, kept=sidecars, rows=st.binary(max_size=64))
def test_any_sidecar_leaves_a_change_seen(
    tmp_path_factory: pytest.TempPathFactory, leaves: object, kept: object, rows: bytes
) -> None:
    project = _project(tmp_path_factory)
    (project.run / "datasets" / "train.leaves.json").write_text(json.dumps(leaves))
    (project.run / "datasets" / "train.rows").write_bytes(rows)
    (project.run / "models" / "policy.tensors.json").write_text(json.dumps(kept))
    found = {one.name: one.status for one in verify_run(project.run, repository=project.run, work_tree=False).outcomes}
    assert (found["train"], found["policy"]) == ("failed", "failed")
    diff_runs(project.run, project.run)


_projects: list[Project] = []


def _project(factory: pytest.TempPathFactory) -> Project:
    """A run whose data and weights have changed since."""
    if not _projects:
        made = make_project(factory.mktemp("project"))
        made.data.write_text('{"other": 1}\n')
        made.weights.write_bytes(safetensors({"emb": [1.5] * 32, "head": [0.0] * 16}))
        _projects.append(made)
    return _projects[0]
