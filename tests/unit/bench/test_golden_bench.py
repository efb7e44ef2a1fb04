"""A measurement as a whole: its document and its tables, kept in tests/golden."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from layout import laid_out
from msgspec.structs import replace

from rldk.bench.compare import compare
from rldk.bench.document import document, read_results
from rldk.bench.gates import failed_gates, read_gates
from rldk.bench.judge import Result, RuleChoice
from rldk.bench.score import score
from rldk.bench.tables import headline, tables, view_of
from rldk.cards import terminal


def _measured(make: Any) -> list[Result]:
    """Healthy and faulty runs of two algorithms: quiet, warned, named at once, late, by two rules, not at all."""
    ppo, grpo = {"algorithm": "ppo", "framework": "trl"}, {"algorithm": "grpo", "framework": "verl"}
    flapping = [("KL001", 60 + i) for i in range(3)] + [(f"VAL00{i}", 90 + i) for i in range(1, 6)]
    made = [
        make("calm", **ppo), make("calm 2", **grpo), make("warned", "none", ("KL001", 1300), **ppo),
        make("called critical", "none", ("KL001", 3, "critical"), ("REW001", 9, "info"), **grpo),
        make("at once", "lr_jump", ("OPT003", 70), ("OPT004", 70), **ppo),
        make("just before", "lr_jump", ("OPT003", 68), **grpo), make("too early", "lr_jump", ("OPT003", 67), **grpo),
        make("late", "lr_jump", ("KL001", 75), ("OPT003", 90), ("OPT003", 80), **ppo),
        make("seen only", "kl_gone", ("OPT003", 1270), onset=1200, families=("KL",), **grpo),
        make("flaps", "kl_gone", *flapping, families=("KL",), **ppo),
        make("missed", "kl_gone", ("KL001", 72, "info"), families=("KL",), **ppo),
        make("tolerated", "kl_gone", ("ENT001", 72), families=("KL",), tolerated=("ENT",), **ppo),
        replace(make("broken", "lr_jump", **grpo), error="it is no log", exit_code=3),
    ]  # fmt: skip
    health = [0.9, None, 0.8, 0.2, 0.1, 0.3, None, 0.85, 0.1, 0.2, 0.9, 0.4, None]
    return [replace(result, health=h) for result, h in zip(made, health, strict=True)]


def _before(now: list[Result], make: Any) -> list[Result]:
    """The same runs, some of which were judged otherwise; one was not there, one had another label."""
    told = {r.run: r for r in now}
    told["late"] = replace(told["late"], said=())
    told["at once"] = replace(told["at once"], said=told["at once"].said[1:])
    told["calm"] = replace(told["calm"], said=told["warned"].said)
    told["warned"] = replace(told["warned"], said=())
    told["missed"] = make("missed", "lr_jump")
    del told["flaps"]
    return [*told.values(), make("gone")]


def test_golden_measurement(golden: Callable[[str, str], None], make: Any) -> None:
    now = _measured(make)
    scored, comparison = score(now, "corpus"), compare(_before(now, make), now)
    healthy = score(now[:3], "healthy")
    parts = [
        terminal.render(view_of(scored, tables(scored, comparison)), everything=True, width=110),
        terminal.render(view_of(healthy, tables(healthy)), everything=True, width=110),
        headline(score([])), headline(score(now[4:5])), headline(score(now[8:9])),
        json.dumps(document(scored, RuleChoice(select=("KL",))) | {"version": ""}, indent=1),
        laid_out(view_of(scored, tables(scored))),
    ]  # fmt: skip
    golden("bench.txt", "\n=====\n".join(parts))


def test_a_document_is_read_back_as_the_results_it_was_made_of(make: Any, tmp_path: Any) -> None:
    now = _measured(make)
    (tmp_path / "m.json").write_text(json.dumps(document(score(now), RuleChoice())))
    assert read_results(tmp_path / "m.json") == now


def test_every_figure_has_a_bound_that_holds_at_its_value_and_not_beside_it(make: Any) -> None:
    summary = score(_measured(make)).summary
    exact = {
        "named": 3 / 8,
        "detected": 5 / 8,
        "early": 2 / 8,
        "clean": 2 / 4,
        "critical": 1 / 4,
        "delay": 0,
        "errors": 1,
    }
    for figure, value in exact.items():
        for beside, least, held in ((0, True, 1), (0, False, 1), (0.001, True, 0), (0.001, False, 1)):
            failed = failed_gates(read_gates(f"{figure}={value + beside}", least=least), summary)
            assert len(failed) == 1 - held, (figure, beside, least)
            assert all(said.startswith(f"{figure} is {value:.4g}; it must be at least") for said in failed)
