"""Logs of which everything, half and nothing is known: three verdicts, on the terminal, in JSON, in HTML, live."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from rldk.cli.main import main

ALL = ("step", "reward_mean", "loss", "kl", "grad_norm")
HALF = ("step", "payoff", "loss", "kl", "zeta")
NOTHING = ("step", "payoff", "zeta", "omega", "it's")


def rldk(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, list(args))
    return result.exit_code, result.stdout, result.stderr


def write_log(path: Path, names: tuple[str, ...], rows: int = 60, broken: tuple[str, ...] = ()) -> Path:
    """A calm run under these names; `broken` columns are NaN from row 41 on."""
    draw = random.Random(3)
    lines = []
    for i in range(1, rows + 1):
        row = {name: round(draw.uniform(0.4, 0.6) + i / 200, 4) for name in names[1:]}
        row |= dict.fromkeys(broken, math.nan) if i > 40 else {}
        lines.append(json.dumps({names[0]: i, **row}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


CASES = [
    (ALL, 0, "No problem found: ", "judged", "ok"),
    (HALF, 0, "Partly judged: nothing wrong in loss, kl (60 rows). ", "partly", "partly"),
    (NOTHING, 3, "Not judged: rldk knows none of the 4 columns: it's, omega, payoff, ", "not", "unknown"),
]


@pytest.mark.parametrize(("names", "code", "verdict", "state", "health"), CASES)
def test_three_logs_have_three_verdicts(
    names: tuple[str, ...], code: int, verdict: str, state: str, health: str, tmp_path: Path
) -> None:
    log, page, live = write_log(tmp_path / "run.csv.jsonl", names), tmp_path / "r.html", tmp_path / "live.json"
    seen, out, _ = rldk(str(log), "--html", str(page))
    assert (seen, " ".join(out.split())[: len(verdict)]) == (code, verdict)
    document = json.loads(rldk(str(log), "--json")[1])
    assert (document["verdict"][: len(verdict)], document["understanding"]["state"]) == (verdict, state)
    assert document["passed"] is (state != "not")
    assert f'<span class="badge">{verdict.split(":", maxsplit=1)[0].upper()}</span>' in page.read_text()
    assert rldk("monitor", "--once", str(log), "--report", str(live), "--exit-code")[0] == code
    (run,) = json.loads(live.read_text())["runs"]
    assert (run["health"], run["verdict"][: len(verdict)]) == (health, verdict)
    assert run["understanding"] == document["understanding"]


def test_a_field_map_that_is_pasted_makes_the_log_known(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", ("step", "train_grad_norm", "zeta"))
    document = json.loads(rldk(str(log), "--json")[1])
    made = {**document["understanding"]["field_map"], "zeta": "reward_mean"}
    assert made.keys() >= {"zeta"}
    again = json.loads(rldk(str(log), "--json", "--field-map", json.dumps({**made, "train_grad_norm": "grad_norm"}))[1])
    assert (again["understanding"]["state"], again["understanding"]["unknown"]) == ("judged", [])


def test_a_finding_is_the_headline_and_what_was_not_understood_a_line_below(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", HALF, broken=("zeta",))
    code, out, _ = rldk(str(log))
    assert (code, out.splitlines()[0]) == (
        0,
        "Warning since step 45: zeta is NaN and stays so, after 40 finite values.",
    )
    assert out.splitlines()[1] == "Partly judged. Not looked at: reward or return; not read: payoff, zeta."
    assert out.splitlines()[-1] == "Exit code 0 under --fail-on critical; --fail-on warn makes it 1."
    assert rldk(str(log), "--fail-on", "warn")[0] == 1


def test_nothing_comforting_is_said_of_a_run_whose_goal_was_not_looked_at(tmp_path: Path) -> None:
    log = write_log(tmp_path / "run.jsonl", HALF)
    text = rldk(str(log), "--all")[1]
    assert "Health" not in text
    assert "no reason to worry" not in text
    assert json.loads(rldk(str(log), "--json")[1])["numbers"]["health"] is None


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A folder of runs: calm, broken, half known, unknown, and a file of damage that passes for a log."""
    write_log(tmp_path / "calm" / "metrics.jsonl", ALL)
    write_log(tmp_path / "broken" / "metrics.jsonl", ALL, broken=("loss", "kl", "reward_mean"))
    write_log(tmp_path / "half" / "metrics.jsonl", HALF)
    write_log(tmp_path / "unknown" / "metrics.jsonl", NOTHING)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "trainer_state.json").write_text('{"log_history": [{"loss": 1, "step"')
    return tmp_path


def test_several_runs_are_a_table_worst_first_and_the_reports_of_the_worst(sweep: Path) -> None:
    code, out, _ = rldk(str(sweep))
    lines = out.splitlines()
    assert (code, lines[0]) == (3, "4 runs: 1 critical, 1 not judged, 1 partly judged, 1 no problem found.")
    assert [line.split()[0] for line in lines[4:8]] == ["broken", "unknown", "half", "calm"]
    assert lines[4].split()[1:4] == ["CRITICAL", "41", "GRAD001"]
    assert [line.split()[1] for line in lines if line.startswith("== ")] == ["broken", "unknown", "half"]
    assert lines[-3] == f"The report of another run: rldk doctor {sweep / 'calm/metrics.jsonl'}"
    assert lines[-1] == "Exit code 3: rldk could not read and judge all that matters."
    assert max(map(len, lines[:8])) <= 100


def test_all_shows_every_report(sweep: Path) -> None:
    out = rldk(str(sweep), "--all")[1]
    assert sum(line.startswith("== ") for line in out.splitlines()) == 4


def test_the_document_of_several_runs_has_a_summary_and_the_order_given(sweep: Path) -> None:
    paths = [str(sweep / name) for name in ("calm", "broken", "absent")]
    code, out, _ = rldk(*paths, "--json")
    document = json.loads(out)
    assert (code, [r["meta"]["run"] for r in document["reports"]]) == (3, ["calm", "broken"])
    assert document["summary"]["counts"] == {"critical": 1, "unreadable": 1, "ok": 1}
    first, second, third = document["summary"]["worst_first"]
    assert (first["run"], first["since"], first["code"], first["place"]) == ("broken", 41, "GRAD001", 1)
    assert (second["headline"], second["place"], third["place"]) == ("unreadable", None, 0)


@pytest.mark.slow
def test_the_page_of_several_runs_has_an_index_whose_links_lead_to_the_reports(sweep: Path) -> None:
    rldk(str(sweep), str(sweep / "absent"), "--html", str(sweep / "all.html"))
    page = (sweep / "all.html").read_text()
    assert page.index("UNREADABLE") < page.index('<a id="run-1">')
    for place in range(1, 5):
        assert f'href="#run-{place}"' in page
        assert f'<a id="run-{place}">' in page
