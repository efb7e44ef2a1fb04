"""The answers of a judge outlive the run: the next one asks for what is missing, and comes to the same report."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from judge_servers import reads, said, serving
from msgspec.structs import replace

from rldk.cli.main import main
from rldk.errors import OutputError, UnreadableSource, UsageError
from rldk.evals import JudgeServer, judge_pairs
from rldk.evals.judges.kept import KeptAnswers, key_of
from rldk.evals.judges.server import JudgeAnswer

TOKEN = "token-of-the-test"
A = [{"prompt_id": i, "prompt": f"q{i} ", "response": "bad " * 3} for i in range(15)]
B = [{**row, "response": "good " * 3 if i % 3 else "bad " * 3} for i, row in enumerate(A)]


def answers_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def report_of(found: Any) -> tuple[Any, Any]:
    result, pairs = found
    return result.to_dict(), pairs


def test_a_second_call_asks_nothing_and_says_so(tmp_path: Path) -> None:
    state = tmp_path / "new" / "answers.jsonl"
    told: list[str] = []
    with serving(reads) as (server, asked):
        plain = report_of(judge_pairs(A, B, server, votes=2))
        first = report_of(judge_pairs(A, B, server, votes=2, state=state, tell=told.append))
        kept, count = state.read_bytes(), len(asked)
        second = report_of(judge_pairs(A, B, server, votes=2, state=state, tell=told.append))
    assert plain == first == second
    assert (count, len(asked), len(answers_in(state))) == (120, 120, 60)
    assert state.read_bytes() == kept
    assert told == [f"60 of 60 answers are taken from {state}"]


@pytest.mark.slow
@pytest.mark.parametrize("lines", [0, 1, 7, 29])
@pytest.mark.parametrize("tail", [b"", b'{"key": "00", "te', b"\xff\xfe\n", b"[1]\n", b'{"key": 3, "text": "x"}\n'])
def test_a_run_goes_on_where_another_ended(tmp_path: Path, lines: int, tail: bytes) -> None:
    state = tmp_path / "answers.jsonl"
    with serving(reads) as (server, asked):
        whole = report_of(judge_pairs(A, B, server, state=state))
        every = answers_in(state)
        state.write_bytes(b"".join(state.read_bytes().splitlines(keepends=True)[: 1 + lines]) + tail)
        asked.clear()
        assert report_of(judge_pairs(A, B, server, state=state)) == whole
        assert len(asked) == 30 - lines
        assert report_of(judge_pairs(A, B, server, state=state)) == whole
        assert len(asked) == 30 - lines
    kept = {line["key"]: line["text"] for line in every}
    found = [
        json.loads(x) for x in state.read_bytes().splitlines()[1:] if x.startswith(b'{"key": "') and x.endswith(b"}")
    ]
    assert {line["key"]: line["text"] for line in found} == kept


def test_a_first_line_that_was_not_written_to_its_end_is_written_again(tmp_path: Path) -> None:
    state = tmp_path / "answers.jsonl"
    for begun in (b"", b"\n", b'{"kind": "jud'):
        state.write_bytes(begun)
        with KeptAnswers(state) as kept:
            kept.add("k", JudgeAnswer(text="[[1]]"))
        assert [json.loads(x) for x in state.read_bytes().splitlines()] == [
            {"kind": "judge-answers", "schema_version": 1}, {"key": "k", "text": "[[1]]", "cut": False}
        ]  # fmt: skip


@pytest.mark.parametrize("content", [b'{"prompt_id": 1, "response": "x"}\n', b"some text", b"[1, 2]\n", b"\x00" * 9])
def test_a_file_of_something_else_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(content)
    with serving(reads) as (server, asked):
        with pytest.raises(UsageError, match="something else"):
            judge_pairs(A, B, server, state=path)
        with pytest.raises(OutputError):
            judge_pairs(A, B, server, state=tmp_path)
        with pytest.raises(OutputError, match="No space left"):
            judge_pairs(A, B, server, state="/dev/full")
    assert (path.read_bytes(), asked) == (content, [])


def test_two_runs_do_not_keep_answers_in_one_file(tmp_path: Path) -> None:
    with KeptAnswers(tmp_path / "answers.jsonl"), pytest.raises(UsageError, match="another process"):
        KeptAnswers(tmp_path / "answers.jsonl")
    with KeptAnswers(tmp_path / "answers.jsonl") as again:
        assert len(again) == 0


def test_a_question_that_got_no_answer_is_asked_again(tmp_path: Path) -> None:
    state = tmp_path / "answers.jsonl"
    with serving(lambda q, n: (400, {}) if "q7 " in q and n <= 30 else reads(q, n)) as (server, asked):
        lost, _ = judge_pairs(A, B, server, state=state)
        whole, _ = judge_pairs(A, B, server, state=state)
        assert (lost.numbers["questions_lost"], whole.numbers["questions_lost"], len(asked)) == (2, 0, 32)


def test_a_server_that_has_gone_leaves_a_report_of_what_is_there(tmp_path: Path) -> None:
    state = tmp_path / "answers.jsonl"
    with serving(reads) as (server, _asked):
        judge_pairs(A[:12], B[:12], server, state=state)
    found, _ = judge_pairs(A, B, replace(server, retries=0), state=state)
    assert (found.raw_results["win_rate"].n, found.numbers["questions_lost"]) == (12, 6)
    with pytest.raises(UnreadableSource):
        judge_pairs(A, B, replace(server, retries=0, model="other"), state=state)


def test_pairs_with_the_same_texts_have_answers_of_their_own(tmp_path: Path) -> None:
    a, b = ([{**rows[1], "prompt_id": i} for i in range(5)] for rows in (A, B))
    state = tmp_path / "answers.jsonl"
    with serving(lambda _, n: said(f"[[{1 + n % 2}]]")) as (server, asked):
        first = report_of(judge_pairs(a, b, replace(server, concurrency=1), state=state))
        assert report_of(judge_pairs(a, b, server, state=state)) == first
        assert len(asked) == len({line["key"] for line in answers_in(state)}) == 10
        renamed = [[{**row, "prompt_id": f"n{i}"} for i, row in enumerate(rows)] for rows in (a, b)]
        judge_pairs(renamed[0], renamed[1], server, votes=2, state=state)
        assert len(asked) == 20


def test_whatever_decides_an_answer_changes_its_key() -> None:
    server = JudgeServer(url="http://127.0.0.1:1/v1", model="m")
    others = [
        replace(server, url="http://127.0.0.1:2/v1"), replace(server, url="http://127.0.0.1:1/v2"),
        replace(server, model="n"), replace(server, temperature=0.5), replace(server, max_tokens=5),
    ]  # fmt: skip
    asked: dict[str, Any] = {"question": "q", "seed": 1, "order": "ab", "vote": 0, "copy": 0}
    changed: list[dict[str, Any]] = [{"question": "r"}, {"seed": 2}, {"order": "ba"}, {"vote": 1}, {"copy": 1}]
    keys = [key_of(one, **asked) for one in (server, *others)]
    keys += [key_of(server, **{**asked, **change}) for change in changed]
    assert len(set(keys)) == len(keys)
    alike = [
        replace(server, url="http://127.0.0.1:1/v1/"), replace(server, retries=0), replace(server, timeout_s=1.0),
        replace(server, concurrency=1), replace(server, token_variable="OTHER"), replace(server, temperature=0),
    ]  # fmt: skip
    assert {key_of(one, **asked) for one in alike} == {keys[0]}


def test_no_secret_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", TOKEN)
    state = tmp_path / "answers.jsonl"
    with serving(lambda q, n: said(f"Authorization: Bearer {TOKEN} [[1]]")) as (server, asked):
        url = server.url.replace("/v1", "/v1?api_key=hunter2&x=")
        _, pairs = judge_pairs(A, B, replace(server, url=url), state=state)
    assert {token for _, token, _ in asked} == {f"Bearer {TOKEN}"}
    assert answers_in(state)[0]["text"] == "Authorization: Bearer [redacted] [[1]]"
    assert all(word not in state.read_text() + str(pairs) for word in (TOKEN, "hunter2", "127.0.0.1"))
    assert set(answers_in(state)[0]) == {"key", "prompt_id", "order", "vote", "text", "cut"}


@given(texts=st.lists(st.text(st.characters(codec=None)), max_size=5))
def test_every_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("kept") / "answers.jsonl"
    for _ in range(2):
        with KeptAnswers(path) as kept:
            for key, text in enumerate(texts):
                if kept.get(str(key)) is None:
                    kept.add(str(key), JudgeAnswer(text=text, cut=bool(key % 2)))
    with KeptAnswers(path) as again:
        assert [again.get(str(key)) for key in range(len(texts))] == [
            JudgeAnswer(text=text, cut=bool(key % 2)) for key, text in enumerate(texts)
        ]
    assert len(path.read_bytes().splitlines()) == 1 + len(texts)


def test_the_example_of_an_unread_answer_does_not_depend_on_who_was_first(tmp_path: Path) -> None:
    def odd(question: str, _: int) -> tuple[int, Any]:
        time.sleep(0.02 * ("q0 " in question))
        return said(question.partition("[Request]\n")[2].partition("\n")[0])

    with serving(odd) as (server, _):
        found, _ = judge_pairs(A, B, server)
    assert any("one ended with 'q0'" in note.text for note in found.notes)


def files(folder: Path) -> list[str]:
    for name, rows in (("a", A), ("b", B)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return ["evals", "judge", str(folder / "a.jsonl"), str(folder / "b.jsonl"), "--model", "m", "--retries", "0"]


def called(words: list[Any]) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.slow
def test_the_command_keeps_answers_beside_what_it_writes(tmp_path: Path) -> None:
    words = files(tmp_path)
    cases: dict[str, list[Any]] = {
        "answers": ["--json"], "r": ["-o", tmp_path / "r.json", "--pairs", tmp_path / "p.jsonl"],
        "p": ["--pairs", tmp_path / "p.jsonl"], "h": ["--html", tmp_path / "h.html"],
    }  # fmt: skip
    with serving(reads) as (server, asked):
        for name, more in cases.items():
            done = called([*words, "--url", server.url, *more])
            assert done.exit_code == 0, done.output
            assert "answers are taken" not in done.stderr
            assert (tmp_path / f"{name}.answers.jsonl").exists() == (name != "answers")
        again = called([*words, "--url", server.url, "--state", tmp_path / "r.answers.jsonl"])
        assert "30 of 30 answers are taken from" in again.stderr
        for more in (["--state", tmp_path / "r.json"], ["--pairs", tmp_path / "r.answers.jsonl"]):
            wrong = called([*words, "--url", server.url, "-o", tmp_path / "r.json", *more])
            assert (wrong.exit_code, "is written at the end" in wrong.stderr) == (2, True)
        assert len(asked) == 30 * len(cases)


@contextmanager
def stuck(words: list[str]) -> Iterator[tuple[subprocess.Popen[str], str, Event, list[Any]]]:
    """A process that judges three pairs at a time, and waits for answers after the twelfth: the process, the address of
    its server, what lets the server go on, and what was asked."""
    going, enough = Event(), Event()

    def slow(question: str, number: int) -> tuple[int, Any]:
        if number > 12 and not going.is_set():
            enough.set()
            going.wait(60)
        return reads(question, number)

    with serving(slow) as (server, asked):
        called_as = [sys.executable, "-m", "rldk", *words, "--url", server.url, "--concurrency", "3"]
        with subprocess.Popen(called_as, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert enough.wait(60)
                state = Path(words[words.index("--state") + 1])
                for _ in range(1000):
                    if len(state.read_bytes().splitlines()) == 13 and len(asked) == 15:
                        break
                    time.sleep(0.01)
                yield process, server.url, going, asked
            finally:
                process.kill()
                going.set()


@pytest.mark.slow
def test_a_process_that_is_killed_loses_nothing_that_it_was_told(tmp_path: Path) -> None:
    state, report = tmp_path / "kept.jsonl", tmp_path / "r.json"
    words = [*files(tmp_path), "--state", str(state), "-o", str(report)]
    with stuck(words) as (process, url, going, asked):
        process.kill()
        assert process.wait() == -signal.SIGKILL
        going.set()
        assert (len(answers_in(state)), report.exists()) == (12, False)
        state.write_bytes(state.read_bytes()[:-20])  # as if it was killed while it wrote the last answer
        asked.clear()
        done = called([*words, "--url", url])
        assert (done.exit_code, len(asked)) == (0, 30 - 11)
        assert "11 of 30 answers are taken from" in done.stderr
        resumed = report.read_bytes()
        assert called([*words, "--url", url, "--state", str(tmp_path / "other.jsonl")]).exit_code == 0
        assert report.read_bytes() == resumed


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interruption_keeps_what_is_on_its_way_and_asks_nothing_more(
    tmp_path: Path, end: signal.Signals, code: int
) -> None:
    state = tmp_path / "kept.jsonl"
    with stuck([*files(tmp_path), "--state", str(state)]) as (process, _, going, asked):
        process.send_signal(end)
        time.sleep(0.5)  # until the process has seen it
        going.set()
        _, told = process.communicate(timeout=60)
        assert (process.returncode, len(asked), len(answers_in(state))) == (code, 15, 15)
    assert f"interrupted; the answers so far are kept in {state}, and the same command asks for the rest" in told
