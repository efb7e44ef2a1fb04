"""`rldk card` as a user calls it: the files, the formats of CI, and the exit codes."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema
import pytest
from click.testing import CliRunner, Result

from rldk.cli.main import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
SARIF = jsonschema.Draft4Validator(json.loads((FIXTURES / "schemas" / "sarif-schema-2.1.0.json").read_bytes()))
CARD = jsonschema.Draft202012Validator(
    json.loads((Path(__file__).parents[2] / "docs" / "card.schema.json").read_bytes())
)
PICTURE = ("png",) if find_spec("matplotlib") else ()  # of the extra "plot"
COLLAPSE = str(FIXTURES / "trl-grpo-collapse")


def card(*words: str) -> Result:
    return CliRunner().invoke(main, ["card", *words])


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def log(name: str, *, shift: float = 0.0, steps: int = 120) -> str:
    rows = (
        {"step": i, "kl": 0.01 * i + 0.001 * (i * 7919 % 13) + shift * (i >= 80), "reward_mean": i / steps}
        for i in range(steps)
    )
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


@pytest.mark.slow
def test_the_files_of_every_card_are_written_and_valid() -> None:
    a, b = log("a.jsonl"), log("b.jsonl", shift=4.0)
    for words in (("determinism", a, a), ("drift", a, b), ("reward", a), ("kl-drift", a)):
        done = card(*words, "--output-dir", "out")
        kind = f"{words[0].replace('-', '_')}_card"
        names = [f"{kind}.{suffix}" for suffix in ("json", "html", "md", *PICTURE)]
        assert f"wrote {', '.join(names)} to out" in done.stderr
        document = json.loads(Path("out", names[0]).read_text())
        CARD.validate(document)
        assert json.loads(card(*words, "--output-dir", "out", "--json").stdout) == document
        assert document["command"].startswith(f"rldk card {words[0]} a.jsonl")


@pytest.mark.slow
def test_without_a_directory_the_files_go_into_the_run_and_are_not_read_as_a_log() -> None:
    Path("run").mkdir()
    log("run/metrics.jsonl")
    first = card("kl-drift", "run", "--json")
    assert Path("run/cards/kl_drift_card.json").is_file()
    assert card("kl-drift", "run", "--json").stdout == first.stdout
    card("reward", "run/metrics.jsonl")
    assert Path("rldk_cards/reward_card.html").is_file()


@pytest.mark.slow
def test_exit_codes_follow_the_card_and_the_gate() -> None:
    a, b = log("a.jsonl"), log("b.jsonl", shift=4.0)
    assert card("determinism", a, a).exit_code == 0
    assert card("determinism", a, b).exit_code == 1
    assert card("determinism", a, b, "--gate-codes", "0,7,8").exit_code == 8
    assert card("determinism", a, "--gate-codes", "0,0,0").exit_code == 3
    assert card("reward", COLLAPSE, "--gate", "--output-dir", "o").exit_code == 1
    assert card("reward", "none.jsonl").exit_code == 3
    assert card("drift", a).exit_code == 2
    assert card("kl-drift", a, "--gate-codes", "1,2").exit_code == 2


@pytest.mark.slow
def test_the_formats_of_ci() -> None:
    words = ("reward", COLLAPSE, "--output-dir", "o", "--format")
    sarif = json.loads(card(*words, "sarif").stdout)
    SARIF.validate(sarif)
    assert "REW001" in {result["ruleId"] for result in sarif["runs"][0]["results"]}
    suite = Xml.fromstring(card(*words, "junit").stdout)
    assert int(suite.get("failures", "0")) >= 1
    names = [case.get("name", "").split()[0] for case in suite.iter("testcase")]
    assert len(names) == len(set(names))
    reasons = [found.get("message") for found in suite.iter("skipped")]
    assert "needs scores of chosen and rejected answers, or gold labels" in reasons
    assert "::error" in card(*words, "github").stdout
    assert card(*words, "md").stdout == Path("o/reward_card.md").read_text()
    assert card(*words, "html").stdout == Path("o/reward_card.html").read_text()


@pytest.mark.slow
def test_own_names_and_presets_are_mapped() -> None:
    rows = ({"it": i, "divergence": 0.01 * i} for i in range(60))
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = '{"it": "step", "divergence": "kl"}'
    assert card("kl-drift", "own.jsonl").exit_code == 3
    assert card("kl-drift", "own.jsonl", "--field-map", names).exit_code == 0
    assert card("reward", "own.jsonl", "--preset", "nobody").exit_code == 2


@pytest.mark.slow
def test_without_matplotlib_the_other_files_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    from rldk.cards import png
    from rldk.errors import MissingExtra

    def missing(*_: object) -> bytes:
        raise MissingExtra("plot", "matplotlib")

    monkeypatch.setattr(png, "render", missing)
    done = card("kl-drift", log("a.jsonl"), "--output-dir", "o")
    assert done.exit_code == 0
    assert "rldk[plot]" in done.stderr
    assert sorted(path.suffix for path in Path("o").iterdir()) == [".html", ".json", ".md"]
