from __future__ import annotations

from typing import Any

import pytest

from rldk.testing import scan_columns

Columns = dict[str, Any]
DISAGREES: Columns = {"clip_frac": [0.42] * 9, "kl_policy_update": [0.31] * 9, "lr": [1e-6] * 9}


def test_fires_on_the_third_row() -> None:
    (finding,) = scan_columns("CLIP008", DISAGREES).findings
    assert (finding.first_step, finding.severity) == (3, "warn")
    assert "before any update" in finding.message
    assert "learning rate" not in finding.causes[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"clip_frac": [0.01, *[0.42] * 8]},
        {"kl_policy_update": [0.06, 0.2, *[0.31] * 7]},  # an update that grows
        {"lr": [1e-3] * 9},  # that rate may do it in one update
    ],
)
def test_stays_quiet_near_the_limit(changed: Columns) -> None:
    assert scan_columns("CLIP008", DISAGREES | changed).findings == ()


@pytest.mark.parametrize(
    ("columns", "options", "reason"),
    [
        ({"clip_frac": [0.4] * 9}, {}, "needs kl_policy_update"),
        (DISAGREES, {"framework": "sb3"}, "defined for language models"),
        (DISAGREES, {"algorithm": "rloo"}, "the ratio is that of whole sequences"),
    ],
)
def test_says_what_is_missing(columns: Columns, options: dict[str, Any], reason: str) -> None:
    (check,) = scan_columns("CLIP008", columns, **options).skipped
    assert check.reason.startswith(reason)
