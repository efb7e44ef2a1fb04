"""`rldk bench` on a few runs of the corpus."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main

PAIRS = Path(__file__).parents[1] / "corpus" / "pairs"


def run(*args: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["bench", *map(str, args)])
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two healthy runs and two with a jump of the learning rate."""
    folder = tmp_path_factory.mktemp("corpus")
    faults = {p: json.loads((p / "label.json").read_text())["fault"] for p in sorted(PAIRS.iterdir()) if p.is_dir()}
    for fault in ("none", "lr_jump"):
        for p in [p for p, f in faults.items() if f == fault][:2]:
            shutil.copytree(p, folder / p.name)
    return folder


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_number_of_processes(corpus: Path) -> None:
    one, two = run(corpus, "--json", "--jobs", 1), run(corpus, "--json", "--jobs", 2)
    assert one == two
    assert one[0] == 0
    told = json.loads(one[1])
    assert told["summary"]["detected_and_named"] == 1.0
    assert [r["outcome"]["named"] for r in told["runs"]] == [r["label"]["fault"] != "none" for r in told["runs"]]


def test_a_gate_that_does_not_hold_is_exit_1(corpus: Path) -> None:
    code, out, err = run(corpus, "--jobs", 1, "--select", "OPT004", "--at-least", "named=0.9", "--at-most", "clean=0")
    assert (code, err) == (1, "gate: named is 0; it must be at least 0.9\n")
    assert "Not named" in out


@pytest.mark.slow
def test_compared_with_an_earlier_measurement(corpus: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_text(run(corpus, "--json", "--jobs", 1, "--select", "OPT004")[1])
    code, out, err = run(corpus, "--jobs", 1, "--select", "OPT", "--compare", before, "--html", tmp_path / "b.html")
    assert (code, err) == (0, f"wrote {tmp_path / 'b.html'}\n")
    assert "named" in out.split("Runs that changed")[1]
    assert (tmp_path / "b.html").read_text().endswith("</html>\n")


@pytest.mark.slow
def test_a_run_that_cannot_be_read_is_a_failed_run(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "c")
    first = sorted((tmp_path / "c").iterdir())[0]
    (first / "metrics.jsonl.gz").write_bytes(b"\x00\x01not a log")
    code, out, _ = run(tmp_path / "c", "--json", "--jobs", 1)
    assert code == 3
    assert (json.loads(out)["summary"]["runs"], json.loads(out)["summary"]["errors"]) == (4, 1)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--at-least", "nmaed=1"), "did you mean named?"),
        (("--rules", "nothing"), "unknown rule preset"),
        (("--select", "ZZZ"), "unknown rule"),
    ],
)
def test_a_wrong_word_is_usage(corpus: Path, args: tuple[str, ...], said: str) -> None:
    code, _, err = run(corpus, *args)
    assert code == 2
    assert said in err


def test_a_file_that_is_no_measurement_is_an_input_error(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"kind": "diagnosis"}')
    code, _, err = run(corpus, "--compare", tmp_path / "x.json")
    assert (code, "no measurement" in err) == (3, True)
