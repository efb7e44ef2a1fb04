"""One genuine run read from each of its formats says the same, at the precision of the coarser one."""

from __future__ import annotations

import re
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from examples import each_of, every

from rldk.adapters import open_run
from rldk.adapters.base import adapters
from rldk.core.model import Run
from rldk.docs import formats_page

WHOLE = Path(__file__).parents[1] / "folders"
_EXACT = 17
# CleanRL prints its speed without a step, so that it stands at the step of the episode before it.
_WITHOUT_STEP = {"cleanrl-stdout": {"samples_per_sec"}}
FORMATS = {
    "trl-sft": {"hf-trainer-state", "trl-stdout", "tensorboard", "trackio"},
    "trl-grpo": {"hf-trainer-state", "trl-stdout", "tensorboard", "trackio"},
    "trl-ppo": {"hf-trainer-state", "trl-stdout", "tensorboard"},
    "trl-dpo": {"hf-trainer-state", "trl-stdout", "tensorboard"},
    "sb3-a2c": {"sb3-json", "sb3-csv", "sb3-stdout", "tensorboard"},
    "rllib-ppo": {"rllib-json", "rllib-csv", "rllib-stdout", "tensorboard"},
    "verl-grpo-format": {"verl-jsonl", "verl-console", "tensorboard"},
    "openrlhf-ppo-format": {"openrlhf-console", "tensorboard"},
    "cleanrl-ppo-hot": {"cleanrl-stdout", "tensorboard"},
}


@cache
def runs(name: str) -> dict[str, Run]:
    """The run of a directory as each of its formats has it, of several files of a format the longest."""
    found: dict[str, Run] = {}
    for path in sorted((WHOLE / name).rglob("*")):
        if path.is_file() and path.name not in ("README.md", "stderr.txt", "params.json"):
            run = open_run(path)
            if run.meta.format not in found or len(run.metrics) > len(found[run.meta.format].metrics):
                found[run.meta.format] = run
    return found


def points(run: Run) -> dict[tuple[int, str], float]:
    """The last value of each canonical metric at each step."""
    left_out = _WITHOUT_STEP.get(run.meta.format, set())
    return {
        (row.step, name): row.values[name]
        for row in run.metrics.rows()
        for name in run.meta.names.keys() & row.values.keys() - left_out
    }


def digits(run: Run) -> int:
    stated = (re.search(r"keeps (\d+) significant", note) for note in run.meta.notes)
    return next((int(hit[1]) for hit in stated if hit), _EXACT)


@pytest.mark.parametrize("name", every(3, FORMATS))
def test_each_format_of_a_run_is_recognised(name: str) -> None:
    assert runs(name).keys() >= FORMATS[name]


def pairs(name: str) -> list[tuple[Run, Run]]:
    return [(runs(name)[one], runs(name)[other]) for one, other in combinations(sorted(FORMATS[name]), 2)]


@each_of("name", FORMATS)
def test_two_formats_of_a_run_agree(name: str) -> None:
    for left, right in pairs(name):
        mine, its = points(left), points(right)
        both = sorted(mine.keys() & its.keys())
        assert len(both) > 15
        precision = 0.5 * 10.0 ** (1 - min(digits(left), digits(right)))
        np.testing.assert_allclose(
            [mine[p] for p in both],
            [its[p] for p in both],
            rtol=1.02 * precision,
            atol=1e-12,
            err_msg=f"{left.meta.format} and {right.meta.format}",
        )


@each_of("name", FORMATS)
def test_what_two_formats_carry_they_carry_at_the_same_steps(name: str) -> None:
    for left, right in pairs(name):
        mine, its = points(left), points(right)
        shared = {metric for _, metric in mine} & {metric for _, metric in its}
        last = min(max(step for step, _ in mine), max(step for step, _ in its))
        steps = {step for step, _ in mine} & {step for step, _ in its}
        here, there = ({p for p in side if p[0] < last and p[0] in steps and p[1] in shared} for side in (mine, its))
        assert here == there, (left.meta.format, right.meta.format)


@each_of("name", FORMATS)
def test_every_format_knows_the_trainer_and_none_contradicts_another(name: str) -> None:
    metas = [run.meta for form, run in runs(name).items() if form in FORMATS[name]]
    assert len({meta.framework for meta in metas}) == 1
    assert len({meta.algorithm for meta in metas} - {None}) == 1


def test_the_docs_say_of_every_format_what_it_loses() -> None:
    described = re.findall(r"^\| (\S.*?) \|", formats_page().partition("What each format loses")[2], re.MULTILINE)
    told = {name.strip() for names in described for name in names.split(" (")[0].split(",")}
    assert {kind.name for kind in adapters if kind.__module__.startswith("rldk.")} <= told
