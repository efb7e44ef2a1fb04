from __future__ import annotations

import numpy as np
import pytest

from rldk.testing import scan_columns

TOKENS, ROWS, WORDS = 512, 40, 50


def sampled(temperature: float, from_row: int = 0) -> dict[str, list[float]]:
    """Tokens really drawn at a temperature from a policy that is scored at temperature 1."""
    rng = np.random.default_rng(5)
    nll, entropy = [], []
    for row in range(ROWS):
        logits = rng.normal(0, 1.5, WORDS)
        p = np.exp(logits) / np.exp(logits).sum()
        hot = np.exp(logits / (temperature if row >= from_row else 1.0))
        drawn = rng.choice(WORDS, TOKENS, p=hot / hot.sum())
        nll.append(float(-np.log(p[drawn]).mean()))
        entropy.append(float(-(p * np.log(p)).sum()))
    return {"sampled_nll": nll, "entropy": entropy}


@pytest.mark.parametrize("temperature", [0.7, 1.4])
def test_another_temperature_is_seen(temperature: float) -> None:
    (finding,) = scan_columns("OFF005", sampled(temperature)).findings
    assert (finding.first_step, finding.metric) == (22, "sampled_nll")


def test_the_right_temperature_is_quiet() -> None:
    report = scan_columns("OFF005", sampled(1.0))
    assert (report.findings, report.checked) == ((), ("OFF005",))


def test_it_says_what_it_needs() -> None:
    (check,) = scan_columns("OFF005", {"entropy": [1.0] * 30}).skipped
    assert "sampled_nll" in check.reason
