from __future__ import annotations

from msgspec.structs import replace

from rldk.core.model import Finding, Severity
from rldk.engine.report.incidents import Placed, group, join_simultaneous, lower_unsupported


def _placed(code: str, first: int, last: int, severity: Severity = "warn", tier: int = 2) -> Placed:
    finding = Finding(
        code=code,
        name=code.lower(),
        family=code.rstrip("0123456789"),
        severity=severity,
        tier=tier,
        first_step=first,
        last_step=last,
        metric="m",
        value=1.0,
        limit=0.0,
        message=f"{code} moved",
        causes=(f"cause of {code}", "shared cause"),
    )
    return Placed(finding, first, last)


def test_consequences_join_the_incident_of_what_drives_them() -> None:
    findings, incidents = group([_placed("REW001", 52, 80), _placed("OPT003", 40, 90), _placed("KL001", 45, 90)])
    assert [i.codes for i in incidents] == [("OPT003", "KL001", "REW001")]
    assert incidents[0].title == "OPT003 moved"
    assert incidents[0].causes == ("cause of OPT003", "shared cause")  # its own, not those of what came with it
    assert {f.incident for f in findings} == {1}


def test_unrelated_families_and_distant_rows_stay_apart() -> None:
    _, incidents = group([_placed("SYS005", 10, 90), _placed("ENT001", 20, 90), _placed("ENT002", 200, 210)])
    assert sorted(i.codes for i in incidents) == [("ENT001",), ("ENT002",), ("SYS005",)]


def test_worst_incident_is_first_and_an_info_leads_no_warning() -> None:
    _, incidents = group([_placed("MET001", 1, 99, "info"), _placed("VAL001", 5, 99, "info"), _placed("ADV004", 6, 9)])
    assert incidents[0].codes == ("ADV004",)


def test_a_column_of_unknown_meaning_heads_no_report_over_a_known_metric_that_is_as_bad() -> None:
    broken, lost = replace(_placed("MET006", 10, 99), unknown=True), _placed("REW012", 60, 99)
    _, incidents = group([broken, lost])
    assert [i.codes for i in incidents] == [("REW012",), ("MET006",)]
    _, incidents = group([broken, _placed("REW012", 60, 99, "info")])
    assert [i.codes for i in incidents] == [("MET006",), ("REW012",)]
    _, incidents = group([_placed("GRAD001", 8, 99), broken, lost])  # a consequence of what is known stays in its place
    assert [i.codes for i in incidents] == [("GRAD001", "MET006", "REW012")]


def test_a_statistical_critical_needs_an_independent_witness() -> None:
    alone = lower_unsupported([_placed("REW012", 40, 50, "critical")])
    assert alone[0].finding.severity == "warn"
    joined = lower_unsupported([_placed("REW012", 40, 50, "critical"), _placed("KL001", 30, 50)])
    assert joined[0].finding.severity == "critical"
    exact = lower_unsupported([_placed("REW001", 40, 50, "critical", tier=0)])
    assert exact[0].finding.severity == "critical"


def test_one_rule_on_many_metrics_at_once_is_one_finding() -> None:
    one, two = _placed("GRAD001", 40, 50), _placed("GRAD001", 41, 60)
    two = replace(two, finding=replace(two.finding, metric="loss"))
    later = replace(_placed("GRAD001", 90, 95), finding=replace(one.finding, metric="entropy"))
    merged = join_simultaneous([one, two, later])
    assert [(p.first_row, p.last_row, p.finding.evidence) for p in merged] == [
        (40, 60, {"also": ["loss"]}),
        (90, 95, {}),
    ]


def test_what_is_said_of_several_metrics_is_the_gravest_and_the_latest() -> None:
    for ongoing in ((True, False), (False, True), (False, False)):
        one, two = _placed("GRAD001", 40, 50), _placed("GRAD001", 41, 45, "critical")
        given = [
            replace(p, finding=replace(p.finding, ongoing=lasts, rows=rows, metric=f"m{rows}"))
            for p, lasts, rows in zip((one, two), ongoing, (3, 9), strict=True)
        ]
        (merged,) = join_simultaneous(given)
        found = merged.finding
        assert (found.severity, found.last_step, found.rows) == ("critical", 50, 9)
        assert found.ongoing is any(ongoing)


def test_the_same_again_is_one_incident_that_counts() -> None:
    dips = [_placed("ENT001", 100 * i, 100 * i + 5) for i in range(1, 26)]
    findings, incidents = group([*dips, _placed("SYS005", 700, 705)])
    assert [(i.codes, i.first_step, i.last_step) for i in incidents] == [
        (("ENT001",), 100, 2505),
        (("SYS005",), 700, 705),
    ]
    assert (incidents[0].title, len(findings)) == ("ENT001 moved, and 24 more times", 26)
