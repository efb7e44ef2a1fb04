"""`rldk evals` and `rldk eval`: what they print, write and exit with."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from made_answers import answers, red_team

from rldk.cli.main import main
from rldk.evals.files import read_result

FIXTURES = Path(__file__).parents[1] / "fixtures"


def invoke(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in answers()))
    return path


def test_the_result_is_written_and_read_back(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = invoke(
        "evals",
        "evaluate",
        str(data),
        "--suite",
        "comprehensive",
        "--output",
        str(out),
        "--output-dir",
        str(tmp_path / "d"),
    )
    assert done.exit_code == 0, done.output
    assert read_result(out) == read_result(tmp_path / "d" / "evaluation.json")
    assert "<script" not in (tmp_path / "d" / "evaluation.html").read_text()


@pytest.mark.slow
def test_a_failure_is_1_and_nothing_to_judge_is_3(tmp_path: Path) -> None:
    path = tmp_path / "red.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in red_team(refuses=0.7)))
    done = invoke("evals", "evaluate", str(path), "--suite", "safety")
    assert (done.exit_code, done.stdout.count("FAILS\n  Refusal of harmful requests: 7")) == (1, 1)
    assert invoke("evals", "evaluate", str(path), "--suite", "safety", "--gate-codes", "0,0,7").exit_code == 7
    path.write_text('{"prompt_id": 1, "correct": 1}\n' * 20)
    done = invoke("evals", "evaluate", str(path), "--suite", "safety", "--json")
    assert (done.exit_code, json.loads(done.stdout)["overall_score"]) == (3, None)


def test_what_cannot_be_read_or_is_meant_wrongly(data: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)) * 20)
    cases: dict[tuple[str, ...], int] = {
        ("evaluate", str(tmp_path / "absent.jsonl")): 3,
        ("evaluate", str(tmp_path / "empty.jsonl")): 3,
        ("evaluate", str(tmp_path / "noise.bin")): 3,
        ("evaluate", str(data), "--min-samples", "1000"): 3,
        ("evaluate", str(data), "--suite", "qick"): 2,
        ("evaluate", str(data), "--limit", "toxicity"): 2,
        ("evaluate", str(data), "--column-mapping", "[1]"): 2,
        ("compare", str(data), str(data), "--margin", "-1"): 2,
        ("compare", str(data), str(data), "--metrics", "toxicity"): 3,
    }
    for words, code in cases.items():
        done = invoke("evals", *words)
        assert done.exit_code == code, (words, done.output)
        assert "error: " in done.stderr


def test_a_time_limit_ends_the_command(data: Path) -> None:
    done = invoke("evals", "evaluate", str(data), "--timeout", "0.001")
    assert done.exit_code == 3
    assert "no result within 0.001 seconds" in done.stderr


def test_a_csv_with_names_of_its_own_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["item", "reply", "was_right"])
        writer.writerows([[i % 20, "=1+1 text", "yes" if i % 3 else "no"] for i in range(60)])
        stream.write("1,2\n")
    mapping = json.dumps({"prompt_id": "item", "correct": "was_right"})
    words = ("--column-mapping", mapping, "--output-column", "reply")
    told: dict[str, Any] = json.loads(invoke("evals", "validate", str(path), *words, "--json").stdout)
    assert (told["rows"], told["rejected"], told["valid"]) == (60, 1, False)
    done = invoke("evals", "evaluate", str(path), "--suite", "comprehensive", *words, "--json")
    assert json.loads(done.stdout)["scores"]["pass_rate"] == pytest.approx(2 / 3)


def test_a_run_is_evaluated_by_its_log() -> None:
    done = invoke("eval", "--run", str(FIXTURES / "trl-ppo"), "--suite", "quick", "--json")
    found = json.loads(done.stdout)
    assert found["raw_results"]["state"]["status"] in ("pass", "warn", "fail")
    assert "degenerate_text" in found["not_available"]


def test_a_comparison_exits_with_1_where_b_is_worse(data: Path, tmp_path: Path) -> None:
    better = tmp_path / "better.jsonl"
    better.write_text("".join(json.dumps(row) + "\n" for row in answers(shift=1.5, seed=1)))
    assert invoke("evals", "compare", str(data), str(better)).exit_code == 0
    worse = invoke("evals", "compare", str(better), str(data), "--format", "junit")
    assert worse.exit_code == 1
    assert "worse-correct" in worse.stdout


def test_text_from_the_data_is_escaped_on_a_page(tmp_path: Path) -> None:
    path, page = tmp_path / "x.jsonl", tmp_path / "x.html"
    rows = [
        {**row, "category": "<script>alert(1)</script>\x1b[31m" if i % 2 else "b"} for i, row in enumerate(answers())
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = invoke("evals", "evaluate", str(path), "--suite", "comprehensive", "--html", str(page))
    assert "<script>alert" not in page.read_text()
    assert "\x1b[31m" not in done.stdout


def test_data_of_which_nothing_is_understood_exits_with_3(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text("".join(json.dumps({"output_1": "a", "preference": i}) + "\n" for i in range(50)))
    done = invoke("evals", "evaluate", str(path))
    assert (done.exit_code, done.output.startswith("Not judged: ")) == (3, True)
