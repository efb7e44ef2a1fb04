"""Each rule over per-sample records: the step at which it fires, a near miss, and what it says when an input lacks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from examples import each_of

from rldk.testing import scan_samples

Records = list[dict[str, Any]]
Make = Callable[[int, int], dict[str, Any]]
WORDS = "the cat sat on a mat and saw two birds near an old stone house by the river in spring".split()
QWEN = "<|im_start|>user\nHow many?<|im_end|>\n"


@cache
def text(*key: object, words: int = 24) -> str:
    rng = random.Random(repr(key))
    return " ".join(rng.choice(WORDS) for _ in range(words))


def healthy(step: int, i: int) -> dict[str, Any]:
    """Sample `i` of a step: four responses to each of eight prompts."""
    return {"step": step, "prompt": f"{step}.{i // 4}", "response": text(step, i), "reward": float(i % 2)}


def records(make: Make, *, steps: int = 6, since: int = 1, n: int = 32) -> Records:
    """Healthy samples, changed by `make` from step `since` on."""
    return [
        healthy(step, i) | (make(step, i) if step >= since else {}) for step in range(1, steps + 1) for i in range(n)
    ]


def always(**fields: Any) -> Make:
    return lambda _step, _i: fields


def grouped(step: int, i: int) -> dict[str, Any]:
    return {"group_id": f"{step}-{i // 4}"}


def turn(prompt: list[int], sampled: list[int]) -> dict[str, Any]:
    return {"tokens": {"prompt_ids": prompt, "completion_ids": sampled}}


GRPO: dict[str, Any] = {"algorithm": "grpo", "config": {"num_generations": 4}}
FIRES: list[tuple[str, Records, int, str, dict[str, Any]]] = [
    ("ADV002", records(lambda s, i: {"response": text(s, i // 4)}, since=3), 5, "warn", {}),
    ("ADV003", records(lambda s, i: grouped(s, i) | {"prompt": str(i % 8)}), 1, "critical", {}),
    ("ADV003", [*records(grouped)[:3], healthy(1, 4) | {"group_id": "1-0"}], 1, "critical", {}),
    ("ADV015", records(lambda s, i: {"group_id": str(i // 5), "group_size": 4}), 2, "warn", {}),
    ("ADV015", records(lambda s, i: {"group_id": str(max(3, i // 4))}), 2, "warn", GRPO),
    ("ADV016", records(lambda s, i: {"advantage": 1.0 if i % 3 else -2.0}), 2, "warn", GRPO),
    ("LEN005", records(always(finish_reason="length")), 2, "warn", {"config": {"max_completion_length": 256}}),
    ("LEN006", records(lambda s, i: {"response": "so " + "I think. " * 40} if i < 8 else {}, since=3), 4, "warn", {}),
    ("ENT004", records(lambda s, i: {"response": "!" * 80} if i < 4 else {}), 2, "warn", {}),
    ("ENT004", records(lambda s, i: {"response": "yes " * 30 + text(i, words=10)} if i < 4 else {}), 2, "warn", {}),
    ("DATA002", records(lambda s, i: {"prompt": f"<s> <s>[INST] {i}"}, since=2), 2, "critical", {}),
    ("DATA002", records(lambda s, i: {"prompt_ids": [1, 1, 7 + i, 9]}), 1, "critical", {}),
    ("DATA014", records(lambda s, i: {"prompt": f"{QWEN}{i}"}), 1, "warn", {}),
    (
        "DATA015",
        records(lambda s, i: {"response": "4<|im_end|>\n<|im_start|>user\nand 3?"} if i < 4 else {}),
        2,
        "warn",
        {},
    ),
    ("DATA004", records(lambda s, i: {"response": text("one")} if i % 2 else {}), 2, "warn", {}),
    (
        "DATA005",
        records(lambda s, i: {"rank": i // 16, "response": text(s, i % 16), "prompt": str(i % 16)}),
        1,
        "critical",
        {},
    ),
    ("DATA007", records(lambda s, i: {"prompt": str(i // 4)}, steps=12), 11, "info", {}),
    ("DATA008", records(lambda s, i: {"response_ids": [5, 6, 7], "train_ids": [5, 67]}), 1, "critical", {}),
    (
        "OFF008",
        records(lambda s, i: {"turns": [turn([*range(20)], [50, 51]), turn([*range(20), 50, 52, 60], [61])]}),
        2,
        "warn",
        {},
    ),
    (
        "DATA009",
        records(lambda s, i: {"prompt_ids": [1, 2], "response_ids": [3], "loss_mask": [0, 1, 1]}),
        1,
        "critical",
        {},
    ),
    ("DATA009", records(lambda s, i: {"token_roles": ["user", "assistant"], "loss_mask": [1, 1]}), 1, "critical", {}),
    (
        "DATA009",
        records(lambda s, i: {"loss_mask": [1, 1], "generation_logprobs": [0.0, -1.0], "prev_logprobs": [-5.0, -1.0]}),
        1,
        "critical",
        {},
    ),
    ("REW029", records(lambda s, i: {"reward": None if i == 3 else 1.0}, since=4), 4, "warn", {}),
    ("REW029", records(lambda s, i: {"reward": float("nan") if i == 3 else 1.0}, since=4), 4, "critical", {}),
    (
        "REW029",
        records(lambda s, i: {"reward": None, "reward_components": {"a": None, "b": 1.0 if i else None}}, since=2),
        2,
        "warn",
        {},
    ),
    ("REW030", records(always(pred="[INVALID]")), 3, "warn", {}),
    (
        "REW031",
        records(lambda s, i: {"response": r"so \boxed{1,204}", "gts": "1204", "score": 0.0, "reward": None}),
        2,
        "warn",
        {},
    ),
]


QUIET: list[tuple[str, Records, dict[str, Any]]] = [
    ("ADV002", records(lambda s, i: {"response": text(s, i // 2) if i % 4 < 2 else text(s, i)}), {}),  # half, not more
    ("ADV002", records(lambda s, i: {"response": text(s, i // 4)}, n=4), {}),  # a single group
    ("ADV003", records(grouped), {}),
    ("ADV015", records(lambda s, i: grouped(s, i) | {"group_size": 4}), {"config": {"num_generations": 8}}),
    ("ADV016", records(lambda s, i: {"advantage": 1.0 if i % 2 else -1.0}), GRPO),
    ("ADV016", records(lambda s, i: {"advantage": 1.0 if i % 2 else -1.0})[:-1], GRPO),
    ("ADV016", records(lambda s, i: {"advantage": [3.0, -1.0, -1.0, -1.0][i % 4]})[1:], GRPO),
    (
        "LEN005",
        records(lambda s, i: {"finish_reason": "length" if i else "stop"}),
        {"config": {"max_completion_length": 256}},
    ),
    ("LEN006", records(lambda s, i: {"response": "so " + "I think. " * 40} if i < 6 else {}), {}),
    ("LEN006", records(always(response="a table\n" + "-" * 150)), {}),
    ("LEN006", records(lambda s, i: {"response": "".join(f"Step {k}: add {k}. " for k in range(90))}), {}),
    ("LEN006", records(lambda s, i: {"response": (text(i) + " la la la. ") * 3}), {}),
    ("ENT004", records(lambda s, i: {"response": "!" * 80} if i < 3 else {}), {}),
    ("ENT004", records(lambda s, i: {"response": "0110100110010110" * 6}), {}),
    ("DATA002", records(lambda s, i: {"prompt": f"<s>[INST] {i}", "prompt_ids": [1, 3, 4]}), {}),
    ("DATA002", records(lambda s, i: {"prompt_ids": [0] * (1 + i) + [1, 7]}), {}),  # padding on the left
    ("DATA014", records(lambda s, i: {"prompt": f"{QWEN}{i}<|im_start|>assistant\n<think>\n"}), {}),
    ("DATA015", records(lambda s, i: {"response": "<|im_start|>user\n<tool_response>\n3\n</tool_response>"}), {}),
    ("DATA004", records(lambda s, i: {"response": text("one")} if i < 9 else {}), {}),
    ("DATA005", records(lambda s, i: {"rank": i // 16, "prompt": str(i % 16)}), {}),
    ("DATA007", records(lambda s, i: {"prompt": str(i // 4 + (s > 5 and i > 27))}, steps=12), {}),
    ("DATA008", records(lambda s, i: {"response_ids": [5, 6, 7], "train_ids": [5, 6, 7]}), {}),
    ("OFF008", records(lambda s, i: {"turns": [turn([*range(20)], [50]), turn([*range(20), 50, 60], [61])]}), {}),
    ("OFF008", records(lambda s, i: {"turns": [turn([*range(20)], [50]), turn([7, 7], [61])]}), {}),  # another talk
    ("DATA009", records(lambda s, i: {"prompt_ids": [1, 2], "response_ids": [3], "loss_mask": [0, 0, 1]}), {}),
    ("REW029", records(lambda s, i: {"reward": None, "reward_components": {"a": None, "b": 1.0}}), {}),
    ("REW030", records(lambda s, i: {"pred": "" if i % 16 else "4"}), {}),
    (
        "REW031",
        records(
            lambda s, i: {"response": rf"\boxed{{4}} or \boxed{{{4 + i % 4}}}", "gts": "4", "reward": float(i % 4 == 0)}
        ),
        {},
    ),
    ("REW031", records(lambda s, i: {"response": r"\boxed{4}", "gts": "4", "reward": 1.0}), {}),
]

LACKS: list[tuple[str, str]] = [
    ("ADV002", "several long responses to a prompt"),
    ("ADV003", "group ids and prompts"),
    ("ADV015", "group ids and the size of a group"),
    ("ADV016", "advantages of whole groups"),
    ("LEN005", "how the first 64 responses"),
    ("DATA002", "prompts with their special tokens"),
    ("DATA005", "the rank of each sample"),
    ("DATA008", "the sampled token ids"),
    ("DATA009", "a loss mask"),
    ("OFF008", "the token ids of each turn"),
    ("REW030", "the answer that the reward function found"),
    ("REW031", "right answers"),
]


def ids(cases: Iterable[tuple[Any, ...]]) -> list[str]:
    return [f"{case[0]}-{i}" for i, case in enumerate(cases)]


@each_of(("code", "samples", "step", "severity", "meta"), FIRES, ids=ids(FIRES))
def test_fires_at_this_step(code: str, samples: Records, step: int, severity: str, meta: dict[str, Any]) -> None:
    report = scan_samples(code, samples, **meta)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, step, severity)]


@each_of(("code", "samples", "meta"), QUIET, ids=ids(QUIET))
def test_a_near_miss_is_quiet_and_checked(code: str, samples: Records, meta: dict[str, Any]) -> None:
    report = scan_samples(code, samples, **meta)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(("code", "needs"), LACKS)
def test_a_missing_input_is_named(code: str, needs: str) -> None:
    report = scan_samples(code, records(always(response="yes")), algorithm="grpo")
    assert report.checked == ()
    assert needs in report.skipped[0].reason


def test_random_text_of_an_untrained_model_is_no_finding() -> None:
    rng = random.Random(0)
    noise = records(lambda s, i: {"response": "".join(chr(rng.randrange(33, 900)) for _ in range(300))})
    assert scan_samples(["LEN", "ENT", "DATA", "ADV", "REW"], noise).findings == ()


def test_advantages_of_an_unknown_algorithm_are_not_judged_by_group() -> None:
    reason = scan_samples("ADV016", records(always(advantage=1.0))).skipped[0].reason
    assert reason.startswith("needs the algorithm")


def test_an_example_is_short_and_holds_no_secret() -> None:
    leak = "api_key=sk-abcdefghijklmnopqrstuvwxyz0123 " + "!" * 500
    found = scan_samples("REW030", records(always(pred="", response=leak))).findings[0]
    assert len(found.evidence["end"]) <= 120
    assert "sk-abc" not in scan_samples("DATA004", records(always(response=leak[:100]))).findings[0].evidence["example"]


def test_records_of_which_every_group_is_a_part_are_not_judged_by_group() -> None:
    part = [r for i, r in enumerate(records(lambda s, i: grouped(s, i) | {"advantage": float(i % 4 - 1.5)})) if i % 2]
    report = scan_samples(["ADV015", "ADV016"], part, **GRPO)
    assert (report.findings, report.checked) == ((), ())
