"""`rldk ingest`, `format-info` and `validate-format`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import rldk
from rldk.adapters.base import adapters
from rldk.cli.main import main

STATE = Path(__file__).parents[1] / "fixtures/trl-grpo-collapse/trainer_state.json"


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def own_names(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    rows = [{"step": i, "avg_return": i / 2, "los": 1 / i, "entropy": 2.0} for i in range(1, 21)]
    path.write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 21, "avg_\n')
    return path


def test_ingest_writes_what_ingest_runs_returns(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    code, text, err = run("ingest", str(STATE), "-o", str(out))
    assert (code, err) == (0, f"wrote {out}\n")
    assert "reward_mean <- reward" in text
    frame: Any = rldk.ingest_runs(STATE)
    pd.testing.assert_frame_equal(pd.read_parquet(out), frame, check_dtype=False)


@pytest.mark.parametrize("source", ["--field-map", "--config-file", "file"])
def test_ingest_maps_own_names(own_names: Path, tmp_path: Path, source: str) -> None:
    mapping = '{"avg_return": "reward_mean"}'
    (tmp_path / "map.json").write_text(mapping)
    (tmp_path / "settings.json").write_text(f'{{"field_map": {mapping}}}')
    option = {
        "--field-map": ("--field-map", mapping),
        "file": ("--field-map", str(tmp_path / "map.json")),
        "--config-file": ("--config-file", str(tmp_path / "settings.json")),
    }[source]
    code, out, _ = run("ingest", str(own_names), "--json", *option)
    assert code == 0
    assert json.loads(out)["runs"][0]["metrics"]["reward_mean"] == "avg_return"


def test_ingest_counts_what_it_refuses_and_strict_makes_it_an_error(own_names: Path) -> None:
    assert json.loads(run("ingest", str(own_names), "--json")[1])["runs"][0]["rejected"] == 1
    code, _, err = run("ingest", str(own_names), "--validation-mode", "strict")
    assert code == 3
    assert "21" in err


def test_ingest_insists_on_required_fields(own_names: Path) -> None:
    assert run("ingest", str(own_names), "--required-fields", "step,kl")[0] == 2
    assert run("ingest", str(own_names), "--required-fields", "step,kl", "--no-validate")[0] == 0
    code, _, err = run("ingest", str(own_names), "--required-fields", "kl", "--validation-mode", "lenient")
    assert code == 0
    assert "warning: " in err


@pytest.mark.parametrize(
    ("args", "code"),
    [(("--output", "x.doc"), 2), (("--field-map", "absent.json"), 2), (("--config-file", "absent"), 2)],
)
def test_ingest_names_what_is_wrong(own_names: Path, args: tuple[str, str], code: int) -> None:
    found, _, err = run("ingest", str(own_names), *args)
    assert found == code
    assert args[1] in err


@pytest.mark.slow
def test_format_info_lists_every_adapter_and_what_it_loses() -> None:
    formats = json.loads(run("format-info", "--json")[1])["formats"]
    assert {f["name"] for f in formats} == set(adapters.names())
    assert all(f["reads"] and f["loses"] for f in formats)
    assert all(name in run("format-info")[1] for name in adapters.names())


def test_formats_are_two_columns() -> None:
    lines = run("format-info")[1].splitlines()
    beside = [line for line in lines if line.startswith(" ")]
    assert {len(line) - len(line.lstrip()) for line in beside} == {20}
    assert max(map(len, beside)) <= 100
    assert all(line[20:21] not in ("", " ") for line in lines)


def test_validate_format_says_who_reads_it_and_what_is_known(own_names: Path) -> None:
    code, out, _ = run("validate-format", str(own_names))
    assert code == 0
    for part in ("confidence", "rows      20 from 21 lines", "rejected  1", "line 21 (byte ", "los  (nearest: loss"):
        assert part in out
    facts = json.loads(run("validate-format", str(STATE), "--json")[1])
    assert facts["recognised_by"][0]["adapter"] == "hf-trainer-state"
    assert facts["runs"][0]["metrics"]["reward_mean"] == "reward"


def test_validate_format_of_no_log_exits_3(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello\n")
    assert run("validate-format", str(tmp_path / "x"))[0] == 3
