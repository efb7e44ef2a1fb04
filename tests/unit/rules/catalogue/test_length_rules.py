from __future__ import annotations

from typing import Any

import pytest
from examples import each_of

from rldk.testing import scan_columns

Columns = dict[str, Any]

RISING = [0.02 * i for i in range(40)]
SHRINKS: list[Any] = [9.0 - 0.5 * i for i in range(15)] + [1.1] * 5 + [1.0] * 4


@each_of(
    ("code", "columns", "options", "expected"),
    [
        (
            "LEN002",
            {"response_length_mean": [100.0] * 40 + [30.0] * 12, "reward_mean": [*RISING, *[0.1] * 12]},
            {},
            (49, "warn"),
        ),
        (
            "LEN002",
            {
                "response_length_mean": [100.0] * 30 + [30.0] * 6,
                "entropy": [2.0] * 30 + [0.2] * 6,
                "reward_mean": [0.5] * 36,
            },
            {},
            (34, "warn"),
        ),
        ("LEN003", {"truncation_frac": [0.1] * 15 + [0.9] * 10}, {}, (18, "warn")),
        ("LEN003", {"truncation_frac": [0.7] * 25}, {}, (20, "info")),
        ("LEN003", {"truncation_frac": [0.1] * 30 + [0.9] * 10}, {}, (33, "warn")),
        ("LEN003", {"response_length_mean": [28.0] * 25}, {}, (20, "warn")),
        ("LEN003", {"response_length_mean": [7.3, 8.1] * 10 + [28.0] * 12}, {}, (30, "warn")),
        ("LEN003", {"truncation_frac": [1.0] * 25}, {}, (20, "warn")),
        ("LEN003", {"truncation_frac": [0.1, 0.3, 0.5, 0.7, 0.9, *[1.0] * 6]}, {}, (10, "warn")),
        ("LEN008", {"eos_count": [16.0, 15.0] * 8 + [3.0] * 4}, {}, (19, "warn")),
        ("LEN004", {"response_length_mean": [20.0, 5.0, 1.0, 1.0, 1.0]}, {}, (5, "critical")),
        ("LEN004", {"response_length_mean": [0.5] * 4}, {"framework": "trl"}, (3, "critical")),
        ("LEN004", {"response_length_mean": SHRINKS, "reward_mean": [0.03 * i for i in range(24)]}, {}, (23, "info")),
        (
            "LEN004",
            {"response_length_mean": SHRINKS, "reward_mean": [-0.03 * i for i in range(24)]},
            {},
            (23, "critical"),
        ),
        ("LEN004", {"rollout_is_clip_frac": [0.1, 0.99, 0.99, 0.99]}, {}, (4, "critical")),
    ],
)
def test_fires(code: str, columns: Columns, options: dict[str, Any], expected: tuple[int, str]) -> None:
    report = scan_columns(code, columns, **options)
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [(code, *expected)]


@each_of(
    ("code", "columns", "options"),
    [
        ("LEN002", {"response_length_mean": [100.0] * 30 + [30.0] * 10, "reward_mean": RISING}, {}),
        ("LEN002", {"response_length_mean": [100.0] * 40 + [70.0] * 12, "reward_mean": [*RISING, *[0.1] * 12]}, {}),
        ("LEN003", {"truncation_frac": [0.95 - 0.03 * i for i in range(25)]}, {}),
        ("LEN003", {"truncation_frac": [0.1] * 15 + [0.9, 0.1] * 10}, {}),
        ("LEN003", {"truncation_frac": [min(0.9, 0.04 * i) for i in range(22)]}, {}),
        ("LEN003", {"response_length_mean": [7.0 + i for i in range(21)] + [28.0] * 12}, {}),
        ("LEN008", {"eos_count": [16.0, 15.0] * 8 + [5.0] * 4}, {}),
        ("LEN008", {"eos_count": [2.0, 1.0] * 8 + [0.0] * 4}, {}),  # a batch of two
        ("LEN004", {"response_length_mean": [0.0] * 5 + [6.0] * 7}, {}),  # no episode has ended yet
        ("LEN004", {"response_length_mean": [1.0] * 12}, {}),
        ("LEN004", {"aborted_frac": [0.9] * 12}, {}),
    ],
)
def test_stays_quiet_near_the_limit(code: str, columns: Columns, options: dict[str, Any]) -> None:
    report = scan_columns(code, columns, **options)
    assert (report.findings, report.checked) == ((), (code,))


@each_of(
    ("code", "columns", "options", "reason"),
    [
        ("LEN002", {"kl": [1.0] * 9}, {}, "needs response_length_mean"),
        ("LEN002", {"response_length_mean": [9.0] * 9}, {"framework": "rllib"}, "defined for language models"),
        ("LEN003", {"kl": [1.0] * 9}, {}, "needs truncation_frac"),
        ("LEN004", {"kl": [1.0] * 9}, {}, "needs response_length_mean or aborted_frac"),
        ("LEN008", {"truncation_frac": [0.5] * 30}, {}, "needs eos_count"),
    ],
)
def test_says_what_is_missing(code: str, columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns(code, columns, **options).skipped
    assert check.reason.startswith(reason)


def test_structural_truncation_is_critical_with_a_second_finding_beside_it() -> None:
    columns: Columns = {"truncation_frac": [1.0] * 25, "reward_mean": [0.0] * 25}
    report = scan_columns(["LEN003", "REW001"], columns)
    assert [(f.code, f.severity) for f in report.findings] == [("REW001", "critical"), ("LEN003", "critical")]


GROWING = [100.0 + 2.0 * i for i in range(60)]
CAPPED: dict[str, Any] = {"config": {"max_completion_length": 256}, "algorithm": "grpo"}


def test_length_that_will_reach_the_limit_is_announced() -> None:
    (finding,) = scan_columns("LEN007", {"response_length_max": GROWING}, total_steps=100, **CAPPED).findings
    assert (finding.first_step, finding.severity, finding.limit) == (44, "info", 256.0)


@pytest.mark.parametrize(
    ("columns", "total"),
    [
        ({"response_length_max": GROWING}, 62),  # the run ends before
        ({"response_length_max": [min(x, 140.0) for x in GROWING]}, 100),
        ({"response_length_max": GROWING, "truncation_frac": [0.5 - 0.005 * i for i in range(60)]}, 100),
    ],
)
def test_length_that_will_not_reach_the_limit_is_not(columns: Columns, total: int) -> None:
    report = scan_columns("LEN007", columns, total_steps=total, **CAPPED)
    assert (report.findings, report.checked) == ((), ("LEN007",))


def test_without_a_limit_there_is_nothing_to_reach() -> None:
    (check,) = scan_columns("LEN007", {"response_length_max": GROWING}).skipped
    assert check.reason.startswith("needs the response length limit")


def test_all_responses_cut_off_takes_five_rows_of_exactly_all() -> None:
    share = [*(0.1 + 0.1 * i for i in range(9)), *[1.0] * 4, 0.99, *[1.0] * 4]
    assert scan_columns("LEN003", {"truncation_frac": share}).findings == ()


@pytest.mark.parametrize(("key", "worst"), [("completion_length", "warn"), ("EpLen", None), ("ep_len_mean", None)])
def test_the_longest_episode_is_often_the_best(key: str, worst: str | None) -> None:
    columns: Columns = {"response_length_mean": [1000.0] * 25}
    assert scan_columns("LEN003", columns, names={"response_length_mean": key}).worst() == worst


SHRANK: list[Any] = [53.0, *[4.0 + 0.1 * (i % 2) for i in range(12)]]
CUT: list[Any] = [0.78 + 0.01 * (i % 3) for i in range(40)]


@each_of(
    ("code", "columns", "expected"),
    [
        ("LEN009", {"response_length_mean": SHRANK, "zero_std_group_frac": [0.8] * 13}, [(5, "warn")]),
        ("LEN009", {"response_length_mean": SHRANK, "entropy": [1.0] + [0.4] * 12}, [(5, "warn")]),
        ("LEN009", {"response_length_mean": SHRANK, "zero_std_group_frac": [0.1] * 13}, []),
        ("LEN009", {"response_length_mean": [30.0, *SHRANK[1:]], "zero_std_group_frac": [0.8] * 13}, [(5, "warn")]),
        ("LEN009", {"response_length_mean": [20.0, *SHRANK[1:]], "zero_std_group_frac": [0.8] * 13}, []),
        ("LEN003", {"truncation_frac": [0.6, 0.7, 0.75] * 3 + [1.0] * 30}, [(20, "warn")]),
        ("LEN003", {"truncation_frac": CUT, "reward_mean": [0.3 + 0.1 * (i % 2) for i in range(40)]}, [(20, "warn")]),
        ("LEN003", {"truncation_frac": CUT, "reward_mean": [0.02 * i for i in range(40)]}, [(20, "info")]),
    ],
)
def test_what_is_plain_at_once_or_lasts(code: str, columns: dict[str, Any], expected: list[tuple[int, str]]) -> None:
    assert [(f.first_step, f.severity) for f in scan_columns(code, columns).findings] == expected


def test_vanishing_responses_need_a_length() -> None:
    (check,) = scan_columns("LEN009", {"kl": [1.0] * 9}).skipped
    assert check.reason == "needs response_length_mean"


@each_of(
    ("length", "cut", "reward", "found"),
    [
        (600.0, 0.2, 5.0, 1),
        (500.0, 0.2, 5.0, 0),  # less than four times
        (600.0, 0.05, 5.0, 0),  # hardly any is cut off
        (600.0, 0.2, 8.0, 0),  # it pays
    ],
    ids=["for-nothing", "shorter", "ends", "pays"],
)
def test_responses_that_grow_for_nothing(length: float, cut: float, reward: float, found: int) -> None:
    columns = {
        "response_length_mean": [130.0] * 12 + [length] * 24,
        "truncation_frac": [0.01] * 12 + [cut] * 24,
        "reward_mean": [7.0] * 12 + [reward] * 24,
    }
    assert len(scan_columns("LEN011", columns, algorithm="grpo", framework="trl").findings) == found
