"""`rldk check-determinism --trace` on real programs: the first operation that differs is named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rldk.determinism import check

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DEMOS = Path(__file__).parents[2] / "examples" / "nondeterminism"
# script -> text of the line that is named first, rule
FAULTS = {
    "torch_unseeded_shuffle": ("shuffler = np.random.default_rng()", "DET100"),
    "torch_set_order": ("for task in tasks]", "DET103"),
    "torch_reseeded_dropout": ("torch.seed()", "DET101"),
    "torch_race": ("index_put_", "DET102"),
    "torch_completion_order": ("torch.stack(rewards)", "DET103"),
}


def _demo(name: str) -> str:
    return f"{sys.executable} {DEMOS / name}.py"


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named_by_its_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    text, code = FAULTS[name]
    report = check(_demo(name), replicas=2, trace=True, output_dir=tmp_path)
    line = next(n for n, row in enumerate((DEMOS / f"{name}.py").read_text().splitlines(), 1) if text in row)
    assert not report.passed
    assert report.suspects[0].where == f"{name}.py:{line}"
    assert code in {finding.code for finding in report.findings}


def test_a_clean_training_agrees_in_every_operation(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    report = check(f"{_demo('torch_clean')} --steps 180", replicas=2, trace=True, output_dir=tmp_path)
    assert report.trace is not None
    assert (report.passed, report.trace.equal) == (True, True)
    assert report.trace.operations > 10_000


def test_draws_are_compared_where_nothing_else_is_traced(tmp_path: Path) -> None:
    report = check(_demo("time_seed"), replicas=2, trace=True, output_dir=tmp_path)
    line = next(n for n, row in enumerate((DEMOS / "time_seed.py").read_text().splitlines(), 1) if "time_ns" in row)
    assert report.suspects[0].where == f"time_seed.py:{line}"


def test_digests_see_the_order_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    import rldk.determinism.trace.inject as home

    monkeypatch.syspath_prepend(str(Path(home.__file__).parent))
    import rldk_trace_digest as digest  # type: ignore[import-not-found]

    for kind in (torch.float32, torch.bfloat16, torch.int64, torch.uint8):
        a = torch.arange(1, 101).to(kind)
        b = a.flip(0)
        assert digest.of_tensor(a) == digest.of_tensor(a.clone()) != digest.of_tensor(b)
        assert int(digest.weighted_sum(a)) == int(digest.weighted_sum(a.clone())) != int(digest.weighted_sum(b))
