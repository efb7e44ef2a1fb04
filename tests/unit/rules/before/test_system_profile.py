"""Rules over a profile: each fires, has a near miss, and says what it needs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from rldk.engine.live import Engine
from rldk.engine.once import Once, look_once
from rldk.rules.profiles import MemoryTrend, ProfileView
from rldk.rules.rule import Context, rules

MIB = float(1 << 20)
STEADY = MemoryTrend(grows=False, slope=MIB, low=0, high=MIB, p=0.2, growth=50 * MIB, level=500 * MIB, seconds=50.0)
GROWS = replace(STEADY, grows=True, p=1e-6)
FINE = ProfileView(memory=STEADY, device=STEADY, room=1e15, step_s=2.0)


def _seen(view: Any) -> Once:
    chosen = tuple(rule for rule in rules if rule.subject == "profile")
    return look_once(chosen, Context(), Engine(chosen, Context()).inapplicable, {"profile": view})


@pytest.mark.parametrize(
    ("change", "fires"),
    [
        ({"memory": GROWS}, {"SYS040": "warn"}),
        ({"memory": GROWS, "room": math.nan, "step_s": math.nan}, {"SYS040": "warn"}),
        ({"device": GROWS}, {"SYS041": "warn"}),
    ],
)
def test_rules_over_a_profile(change: dict[str, Any], fires: dict[str, str]) -> None:
    assert _seen(FINE).findings == []
    assert {one.code: one.severity for one in _seen(replace(FINE, **change)).findings} == fires


def test_the_message_has_pace_step_and_time_left() -> None:
    (found,) = _seen(replace(FINE, memory=GROWS, room=100 * 3600 * MIB)).findings
    assert found.message == (
        "the memory of the processes grows by 3,600 MiB an hour (0 to 3,600), 2 MiB a step, and does not level off; "
        "at that pace the memory of this machine is full in about 100 hours"
    )


def test_what_could_not_be_judged_is_not_checked() -> None:
    once = _seen(ProfileView())
    assert (once.findings, once.checked) == ([], [])
    assert {one.code: one.status for one in once.unchecked} == {"SYS040": "skipped", "SYS041": "skipped"}
