from __future__ import annotations

import pytest
from examples import each_of

from rldk.rules.knobs import CONCEPTS, KEYS, phrase


@each_of(
    ("framework", "algorithm", "expected"),
    [
        ("trl", "grpo", "raise `beta`"),
        ("trl", "ppo", "raise `kl_coef`"),
        ("trl", None, "raise `beta`"),
        ("rllib", "ppo", "raise `kl_coeff`"),
        ("stable_baselines3", "ppo", "raise the KL coefficient"),
        (None, None, "raise the KL coefficient"),
        ("unheard-of", "grpo", "raise the KL coefficient"),
    ],
)
def test_a_fix_names_the_key_of_the_framework(framework: str | None, algorithm: str | None, expected: str) -> None:
    assert phrase("raise {kl_coef}", framework, algorithm) == expected


def test_every_key_belongs_to_a_concept() -> None:
    assert {c for keys in KEYS.values() for c in keys} <= set(CONCEPTS)


def test_an_unknown_concept_is_an_error() -> None:
    with pytest.raises(KeyError):
        phrase("turn {the_knob}", None)
