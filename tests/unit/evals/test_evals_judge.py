"""A judge behind a server on loopback: one that reads, one that takes the first answer, one that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from judge_servers import reads, said, serving

from rldk.cli.main import main
from rldk.errors import NoData, UnreadableSource, UsageError
from rldk.evals import JudgeServer, judge_pairs
from rldk.evals.judges.asking import verdict_of

A = [{"prompt_id": i, "prompt": f"q{i} {{first}}", "response": "bad " * 3} for i in range(40)]
B = [
    {**row, "response": "good " * 3 if i < 30 else "bad " * 3, "human": "b" if i < 30 else "tie"}
    for i, row in enumerate(A)
]


@pytest.mark.slow
def test_a_judge_that_reads_agrees_with_itself_and_with_people(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "token-of-the-test")
    with serving(reads) as (server, asked):
        found, pairs = judge_pairs(A, B, server, votes=2)
    assert found.scores["win_rate"] == pytest.approx((30 + 5) / 40)
    assert found.scores["position_bias"] == 0.0
    assert found.scores["judge_agreement"] == pytest.approx(1.0)
    assert pairs[0]["votes"] == [["b", "b"], ["b", "b"]]
    assert len(asked) == 160
    assert {path for path, _, _ in asked} == {"/v1/chat/completions"}
    assert {token for _, token, _ in asked} == {"Bearer token-of-the-test"}
    assert {body["temperature"] for _, _, body in asked} == {0.0}


def test_a_judge_that_takes_the_first_answer_fails_and_gives_no_win() -> None:
    with serving(lambda question, n: said("[[1]]")) as (server, _):
        found, _pairs = judge_pairs(A, B, server)
    assert found.raw_results["position_bias"].status == "fail"
    assert found.scores["win_rate"] == 0.5
    assert not found.passed


@pytest.mark.slow
def test_a_verdict_that_cannot_be_read_is_left_out_and_said() -> None:
    with serving(lambda question, n: said("I like both.") if "q7 " in question else reads(question, n)) as (server, _):
        found, pairs = judge_pairs(A, B, server)
    assert pairs[7]["choice"] is None
    assert found.raw_results["win_rate"].n == 39
    notes = [note.text for note in found.notes]
    assert "1 prompt lacks a verdict in one order or both, and was left out" in notes
    assert "2 answers of the judge named none of [[1]], [[2]], [[tie]]; one ended with 'I like both.'" in notes


@pytest.mark.slow
def test_a_question_that_is_refused_costs_its_prompt_alone_and_says_why() -> None:
    refused = 400, {"error": {"message": "too long: Bearer abcdefgh-token"}}
    with serving(lambda question, n: refused if "q7 " in question else reads(question, n)) as (server, _):
        found, pairs = judge_pairs(A, B, server)
    assert (pairs[7]["choice"], found.raw_results["win_rate"].n) == (None, 39)
    (lost,) = [note.text for note in found.notes if "got no answer" in note.text]
    assert lost.startswith("2 questions of 80 got no answer: http://127.0.0.1:")
    assert lost.endswith("refused: status 400 (too long: Bearer [redacted])")


def test_a_server_that_refuses_everything_is_asked_little_and_is_an_error() -> None:
    with serving(lambda question, n: (401, {})) as (server, asked), pytest.raises(UnreadableSource, match="status 401"):
        judge_pairs(A, B, server)
    assert 20 <= len(asked) < 20 + server.concurrency


def test_the_verdict_is_the_last_one_and_not_a_thought() -> None:
    cases = {
        "[[1]] no, [[ TIE ]]": 0,
        "<think>[[1]]</think> [[2]]": 2,
        "<think>[[1]] and on": -1,
        "My final verdict: [[B]]": 2,
        "**2**": 2,
        "<think>1?</think>\n tie.": 0,
        "12": -1,
        "2 is worse": -1,
        "[1]": -1,
    }
    assert {text: verdict_of(text) for text in cases} == cases


@pytest.mark.slow
def test_what_people_say_is_read_from_any_column_and_odd_words_are_named() -> None:
    rows = [{**row, "winner": "model_b" if i < 30 else "bad!" if i == 39 else "Tie"} for i, row in enumerate(B)]
    with serving(reads) as (server, _):
        found, _pairs = judge_pairs(A, rows, server, human="winner")
    assert (found.raw_results["judge_agreement"].n, found.scores["judge_agreement"]) == (39, pytest.approx(1.0))
    notes = [note.text for note in found.notes]
    assert "1 verdicts of people are none of a, b and tie ('bad!')" in notes
    assert any(text.startswith("judge and people agree on 39 of 39 prompts") for text in notes)


@pytest.mark.slow
def test_the_first_sentence_says_whom_the_judge_prefers_and_how_sure_that_is() -> None:
    with serving(reads) as (server, _):
        better, _pairs = judge_pairs(A, B, server)
        alike, _pairs = judge_pairs(A, A, server)
    assert better.verdict.startswith("The judge prefers B: for B in 87.5% of 40 prompts, 95 %: ")
    assert alike.verdict.startswith("The judge shows no preference: for B in 50.0% of 40 prompts")
    low, high = alike.confidence_intervals["win_rate"] or (0, 0)
    assert low < 0.45 < 0.55 < high
    with serving(lambda question, n: said("[[1]]")) as (server, _):
        first, _pairs = judge_pairs(A, B, server)
    assert first.verdict.startswith("The judge goes by the order of the answers")
    assert first.raw_results["judge_agreement"].status == "not_available"
    assert "on 40 prompts the judge took the same place in both orders, 40 times the first" in [
        note.text for note in first.notes
    ]


@pytest.mark.slow
def test_the_command_asks_a_question_of_its_own_and_writes_the_pairs(tmp_path: Path) -> None:
    for name, rows in (("a", A[:12]), ("b", B[:12])):
        own = [{"prompt_id": row["prompt_id"], "text": row["response"]} for row in rows]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    (tmp_path / "question.txt").write_text("[Answer 1]\n{first}\n[Answer 2]\n{second}\nShorter? [[1]] or [[2]]")
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl", "question.txt", "pairs.jsonl", "bad.txt")]
    (tmp_path / "bad.txt").write_text("Which one? {first}")
    with serving(reads) as (server, asked):
        words = ["evals", "judge", *paths[:2], "--url", server.url, "--model", "m", "--output-column", "text"]
        done = CliRunner().invoke(main, [*words, "--question", paths[2], "--max-tokens", "64", "--pairs", paths[3]])
        wrong = CliRunner().invoke(main, [*words, "--question", paths[4]])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("The judge prefers B: for B in 100.0% of 12 prompts")
    assert "the data has no prompts as text" in " ".join(done.stdout.split())
    assert all("Shorter?" in body["messages"][0]["content"] and body["max_tokens"] == 64 for _, _, body in asked)
    assert json.loads((tmp_path / "pairs.jsonl").read_text().splitlines()[0])["said"][0] == ["Because. [[2]]"]
    assert (wrong.exit_code, "lacks {second}" in wrong.stderr) == (2, True)


def test_a_text_cannot_stand_in_for_another() -> None:
    with serving(reads) as (server, asked):
        judge_pairs(A, B, server, most=3)
    assert len(asked) == 6
    assert all("{first}" in body["messages"][0]["content"] for _, _, body in asked)


def test_a_busy_server_is_asked_again_and_a_refusal_is_final() -> None:
    with serving(lambda question, n: (503, {}) if n == 1 else reads(question, n)) as (server, _):
        assert judge_pairs(A[:12], B[:12], server)[0].scores["win_rate"] == 1.0
    with serving(lambda question, n: (401, {})) as (server, asked):
        with pytest.raises(UnreadableSource, match="refused: status 401"):
            server.ask("x")
        assert len(asked) == 1
    with serving(lambda question, n: (200, {"odd": 1})) as (server, _), pytest.raises(UnreadableSource):
        server.ask("x")


def test_wrong_arguments_are_errors() -> None:
    server = JudgeServer(url="http://user:secret@host/v1", model="made")
    with pytest.raises(UsageError) as caught:
        server.ask("x")
    assert "secret" not in str(caught.value)
    with pytest.raises(NoData, match="no prompt in common"):
        judge_pairs(A, [{"prompt_id": "other", "response": "x"}], server)
