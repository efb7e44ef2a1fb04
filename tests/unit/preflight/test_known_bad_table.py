"""The table of versions that fail together."""

from __future__ import annotations

import re
from typing import Any

from examples import each_of

from rldk.core.configuration.versions import canonical, within
from rldk.rules.known_bad import KnownBad, known_bad, link, met_rows
from rldk.rules.subject import EnvView

ROWS = known_bad().rows
SOURCE = re.compile(r"[\w.-]+/[\w.-]+#\d+")


def _wrong_with(row: KnownBad) -> list[str]:
    named = [*row.packages.items(), *row.unless.items()]
    return [
        *(["a source is no thread"] if not row.source or not all(map(SOURCE.fullmatch, row.source)) else []),
        *([f"a name is not normal: {n}" for n, _ in named if canonical(n) != n]),
        *([f"bounds cannot be read: {b}" for _, b in named if not re.fullmatch(r"(?:[<>=!]{1,2}[\w.]+,?)+", b)]),
        *(["the release that ended it is met by the row"] if _ends_in_itself(row) else []),
        *(["its text ends in a full stop"] if row.said.endswith(".") else []),
    ]


def _ends_in_itself(row: KnownBad) -> bool:
    return any(name in row.packages and within(version, row.packages[name]) for name, version in row.ended.items())


def test_every_row_has_sources_bounds_and_an_end_that_it_does_not_meet() -> None:
    assert len(ROWS) >= 25
    assert len({row.id for row in ROWS}) == len(ROWS)
    assert [row.id for row in ROWS] == sorted(row.id for row in ROWS)
    assert not {row.id: wrong for row in ROWS if (wrong := _wrong_with(row))}


def test_a_source_leads_to_its_thread() -> None:
    assert link("huggingface/trl#4117") == "https://github.com/huggingface/trl/issues/4117"


@each_of(
    ("packages", "config", "expected"),
    [
        ({"trl": "0.26.2", "vllm": "0.12.0"}, {}, {"trl-vllm-guided-decoding"}),
        ({"trl": "0.27.0", "vllm": "0.12.0"}, {}, set()),
        ({"trl": "0.26.2", "vllm": "0.11.0"}, {}, set()),
        ({"trl": "1.9.0", "vllm": "0.25.1"}, {}, set()),  # it needs the setting
        ({"trl": "1.9.0", "vllm": "0.25.1"}, {"vllm_enable_sleep_mode": True}, {"trl-sleep-mode-stale-weights"}),
        ({"trl": "1.10.0", "vllm": "0.25.1"}, {"vllm_enable_sleep_mode": True}, set()),
        ({"trl": "0.13.0", "transformers": "4.47.0"}, {"gradient_accumulation_steps": 1}, set()),
        (
            {"trl": "0.13.0", "transformers": "4.47.0"},
            {"gradient_accumulation_steps": 4},
            {"trl-accumulation-loss-scale"},
        ),
        ({"vllm": "0.11.0", "transformers": "5.0.0"}, {}, {"vllm-transformers5-tokenizer"}),
        ({"vllm": "0.11.0", "transformers": "5.0.0", "trl": "1.0.0"}, {}, set()),  # TRL works around it
        ({}, {}, set()),
    ],
)
def test_rows_are_met_exactly(packages: dict[str, str], config: dict[str, Any], expected: set[str]) -> None:
    assert {row.id for row in met_rows(EnvView(packages=packages, config=config))} == expected


def test_current_releases_meet_no_row() -> None:
    newest = {
        "trl": "1.16.0", "transformers": "5.24.0", "vllm": "0.28.0", "verl": "0.9.1", "peft": "0.20.0",
        "torch": "2.13.0", "deepspeed": "0.19.3", "accelerate": "1.12.0", "liger-kernel": "0.8.2",
        "openrlhf": "0.11.2", "sglang": "0.6.0", "megatron-core": "0.18.0", "torchao": "0.17.0",
    }  # fmt: skip
    settings = {"use_vllm": True, "vllm_mode": "server", "vllm_enable_sleep_mode": True}
    assert met_rows(EnvView(packages=newest, config=settings)) == []
