"""`rldk reward-health`, `rldk reward-drift` and `rldk reward ...` as a user calls them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from examples import each_of
from made_rewards import answers, pairs, rows

from rldk.cli.main import main


def call(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "100"})


def written(path: Path, columns: dict[str, list]) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows(columns)))
    return path


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("rewards") / "biased.jsonl", answers(per_word=0.1))


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("rewards") / "clean.jsonl", answers())


@pytest.mark.slow
def test_the_verdict_comes_first_and_the_exit_code_says_whether_it_passes(biased: Path, clean: Path) -> None:
    found = call("reward-health", biased)
    assert found.output.startswith("The reward does not pass: length bias.")
    assert "LEN020 reward-pays-for-length" in found.output
    assert "What further checks need" in found.output
    assert found.exit_code == 1
    assert call("reward-health", "--run", clean).exit_code == 0


def test_json_is_one_document_with_every_attribute(biased: Path) -> None:
    found = json.loads(call("reward-health", biased, "--json").output)
    assert found["kind"] == "reward_health"
    assert found["checks"]["length_bias"]["status"] == "fail"
    assert found["calibration_score"] is None
    assert found["length_bias_metrics"]["bias_direction"] == "longer"


@pytest.mark.slow
def test_a_run_writes_its_files_and_a_gate_reads_them(biased: Path, tmp_path: Path) -> None:
    assert call("reward", "reward-health", "run", "--scores", biased, "--out", tmp_path, "--gate").exit_code == 1
    assert {p.name for p in tmp_path.iterdir()} >= {"health.json", "health.md", "health.html"}
    assert "<svg" in (tmp_path / "health.html").read_text()
    found = call("reward", "reward-health", "gate", "--from", tmp_path / "health.json")
    assert (found.exit_code, found.output.split(":")[0]) == (1, "fail")
    again = call(
        "reward", "reward-health", "gate", "--from", tmp_path / "health.json", "--gate-codes", "0,0,7", "--json"
    )
    assert again.exit_code == 7
    assert json.loads(again.output)["grade"] == "fail"
    (tmp_path / "other.json").write_text('{"kind": "diff"}')
    assert call("reward", "reward-health", "gate", "--from", tmp_path / "other.json").exit_code == 3


def test_a_configuration_file_sets_columns_and_thresholds_and_a_flag_wins(biased: Path, tmp_path: Path) -> None:
    config = tmp_path / "health.yaml"
    config.write_text("threshold_length_bias: 0.99\ncolumns: {position: position}\n")
    assert call("reward-health", biased, "--config", config).exit_code == 0
    assert call("reward-health", biased, "--config", config, "--threshold-length-bias", 0.2).exit_code == 1
    config.write_text("threshold_lenght_bias: 0.99\n")
    found = call("reward-health", biased, "--config", config)
    assert found.exit_code == 2
    assert "threshold_length_bias" in found.output + found.stderr


def test_gold_scores_come_from_a_file_by_id(tmp_path: Path) -> None:
    columns = answers()
    columns["id"] = [f"a{i}" for i in range(480)]
    data = written(tmp_path / "data.jsonl", columns)
    gold = written(tmp_path / "gold.jsonl", {"id": columns["id"], "score": columns["reward"]})
    found = json.loads(call("reward-health", data, "--gold-scores", gold, "--json").output)
    assert found["checks"]["calibration"]["status"] != "not_available"


@pytest.mark.parametrize("form", ["md", "html", "github", "junit", "sarif"])
def test_every_format_names_the_finding(biased: Path, form: str) -> None:
    assert "LEN020" in call("reward-health", biased, "--format", form).output


@pytest.mark.slow
def test_length_bias_writes_the_reward_card(biased: Path, tmp_path: Path) -> None:
    found = call("reward", "length-bias", "--run-path", biased, "--generate-card", "--output-dir", tmp_path)
    assert found.exit_code == 1
    card = json.loads((tmp_path / "reward_card.json").read_text())
    said = {check["code"]: check["status"] for check in card["checks"]}
    assert (said["length-bias"], said["saturation"], said["calibration"]) == ("fail", "pass", "not checked")
    assert card["command"].startswith("rldk card reward ")
    assert (tmp_path / "reward_card.html").read_text().count("<svg") == 2  # rewards, and rewards over length


def test_length_bias_alone(biased: Path, clean: Path) -> None:
    found = call("reward", "length-bias", "--run-path", biased)
    assert found.exit_code == 1
    assert "calibration" not in found.output
    assert call("reward", "length-bias", "--run-path", clean).exit_code == 0
    assert call("reward", "length-bias", "--run-path", biased, "--threshold", 0.99).exit_code == 0


def test_length_bias_without_answers_cannot_be_measured(tmp_path: Path) -> None:
    data = written(tmp_path / "pairs.jsonl", pairs())
    found = call("reward", "length-bias", "--run-path", data)
    assert found.exit_code == 3
    assert "needs" in found.stderr


def test_two_files_of_scores_are_compared(clean: Path, biased: Path, tmp_path: Path) -> None:
    columns = answers()
    opposite = written(tmp_path / "b.jsonl", {**columns, "reward": [-r for r in columns["reward"]]})
    found = call("reward-drift", "--scores-a", clean, "--scores-b", opposite)
    assert found.exit_code == 1
    assert found.output.startswith("The models do not agree")
    assert "Where they disagree most" in found.output
    same = json.loads(call("reward", "reward-drift", clean, clean, "--json").output)
    assert (same["passed"], same["n"]) == (True, 480)
    assert call("reward-drift", clean).exit_code == 2
    assert call("reward-drift", "made_scorers:longer", "made_scorers:longer", "--prompts", clean).exit_code == 0


def test_what_cannot_be_read_is_exit_code_3(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    for path in (tmp_path / "empty.jsonl", tmp_path / "nothing.jsonl"):
        assert call("reward-health", path).exit_code == 3
    assert call("reward-health").exit_code == 2


def test_the_page_about_hacked_rewards_shows_the_real_output(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.chdir(root)
    page = (root / "docs" / "how-to" / "is-my-reward-being-hacked.md").read_text()
    pairs_of = re.findall(r"```sh\n([^`]*?)```\n\n```\n(.*?)```", page, re.DOTALL)
    assert len(pairs_of) == 2
    for command, shown in pairs_of:
        printed = call(*shlex.split(command)[1:], "--no-color").output
        assert all(part.strip() in printed for part in shown.split("[...]"))
    python = page.split("```python\n")[1].split("```")[0]
    exec(compile(python, "page", "exec"), {})


@pytest.mark.slow
def test_the_scores_of_both_versions_are_made_as_their_script_says(tmp_path: Path) -> None:
    import runpy

    folder = Path(__file__).parents[2] / "examples" / "rewards"
    runpy.run_path(str(folder / "make.py"))["main"](tmp_path)
    for name in ("v1", "v2"):
        made, shipped = ((d / f"{name}.jsonl").read_text().splitlines() for d in (tmp_path, folder))
        for one, other in zip(map(json.loads, made), map(json.loads, shipped), strict=True):
            assert one["id"] == other["id"]
            assert one["score"] == pytest.approx(other["score"], abs=0.002)  # linear algebra rounds as the machine does


@pytest.mark.slow
def test_every_command_of_the_page_about_hacked_rewards_runs_as_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "how-to" / "is-my-reward-being-hacked.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line for block in blocks for line in block.strip().splitlines()]
    inline = [f"rldk {words}" for words in re.findall(r"`rldk ((?:card|reward).*?)`", page)]
    shutil.copytree(root / "examples" / "rewards", tmp_path / "examples" / "rewards")
    monkeypatch.chdir(tmp_path)
    codes = {}
    for line in [*lines, *inline]:
        done = CliRunner().invoke(main, shlex.split(line)[1:])
        codes[line] = done.exit_code
        assert done.exit_code in (0, 1), done.output
        assert "Traceback" not in done.output
    assert len(lines) == 5
    assert inline
    assert [codes[line] for line in lines] == [1] * 5  # the reward fails, so does length, and the versions differ
    assert (tmp_path / "health" / "health.json").is_file()


@pytest.mark.slow
def test_a_card_of_answers_without_steps_is_about_the_answers(biased: Path, clean: Path, tmp_path: Path) -> None:
    for source, status, code in ((biased, "fail", 1), (clean, "pass", 0)):
        made = call("card", "reward", source, "--output-dir", tmp_path, "--json")
        card = json.loads(made.stdout)
        assert (made.exit_code, card["status"]) == (code, status)
        assert {one["name"] for one in card["plots"]} == {"Distribution of the rewards", "Reward and length"}


NOISE = np.random.default_rng(0).normal(size=200).tolist()
ROWS = [
    {"id": i, "prompt": f"q{i // 4}", "response": "w " * (5 + i % 40), "reward": noise} for i, noise in enumerate(NOISE)
]
ODD: dict[str, tuple[bytes | list[dict[str, Any]], int, str]] = {
    "no-prompts": ([{k: v for k, v in row.items() if k != "prompt"} for row in ROWS], 0, "correlations are those over"),
    "no-responses": ([{k: v for k, v in row.items() if k != "response"} for row in ROWS], 0, "length bias: needs"),
    "ten-rows": (ROWS[:10], 3, "Not judged: the data carries too little."),
    "all-equal": ([{**row, "reward": 1.0} for row in ROWS], 1, "does not pass: saturation"),
    "all-nan": ([{**row, "reward": float("nan")} for row in ROWS], 1, "does not pass: missing rewards"),
    "mixed-types": ([{**row, "reward": (row["reward"], "bad", [2], None)[i // 4 % 4]} for i, row in enumerate(ROWS)],
                    1, "missing rewards FAILS"),
    "same-ids": ([{**row, "id": 1} for row in ROWS], 0, "No fault found"),
    "no-rewards": ([{"a": 1, "b": "x"}] * 40, 3, "has no column of rewards\nhint: name it with reward_col "
                   "(--reward-col); there are: a, b"),
    "empty": (b"", 3, "is empty"),
    "junk": (bytes(range(256)) * 9, 3, "is in no log format that rldk knows"),
    "half-a-row": (b'{"reward": \xff\xfe\x00', 3, "has no rows: row 1: not JSON"),
    "half-parquet": (b"PAR1" + bytes(range(256)), 3, "is no complete Parquet file"),
}  # fmt: skip


@each_of("name", ODD)
def test_an_odd_file_has_an_honest_answer(name: str, tmp_path: Path) -> None:
    content, code, words = ODD[name]
    path = tmp_path / f"{name}.jsonl"
    text = content if isinstance(content, bytes) else "".join(f"{json.dumps(row)}\n" for row in content).encode()
    path.write_bytes(text)
    found = call("reward-health", path)
    told = " ".join(found.stdout.split()) if found.stdout else found.stderr
    assert (found.exit_code, words in told) == (code, True), found.output
    if not found.stdout:
        assert len(found.stderr.splitlines()) == 2


def test_a_directory_without_rewards_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("hello\n")
    found = call("reward-health", tmp_path)
    assert (found.exit_code, found.stdout) == (3, "")
    assert "the only file in" in found.stderr


FOREIGN = {
    "another-report": ('{"kind": "monitor_report"}', "is no report on rewards"),
    "a-list": ("[1]", "is no report on rewards"),
    "half": ('{"kind": "reward_health", "checks": {"drift": 3}}', "foreign.json: not a stored"),
    "no-json": ("{", "is no JSON"),
    "deep": ("[" * 100_000, "is no JSON"),
}


@each_of("name", FOREIGN)
def test_a_gate_names_a_file_that_is_no_report(name: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign.json"
    path.write_text(FOREIGN[name][0])
    found = call("reward", "reward-health", "gate", "--from", path)
    assert (found.exit_code, found.stdout) == (3, "")
    assert FOREIGN[name][1] in found.stderr


def test_what_was_not_asked_for_is_not_said_to_lack_data(biased: Path) -> None:
    found = call("reward-health", biased, "--select", "LEN020")
    assert "What further checks need" not in found.output
    assert "need data" not in found.output
