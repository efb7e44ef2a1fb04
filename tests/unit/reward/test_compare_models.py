"""`rldk.reward.compare_models`: models of every kind, and what the report says of two of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from examples import each_of
from made_rewards import answers, rows
from scipy import stats

from rldk.errors import NoData, UnreadableSource, UsageError
from rldk.reward import RewardModelReport, compare_models
from rldk.reward.scorers.options import ScorerOptions

COLUMNS = answers(prompts=100)
PROMPTS, TEXTS = COLUMNS["prompt"], COLUMNS["response"]


def by_length(texts: list[str]) -> list[float]:
    return [len(text) / 50 - 4 for text in texts]


def noisy(scale: float = 1.0, noise: float = 0.0, shift: float = 0.0) -> Any:
    rng = np.random.default_rng(1)
    return lambda texts: [scale * s + shift + noise * rng.normal() for s in by_length(texts)]


def codes(report: RewardModelReport) -> set[str]:
    return {f.code for f in report.findings}


def test_a_model_agrees_with_itself() -> None:
    report = compare_models(by_length, by_length, PROMPTS, TEXTS)
    assert (report.passed, codes(report), report.disagreements) == (True, set(), ())
    assert (report.spearman.value, report.pearson.value) == (pytest.approx(1.0), pytest.approx(1.0))
    assert report.kendall == pytest.approx(1.0)
    assert report.pair_flips is not None
    assert report.pair_flips.value == 0
    assert "agree" in report.verdict


def test_the_correlations_are_those_of_scipy_and_flips_are_counted() -> None:
    report = compare_models(by_length, noisy(noise=1.0), PROMPTS, TEXTS)
    rng = np.random.default_rng(1)
    a = np.array(by_length(TEXTS))
    b = a + rng.normal(size=400)
    assert report.pearson.value == pytest.approx(stats.pearsonr(a, b).statistic)
    assert report.spearman.value == pytest.approx(stats.spearmanr(a, b).statistic)
    assert report.kendall == pytest.approx(stats.kendalltau(a, b).statistic)
    wrong = of = 0
    for begin in range(0, 400, 4):
        for i in range(begin, begin + 4):
            for j in range(i):
                both = (a[i] - a[j]) * (b[i] - b[j])
                wrong, of = wrong + (both < 0), of + (both != 0 and j >= begin)
                wrong -= both < 0 and j < begin
    assert report.pair_flips is not None
    assert (report.pair_flips.value, report.pair_flips.n) == (pytest.approx(wrong / of), of)
    assert {"RM006", "RM030"} <= codes(report)
    assert len(report.disagreements) == 10


def test_another_scale_is_named_with_its_size_inside_its_interval() -> None:
    report = compare_models(by_length, noisy(scale=1.4, noise=0.05, shift=0.5), PROMPTS, TEXTS)
    assert codes(report) >= {"RM031"}
    assert report.scale is not None
    assert report.scale.low <= 1.4 <= report.scale.high
    assert "RM006" not in codes(report)


def test_pairs_give_accuracy_and_calibration_of_both() -> None:
    data = [{"chosen": "a" * (60 + i), "rejected": "b" * (50 + i % 40)} for i in range(100)]
    report = compare_models(by_length, lambda texts: [-s for s in by_length(texts)], data)
    assert set(report.calibration) == set(report.accuracy) == {"by_length", "<lambda>"}
    good, bad = (report.accuracy[name].value for name in ("by_length", "<lambda>"))
    assert good + bad == pytest.approx(1.0)
    assert not report.passed


def test_functions_get_their_texts_as_they_ask_for_them() -> None:
    seen: list[Any] = []

    def trl(completions: list[str], prompts: list[str], **kwargs: Any) -> list[float]:
        seen.append(("trl", prompts[0], completions[0]))
        return by_length(completions)

    def two(prompts_: list[str], answers_: list[str]) -> np.ndarray:
        seen.append(("two", prompts_[0], answers_[0]))
        return np.array(by_length(answers_))[:, None]

    report = compare_models(trl, two, PROMPTS, TEXTS, options=ScorerOptions(batch=1000))
    assert seen == [("trl", PROMPTS[0], TEXTS[0]), ("two", PROMPTS[0], TEXTS[0])]
    assert report.passed
    assert compare_models("made_scorers:shorter", by_length, PROMPTS, TEXTS).passed is False


@each_of(
    ("model", "error", "words"),
    [
        (lambda texts: [1.0], UsageError, "1 scores for 16 texts"),
        (lambda texts: 1 / 0, UsageError, "ZeroDivisionError"),
        (lambda texts: ["good"] * len(texts), UsageError, "'good'"),
        ("no_such_module:fn", UsageError, "cannot import"),
        ("made_scorers:nothing", UsageError, "cannot import"),
        ("nowhere/at/all", UnreadableSource, "no model"),
        (3, UsageError, "no model"),
    ],
)
def test_what_is_no_model_says_so(model: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        compare_models(model, by_length, PROMPTS, TEXTS)


def scores(path: Path, values: list[float], **more: list[Any]) -> Path:
    data = rows({**more, "score": values})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in data))
    return path


def test_files_of_scores_are_joined_by_id_and_what_is_missing_is_told(tmp_path: Path) -> None:
    ids = [f"r{i}" for i in range(60)]
    values = [float(i % 17) for i in range(60)]
    a = scores(tmp_path / "a.jsonl", values, id=ids)
    b = scores(tmp_path / "b.jsonl", values[::-1][:50], id=ids[::-1][:50])
    report = compare_models(a, b)
    assert (report.n, report.spearman.value) == (50, pytest.approx(1.0))
    assert any("10 rows of the other" in note.text for note in report.notes)
    assert report.pair_flips is None
    with pytest.raises(NoData, match="no row in common"):
        compare_models(a, scores(tmp_path / "c.jsonl", values, id=[f"x{i}" for i in range(60)]))


def test_files_of_scores_are_joined_by_text_and_repeated_rows_are_told(tmp_path: Path) -> None:
    values = by_length(TEXTS)
    a = scores(tmp_path / "a.jsonl", values, prompt=PROMPTS, response=TEXTS)
    twice = {"prompt": [*PROMPTS, PROMPTS[0]], "response": [*TEXTS, TEXTS[0]]}
    b = scores(tmp_path / "b.jsonl", [*values, 99.0], **twice)
    report = compare_models(a, b)
    assert (report.n, report.passed) == (400, True)
    assert report.pair_flips is not None
    told = "a row of b.jsonl repeats an earlier text with another score, and the first score counts"
    assert [note.text for note in report.notes] == [told]
    assert report.verdict.startswith("The models agree")


def test_ids_that_name_several_answers_are_not_what_files_are_joined_by(tmp_path: Path) -> None:
    values = by_length(TEXTS)
    texts = {"prompt": PROMPTS, "response": TEXTS}
    a = scores(tmp_path / "a.jsonl", values, id=[str(i) for i in range(400)], **texts)
    cases = {
        "twice": ([str(i // 2) for i in range(400)], "199 rows of twice.jsonl repeat an earlier id with another score"),
        "other": ([str(399 - i) for i in range(400)], "shared ids a.jsonl and other.jsonl hold different answers"),
    }
    for name, (ids, words) in cases.items():
        report = compare_models(a, scores(tmp_path / f"{name}.jsonl", values, id=ids, **texts))
        assert (report.n, report.spearman.value) == (400, pytest.approx(1.0))
        assert words in report.notes[0].text
        assert report.notes[0].text.endswith(": rows are joined by their texts instead")
    plain = scores(tmp_path / "p.jsonl", values, response=TEXTS)
    assert compare_models(a, plain).n == 400


def test_ids_that_name_several_answers_are_the_first_thing_that_is_said(tmp_path: Path) -> None:
    values = [float(i) for i in range(60)]
    a = scores(tmp_path / "a.jsonl", values, id=[str(i) for i in range(60)])
    b = scores(tmp_path / "b.jsonl", values, id=[str(i // 2) for i in range(60)])
    report = compare_models(a, b)
    assert report.verdict.startswith(
        "The ids of b.jsonl do not tell its rows apart: 30 rows of b.jsonl repeat an earlier id with another score, "
        "and the first score counts. The models "
    )


def test_scores_that_are_no_numbers_are_named_and_few_prompts_prove_nothing(tmp_path: Path) -> None:
    ids, values = [str(i) for i in range(40)], [float(i) for i in range(40)]
    a = scores(tmp_path / "a.jsonl", values, id=ids)
    with pytest.raises(NoData, match="of 40 answers none has a finite score from b"):
        compare_models(a, scores(tmp_path / "b.jsonl", [math.nan] * 40, id=ids))
    few = [scores(tmp_path / f"{n}.jsonl", values, id=ids, prompt_id=[i // 10 for i in range(40)]) for n in "cd"]
    report = compare_models(*few)
    assert report.verdict == (
        "Not judged: c.jsonl and d.jsonl on 40 answers: rank correlation 1, of too few prompts for an interval."
    )


def test_a_file_stands_for_a_model_beside_prompts(tmp_path: Path) -> None:
    a = scores(tmp_path / "a.jsonl", by_length(TEXTS), prompt=PROMPTS, response=TEXTS)
    assert compare_models(a, by_length, PROMPTS, TEXTS).passed
    short = scores(tmp_path / "s.jsonl", by_length(TEXTS)[:300], prompt=PROMPTS[:300], response=TEXTS[:300])
    report = compare_models(short, by_length, PROMPTS, TEXTS)
    assert (report.n, report.missing) == (300, (100, 0))


def test_secrets_in_texts_do_not_go_into_the_report() -> None:
    texts = [f"{text} api_key=sk-abcdefghijklmnopqrstuvwx123456" for text in TEXTS]
    report = compare_models(by_length, lambda ts: [-s for s in by_length(ts)], PROMPTS, texts)
    shown = json.dumps(report.to_dict())
    assert "abcdefghijklmnop" not in shown or all(len(d.response) == 300 for d in report.disagreements)


def test_the_report_goes_through_json() -> None:
    report = compare_models(by_length, noisy(noise=1.0), PROMPTS, TEXTS)
    plain = report.to_dict()
    assert RewardModelReport.from_dict(plain).to_dict() == plain


def test_wrong_calls_say_what_to_give() -> None:
    for arguments, words in (((PROMPTS[:5], TEXTS[:4]), "5 prompts, but 4 responses"), ((None,), "files of scores")):
        with pytest.raises(UsageError, match=words):
            compare_models(by_length, by_length, *arguments)
    with pytest.raises(NoData, match="only 0 answers with scores"):
        compare_models(by_length, lambda texts: [None] * len(texts), PROMPTS, TEXTS)


@pytest.mark.parametrize("first", [True, False])
def test_a_model_that_gives_one_score_to_everything_agrees_with_nothing(first: bool) -> None:
    def flat(texts: list[str]) -> list[float]:
        return [1.0] * len(texts)

    models = (flat, by_length) if first else (by_length, flat)
    with pytest.raises(NoData, match="flat gives every one of 400 answers the score 1"):
        compare_models(*models, PROMPTS, TEXTS)


class Handler(BaseHTTPRequestHandler):
    """A scorer that fails as often as it is told to."""

    failures = 0
    status = 503
    shape = "scores"
    seen: list[Any] = []  # noqa: RUF012 - of the class on purpose

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).seen.append((self.headers.get("Authorization"), len(body["input"])))
        if type(self).failures > 0:
            type(self).failures -= 1
            self.send_response(self.status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            return
        found = by_length(body["input"])
        answer: Any = {
            "scores": {"scores": found},
            "data": {"data": [{"index": i, "score": s} for i, s in enumerate(found)][::-1]},
            "list": found,
            "short": found[:-1],
            "text": ["good"] * len(found),
            "vllm": {"data": [{"index": i, "object": "reward", "data": [[s]]} for i, s in enumerate(found)]},
            "other": [{"label": "LABEL_0", "probability": s} for s in found],
        }[self.shape]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    Handler.failures, Handler.status, Handler.shape, Handler.seen = 0, 503, "scores", []
    served = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}/score?secret=hunter2"
    served.shutdown()
    served.server_close()


@pytest.mark.parametrize("shape", ["scores", "data", "list", "vllm"])
def test_a_server_is_asked_in_batches_with_its_token(server: str, shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Handler.shape = shape
    monkeypatch.setenv("RM_TOKEN", "hunter3")
    report = compare_models(
        server, by_length, PROMPTS, TEXTS, options=ScorerOptions(batch=150, token_variable="RM_TOKEN")
    )
    assert report.passed
    assert sorted(count for _, count in Handler.seen) == [100, 150, 150]
    assert {token for token, _ in Handler.seen} == {"Bearer hunter3"}
    assert "hunter" not in json.dumps(report.to_dict())


@pytest.mark.slow
def test_a_server_that_is_busy_is_asked_again(server: str) -> None:
    Handler.failures = 2
    assert compare_models(server, by_length, PROMPTS, TEXTS, options=ScorerOptions(batch=400, retries=2)).passed
    assert len(Handler.seen) == 3


@pytest.mark.parametrize(
    ("status", "shape", "words"),
    [
        (401, "scores", "status 401"),
        (302, "scores", "status 302"),
        (0, "short", "399 scores for 400"),
        (0, "text", "no number"),
        (0, "other", "an object without a score: it has label, probability"),
    ],
)
def test_a_server_that_refuses_or_answers_nonsense_ends_it(server: str, status: int, shape: str, words: str) -> None:
    Handler.failures, Handler.status, Handler.shape = int(status > 0), status, shape
    with pytest.raises(UnreadableSource, match=words) as caught:
        compare_models(server, by_length, PROMPTS, TEXTS, options=ScorerOptions(batch=400, retries=0))
    assert "hunter2" not in str(caught.value)
    assert len(Handler.seen) == 1


def test_a_server_that_is_not_there_and_an_address_with_a_password_are_errors() -> None:
    with pytest.raises(UnreadableSource, match="did not answer in 1 try: "):
        compare_models("http://127.0.0.1:9/", by_length, PROMPTS, TEXTS, options=ScorerOptions(retries=0, batch=400))
    with pytest.raises(UsageError, match="password"):
        compare_models("http://me:pw@127.0.0.1/", by_length, PROMPTS, TEXTS)
