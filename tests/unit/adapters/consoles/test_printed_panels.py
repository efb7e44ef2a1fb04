"""Panels as rich draws them for the trainers' print statements; values of our own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from examples import each_of

from rldk.adapters.live.reader import LiveReader
from rldk.adapters.open import open_run
from rldk.core.table import Row
from rldk.engine.scan import rule_columns
from rldk.errors import NotALog

EDGE = "\u2500" * 35
WIDER = "\u2500" * 8
METRICS = f"""\u256d{EDGE} Metrics {EDGE}\u256e
\u2502  loss       policy_avg: 0.0{{i}}                                                 \u2502
\u2502  objective  kl_avg: 1.20e-07 | verifiable_correct_rate: 0.25                 \u2502
\u2502  other      episode: {{i}}6 | global_step: {{i}}6 | training_step: {{i}} | lr: 5.00e-07  \u2502
\u2502  val        num_total_tokens: 4520 | sequence_lengths: 565.25 |              \u2502
\u2502             stop_rate: 0.75                                                  \u2502
\u2570{EDGE * 2}\u2500\u256f
"""
DASHBOARD = f"""\u256d{EDGE * 2}{WIDER}\u256e
\u2502  PufferLib 1.0.0                CPU:       GPU:     DRAM: 5.0%     VRAM:     \u2502
\u2502                                 10.5%      30.1%                   20.0%     \u2502
\u2502  Summary          Value    Evaluate   1m 3s  40%    Losses            Value  \u2502
\u2502  Environment     pong      Forward    1m 3s  40%    policy_loss      -0.012  \u2502
\u2502  Agent Steps      6{{i}}.5k      Env      1m 3s  40%    value_loss        0.500  \u2502
\u2502  SPS             102.4k      Misc     1m 3s  40%    approx_kl         0.002  \u2502
\u2502  Epoch                {{i}}    Train      1m 3s  40%    explained_var\u2026    0.300  \u2502
\u2502  User Stats                    Value    User Stats                    Value  \u2502
\u2502  episode_return               1{{i}}.500    episode_length              200.000  \u2502
\u2570{EDGE * 2}{WIDER}\u256f
"""


def console(panel: str) -> str:
    return "starting up\n" + "".join(f"\x1b[0;0H{panel}\nsaved\n".replace("{i}", str(i)) for i in range(1, 6))


def shown(rows: Iterable[Row]) -> list[tuple[int, list[tuple[str, float]]]]:
    return [(row.step, sorted(row.values.items())) for row in rows]


def test_every_number_of_a_panel_of_metrics_has_its_group(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text(console(METRICS))
    run = open_run(tmp_path / "out.log")
    assert (run.meta.format, run.metrics.step.tolist()) == ("open-instruct-console", [1, 2, 3, 4, 5])
    first = next(run.metrics.rows()).values
    assert (first["loss/policy_avg"], first["val/stop_rate"], first["lr"]) == (0.01, 0.75, 5e-7)


def test_losses_and_numbers_of_a_dashboard_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text(console(DASHBOARD))
    run = open_run(tmp_path / "out.log")
    assert (run.meta.format, run.metrics.step.tolist()) == ("pufferlib-console", [61500, 62500, 63500, 64500, 65500])
    first = next(run.metrics.rows()).values
    assert (first["losses/policy_loss"], first["environment/episode_return"], first["0verview/epoch"]) == (
        -0.012,
        11.5,
        1,
    )
    assert not any("explained" in name or "Uptime" in name for name in first)


@each_of("panel", [METRICS, DASHBOARD])
@each_of("size", [1, 333])
@each_of("cut", [0, 200, 900])
def test_panels_that_come_over_time_are_read_as_the_finished_text(
    tmp_path: Path, panel: str, size: int, cut: int
) -> None:
    data = console(panel).encode()[: len(console(panel).encode()) - cut]
    (tmp_path / "out.log").write_bytes(data)
    run, reader = open_run(tmp_path / "out.log"), LiveReader()
    rows = [row for i in range(0, len(data), size) for row in reader.feed(data[i : i + size])] + reader.finish()
    assert shown(rows) == shown(rule_columns(run).rows())
    assert (reader.meta.format, reader.rejected_count) == (run.meta.format, run.rejected_count)


def test_panels_that_begin_late_in_a_text_are_found(tmp_path: Path) -> None:
    (tmp_path / "out.log").write_text("some sample text\n" * 20_000 + console(METRICS))
    assert open_run(tmp_path / "out.log").metrics.step.tolist() == [1, 2, 3, 4, 5]


def test_a_panel_of_something_else_is_no_log(tmp_path: Path) -> None:
    panel = f"\u256d\u2500 Metrics {EDGE}\u256e\n\u2502  Successful  total: 1 | failed: 3 \u2502\n\u2570{EDGE}\u256f\n"
    (tmp_path / "out.log").write_text(panel * 5)
    with pytest.raises(NotALog):
        open_run(tmp_path / "out.log")


def test_a_panel_has_at_most_so_many_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out.log").write_text(console(METRICS))
    monkeypatch.setattr("rldk.adapters.consoles.panels.MAX_LINES", 5)
    assert open_run(tmp_path / "out.log").meta.format == "open-instruct-console"
    monkeypatch.setattr("rldk.adapters.consoles.panels.MAX_LINES", 4)
    assert open_run(tmp_path / "out.log").meta.format != "open-instruct-console"
