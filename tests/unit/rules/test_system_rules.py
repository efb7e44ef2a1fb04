from __future__ import annotations

from rldk.testing import scan_columns


def times(share: float) -> dict[str, list[float]]:
    return {"step_time": [10.0] * 25, "generation_time": [10.0 * share] * 25}


def test_fires_when_a_step_is_nearly_all_generation() -> None:
    report = scan_columns("SYS007", times(0.95))
    assert [(f.code, f.first_step, f.severity) for f in report.findings] == [("SYS007", 22, "info")]


def test_stays_quiet_at_the_usual_share_and_where_the_step_leaves_generation_out() -> None:
    usual, apart = scan_columns("SYS007", times(0.8)), scan_columns("SYS007", times(4.0))
    assert (usual.findings, apart.findings) == ((), ())
    assert usual.checked == apart.checked == ("SYS007",)


def test_says_what_is_missing() -> None:
    (check,) = scan_columns("SYS007", {"step_time": [1.0] * 30}).skipped
    assert check.reason == "needs generation_time"
