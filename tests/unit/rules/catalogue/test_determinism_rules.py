"""Rules over an environment and over two runs: at the limit, beside it, and why they gave no verdict."""

from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.core.model import Report
from rldk.engine.reference import baseline
from rldk.engine.scan import scan
from rldk.rules.select import select_rules
from rldk.testing import run_of

LOSS = [1.0, 0.9, 0.8, 0.7]
ASKED = {"use_deterministic_algorithms": True}
FIT = {"PYTHONHASHSEED": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
REPLICA: dict[str, Any] = {"seed": 1, "config": {"learning_rate": 1e-6, "output_dir": "a"}}


def _alone(code: str, config: dict[str, Any], environment: dict[str, Any]) -> Report:
    return scan(run_of({"loss": LOSS}, config=config, environment=environment), select_rules([code]))


def _beside(code: str, first: dict[str, Any], second: dict[str, Any], loss: list[float]) -> Report:
    approved = baseline(run_of({"loss": LOSS}, **first))
    return scan(run_of({"loss": loss}, **second), select_rules([code]), approved)


@each_of(
    ("config", "variables", "more", "wrong"),
    [
        (ASKED, {**FIT, "PYTHONHASHSEED": "random"}, {}, "PYTHONHASHSEED"),
        (ASKED, {"PYTHONHASHSEED": "0"}, {}, "CUBLAS_WORKSPACE_CONFIG"),
        (ASKED, {**FIT, "CUBLAS_WORKSPACE_CONFIG": ":4096:2"}, {}, "CUBLAS_WORKSPACE_CONFIG"),
        ({"a.full_determinism": "true"}, {"CUBLAS_WORKSPACE_CONFIG": ":16:8"}, {}, "PYTHONHASHSEED"),
        ({"deterministic_mode": 1}, {**FIT, "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "1"}, {}, "NVTE_ALLOW"),
    ],
)
def test_a_run_that_asks_for_determinism_needs_its_variables(
    config: dict[str, Any], variables: dict[str, str], more: dict[str, Any], wrong: str
) -> None:
    (finding,) = _alone("DET002", config, {"variables": variables, **more}).findings
    assert (finding.first_step, finding.value) == (None, 1.0)
    assert finding.metric.startswith(wrong)
    assert finding.message.startswith(f"`{next(iter(config))}` is on, and {wrong}")


@each_of(
    ("config", "environment"),
    [
        (ASKED, {"variables": FIT}),
        (ASKED, {"variables": {**FIT, "CUBLAS_WORKSPACE_CONFIG": ":16:8", "NVTE_ALLOW_NONDETERMINISTIC_ALGO": "0"}}),
        (ASKED, {"variables": {"PYTHONHASHSEED": "7"}, "cuda_devices": []}),  # no CUDA device to be wrong on
        ({"full_determinism": True}, {"variables": {"PYTHONHASHSEED": "7"}}),  # it sets the workspace itself
    ],
)
def test_the_right_variables_are_no_finding(config: dict[str, Any], environment: dict[str, Any]) -> None:
    report = _alone("DET002", config, environment)
    assert (report.findings, report.checked) == ((), ("DET002",))


@each_of(
    ("config", "environment", "status", "reason"),
    [
        (ASKED, {}, "skipped", "needs facts about the machine and its packages"),
        (ASKED, {"python": "3.12"}, "skipped", "needs the environment variables that the run was started with"),
        (ASKED, {"variables": ["PATH"]}, "skipped", "needs the environment variables"),
        ({"full_determinism": False}, {"variables": {}}, "not_applicable", "defined for runs that ask for"),
    ],
)
def test_an_environment_that_says_nothing_gives_no_verdict(
    config: dict[str, Any], environment: dict[str, Any], status: str, reason: str
) -> None:
    (check,) = _alone("DET002", config, environment).skipped
    assert check.status == status
    assert check.reason.startswith(reason)


def test_replicas_that_part_are_named_with_the_first_step() -> None:
    other = {**REPLICA, "config": {"learning_rate": 1e-6, "output_dir": "b"}}
    (finding,) = _beside("DET001", REPLICA, other, [1.0, 0.9, 0.8000001, 0.7]).findings
    assert (finding.severity, finding.first_step, finding.metric) == ("info", 3, "loss")
    assert finding.evidence["parted"] == {"loss": 3}
    assert not _beside("DET001", REPLICA, other, LOSS).findings


@each_of(
    ("second", "status", "reason"),
    [
        ({**REPLICA, "seed": 2}, "not_applicable", "defined for runs with the same seed; these have 1 and 2"),
        ({**REPLICA, "seed": None}, "skipped", "needs the seed of both runs"),
        ({"seed": 1}, "skipped", "needs the configuration of both runs"),
        (
            {**REPLICA, "config": {"learning_rate": 2e-6}},
            "not_applicable",
            "defined for runs with the same configuration; `learning_rate` differs",
        ),
        ({**REPLICA, "git_sha": "b" * 40}, "not_applicable", "defined for runs of the same commit"),
        ({**REPLICA, "packages": {"torch": "2"}}, "not_applicable", "defined for runs with the same packages"),
    ],
)
def test_runs_that_are_no_replicas_are_not_compared_bit_by_bit(
    second: dict[str, Any], status: str, reason: str
) -> None:
    first = {**REPLICA, "git_sha": "a" * 40, "packages": {"torch": "1"}}
    (check,) = _beside("DET001", first, second, LOSS).skipped
    assert check.status == status
    assert check.reason.startswith(reason)


def test_packages_that_differ_are_named_with_both_versions() -> None:
    first = {"packages": {"torch": "2.12.0", "rich": "1"}, "environment": {"python": "3.11.2"}}
    second = {"packages": {"torch": "2.13.0", "rich": "2", "trl": "1"}, "environment": {"python": "3.12.0"}}
    (finding,) = _beside("DET005", first, second, LOSS).findings
    assert finding.evidence == {"torch": ["2.12.0", "2.13.0"], "trl": [None, "1"], "python": ["3.11.2", "3.12.0"]}
    assert "torch 2.12.0 -> 2.13.0, trl none -> 1" in finding.message
    assert not _beside("DET005", first, {**first, "packages": {"torch": "2.12.0", "rich": "3"}}, LOSS).findings


def test_one_run_alone_is_not_compared() -> None:
    (check,) = scan(run_of({"loss": LOSS}), select_rules(["DET005"])).skipped
    assert check.reason == "needs a second run to compare the finished one with (--reference)"


def test_another_seed_with_the_same_numbers_is_named() -> None:
    (finding,) = _beside("DET006", REPLICA, {**REPLICA, "seed": 2}, LOSS).findings
    assert (finding.severity, finding.metric) == ("warn", "loss")
    assert finding.evidence == {"seeds": [1, 2], "equal": ["loss"]}


def test_another_seed_with_one_other_number_has_an_effect() -> None:
    other = [*LOSS[:-1], LOSS[-1] * (1 + 1e-15)]
    assert other != LOSS
    assert not _beside("DET006", REPLICA, {**REPLICA, "seed": 2}, other).findings


@pytest.mark.parametrize(
    ("second", "status", "reason"),
    [
        (REPLICA, "not_applicable", "defined for runs with two seeds; both of these have 1"),
        ({**REPLICA, "seed": None}, "skipped", "needs the seed of both runs"),
        ({**REPLICA, "seed": 2, "git_sha": "b" * 40}, "not_applicable", "defined for runs of the same commit"),
    ],
)
def test_a_seed_has_no_effect_only_beside_another_seed(second: dict[str, Any], status: str, reason: str) -> None:
    (check,) = _beside("DET006", {**REPLICA, "git_sha": "a" * 40}, second, LOSS).skipped
    assert (check.status, check.reason) == (status, reason)
