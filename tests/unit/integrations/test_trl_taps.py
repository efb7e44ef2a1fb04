"""What is read beside the methods of a trainer of TRL, for a trainer that computes with numpy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rldk.integrations.guard import Guard
from rldk.integrations.trl import taps
from rldk.integrations.trl.taps import TrainerTap


class Array(np.ndarray[Any, Any]):
    """An array with the methods of a tensor that are asked for."""

    def long(self) -> Any:
        return self.astype(np.int64)

    def clamp(self, **ends: int) -> Any:
        return np.minimum(self, ends["max"])

    def cumsum(self, dim: int) -> Any:  # type: ignore[override]
        return np.cumsum(np.asarray(self), axis=dim).view(Array)


def array(values: Any) -> Array:
    return np.asarray(values).view(Array)


class Meter:
    """Keeps what it is given."""

    def __init__(self, *, due: bool = True, per_step: int = 0) -> None:
        self.guard = Guard()
        self.is_due = due
        self.recorder = SimpleNamespace(samples=SimpleNamespace(per_step=per_step))
        self.rollouts = 0
        self.records: list[Any] = []
        self.found: list[dict[str, float]] = []
        self.batches: list[tuple[Any, Any, Any, Any]] = []

    def due(self) -> bool:
        return self.is_due

    def rollout(self) -> None:
        self.rollouts += 1

    def samples(self, records: list[Any]) -> None:
        self.records.append(records)

    def measured(self, _part: str, action: Any, *args: Any) -> None:
        self.found.append(action(*args))

    def minibatch(self, logp: Any, old: Any, *, mask: Any, entropy: Any) -> None:
        self.batches.append((logp, old, mask, entropy))


END, PAD = 2, 0
IDS = [[5, 6, END, PAD], [7, END, 8, 9], [5, 6, 7, 8]]


class Trainer:
    def __init__(self, output: Any = None, scores: Any = None, **more: Any) -> None:
        self.model = SimpleNamespace(training=True)
        self.state = SimpleNamespace(global_step=4)
        self.accelerator = SimpleNamespace(process_index=0, num_processes=1)
        self.processing_class = SimpleNamespace(eos_token_id=END, pad_token_id=PAD)
        self.output, self.scores = output, scores
        for name, value in more.items():
            setattr(self, name, value)

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        return self.output

    def _get_per_token_logps_and_entropies(self) -> Any:
        return self.scores

    def _compute_loss(self, model: Any, inputs: Any) -> str:
        return "loss"


def tapped(trainer: Any, meter: Meter | None = None) -> tuple[Meter, list[tuple[Any, int]]]:
    made, kept = meter or Meter(), list[tuple[Any, int]]()
    tap = TrainerTap(trainer, made, lambda records, step: kept.append((records, step)))  # type: ignore[arg-type]
    tap.attach()
    return made, kept


def output(**more: Any) -> dict[str, Any]:
    return {"completion_ids": array(IDS), "completion_mask": array([[1, 1, 1, 0], [1, 0, 0, 0], [0] * 4]), **more}


def test_a_rollout_becomes_one_record_for_each_completion() -> None:
    logs = {
        "prompt": ["old", "p", "p", "q"],
        "completion": ["old", "a", [{"role": "x", "content": "b"}, "c"], 3],
        "advantages": [9.0, 1.0, -1.0, 0.0],
        "rewards": {"first": [9.0, 1.0, 2.0, None], "second": [9.0, 0.5, float("nan"), 4.0], "few": [1.0]},
    }
    given = output(old_per_token_logps=array([[-1.0, -2.0, -3.0, -4.0]] * 3), ref_per_token_logps=array([[0.0] * 4]))
    trainer = Trainer(given, num_generations=2, _logs=logs, reward_weights=array([2.0, 10.0]))
    meter, kept = tapped(trainer)
    assert trainer._generate_and_score_completions(None) is given
    (records, step), *others = kept
    assert (step, others, meter.rollouts, meter.records) == (5, [], 1, [records])
    assert [r["token_ids"] for r in records] == [[5, 6, END], [7, END], [5, 6, 7, 8]]
    assert [r["n_tokens"] for r in records] == [3, 2, 4]
    assert [r["finish_reason"] for r in records] == ["stop", "stop", "length"]
    assert [r["group_id"] for r in records] == [0, 0, 1]
    assert [r["prompt"] for r in records] == ["p", "p", "q"]
    assert [r["response"] for r in records] == ["a", "x: b\nc", "3"]
    assert [r["advantage"] for r in records] == [1.0, -1.0, 0.0]
    assert [r["reward"] for r in records] == [7.0, 4.0, 40.0]
    assert records[0]["reward_components"] == {"first": 1.0, "second": 0.5}
    assert [list(r["logp_train"]) for r in records] == [[-1.0, -2.0, -3.0], [-1.0, -2.0], [-1.0, -2.0, -3.0, -4.0]]
    assert "logp_ref" not in records[0]
    assert meter.found == [{"valid_token_frac": pytest.approx(4 / 9)}]


def test_another_process_has_its_own_part_of_the_logs() -> None:
    logs = {"prompt": [f"p{i}" for i in range(7)], "completion": ["too", "few"]}
    trainer = Trainer(output(), num_generations=3, _logs=logs)
    trainer.accelerator = SimpleNamespace(process_index=1, num_processes=2)
    _, kept = tapped(trainer)
    trainer._generate_and_score_completions(None)
    records, _ = kept[0]
    assert [r["prompt"] for r in records] == ["p4", "p5", "p6"]
    assert [(r["response"], r["reward"], r["reward_components"], r["advantage"]) for r in records] == [(None,) * 4] * 3
    assert [r["group_id"] for r in records] == [1, 1, 1]


def test_a_trainer_that_says_little_has_groups_of_one_and_weights_of_one() -> None:
    trainer = Trainer(output(), _logs={"rewards": {"a": [1.0, 2.0, 3.0], "b": [0.5, 0.5, 0.5]}})
    _, kept = tapped(trainer)
    trainer._generate_and_score_completions(None)
    assert [(r["group_id"], r["reward"]) for r in kept[0][0]] == [(0, 1.5), (1, 2.5), (2, 3.5)]


def test_when_records_are_made() -> None:
    for due, per_step, made, counted in [(True, 0, 1, 1), (False, 0, 0, 0), (False, 1, 1, 0), (True, 1, 1, 1)]:
        trainer = Trainer(output())
        meter, kept = tapped(trainer, Meter(due=due, per_step=per_step))
        trainer._generate_and_score_completions(None)
        assert (len(kept), len(meter.found), meter.rollouts) == (made, counted, 1), (due, per_step)
    for found, training in [(output(), False), ("no mapping", True)]:
        trainer = Trainer(found)
        trainer.model.training = training
        meter, kept = tapped(trainer)
        trainer._generate_and_score_completions(None)
        assert (kept, meter.rollouts) == ([], 0)


def test_which_tokens_were_sampled() -> None:
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({"eos_token_id": END, "pad_token_id": PAD}, [3, 2, 4]),
        ({"eos_token_id": END, "pad_token_id": 7}, [3, 1, 3]),
        ({"eos_token_id": END, "pad_token_id": END}, [3, 2, 4]),
        ({"eos_token_id": END, "pad_token_id": None}, [3, 2, 4]),
        ({"eos_token_id": [6, END], "pad_token_id": PAD}, [2, 2, 2]),
        ({"eos_token_id": None, "pad_token_id": PAD}, [3, 1, 0]),
    ]
    for words, expected in cases:
        trainer = Trainer(output(), processing_class=SimpleNamespace(tokenizer=SimpleNamespace(**words)))
        _, kept = tapped(trainer)
        trainer._generate_and_score_completions(None)
        assert [r["n_tokens"] for r in kept[0][0]] == expected, words
    trainer = Trainer(output(), eos_token_id=6, _tokenizer=SimpleNamespace(eos_token_id=9, pad_token_id=PAD))
    _, kept = tapped(trainer)
    trainer._generate_and_score_completions(None)
    assert [r["n_tokens"] for r in kept[0][0]] == [2, 4, 2]


def test_the_loss_sees_a_share_of_the_sampled_tokens_that_are_no_tools() -> None:
    trainer = Trainer(output(tool_mask=array([[1, 0, 1, 1], [1] * 4, [0] * 4])))
    meter, _ = tapped(trainer)
    trainer._generate_and_score_completions(None)
    assert meter.found == [{"valid_token_frac": 0.75}]
    trainer.output = output(tool_mask=array([[0] * 4] * 3))
    trainer._generate_and_score_completions(None)
    assert meter.found[1] == {}


def test_the_first_minibatch_after_a_rollout_is_compared() -> None:
    logps, entropies = array(np.full((3, 4), -1.0)), array(np.full((3, 4), 0.5))
    old = array(np.full((3, 4), -1.5))
    for scores, told in [
        ((logps, entropies), entropies),
        ({"logps": logps, "entropies": entropies}, entropies),
        ((logps,), None),
        ((logps, array([[0.5]])), None),
        (logps, None),
    ]:
        trainer = Trainer(output(), scores)
        meter, _ = tapped(trainer)
        inputs = output(old_per_token_logps=old, tool_mask=array([[1, 1, 0, 1], [1] * 4, [1] * 4]))
        trainer._generate_and_score_completions(None)
        trainer._get_per_token_logps_and_entropies()
        assert trainer._compute_loss(None, inputs) == "loss"
        (found, before, mask, entropy), *_ = meter.batches
        assert (found is logps, before is old, entropy is told) == (True, True, True)
        assert mask.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
        trainer._get_per_token_logps_and_entropies()
        trainer._compute_loss(None, inputs=inputs)
        assert len(meter.batches) == 1, "the second one has another policy"


def test_what_is_no_first_minibatch() -> None:
    logps = array(np.full((3, 4), -1.0))
    for scores, inputs in [((), output()), ("text", output()), (array([[1.0]]), output()), (logps, {}), (logps, None)]:
        trainer = Trainer(output(), scores)
        meter, _ = tapped(trainer)
        trainer._generate_and_score_completions(None)
        trainer._get_per_token_logps_and_entropies()
        trainer._compute_loss(None, inputs)
        assert meter.batches == []
    trainer = Trainer(output(), logps)
    meter, _ = tapped(trainer)
    trainer._get_per_token_logps_and_entropies()  # before any rollout
    trainer._generate_and_score_completions(None)
    trainer._compute_loss(None, output())
    assert meter.batches == []


def test_labels_are_counted_in_a_step_that_is_measured() -> None:
    labels = {"labels": array([[-100, 5], [-100, -100], [7, 8], [1, -100]])}
    for due, training, expected in [(True, True, [{"valid_token_frac": 0.75}]), (False, True, []), (True, False, [])]:
        trainer = Trainer()
        trainer.model.training = training
        meter, _ = tapped(trainer, Meter(due=due))
        trainer._compute_loss(None, labels)
        assert meter.found == expected, (due, training)


def test_methods_are_wrapped_and_given_back() -> None:
    trainer = Trainer(output())
    tap = TrainerTap(trainer, Meter(), lambda *_: None)  # type: ignore[arg-type]
    assert tap.attach() == (taps.GENERATE, taps.LOGPS, "_compute_loss")
    assert set(tap.attach()) == {taps.GENERATE, taps.LOGPS, "_compute_loss"}, "once only"
    tap.detach()
    assert not {taps.GENERATE, taps.LOGPS, "_compute_loss"} & trainer.__dict__.keys()
    other = SimpleNamespace(compute_loss=lambda: 3)
    assert TrainerTap(other, Meter(), lambda *_: None).attach() == ()  # type: ignore[arg-type]


def test_what_goes_wrong_beside_a_method_stays_beside_it() -> None:
    trainer = Trainer({"completion_ids": "no tensor"})
    _, kept = tapped(trainer)
    assert trainer._generate_and_score_completions(None) == {"completion_ids": "no tensor"}
    assert kept == []
