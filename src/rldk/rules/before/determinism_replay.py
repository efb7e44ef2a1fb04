"""DET: what `rldk replay` sees when a recorded run is run again."""

from __future__ import annotations

from functools import partial

from rldk.core.model import Severity
from rldk.rules.audit import difference_words
from rldk.rules.replays import ReplayView
from rldk.rules.rule import Signal, rule

_replay_rule = partial(rule, tier=0, data="2", subject="replay")
_NAMED = 5  # things that a message names


def _names(found: list[str]) -> str:
    more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more


@_replay_rule(
    "DET080",
    "replay-differs",
    severity="critical",
    needs=("compared",),
    causes=(
        "the program does not give the same numbers each time",
        "packages, machine or data are not those of the original",
        "the original was recorded with code that the record does not hold whole",
    ),
    fixes=(
        "run `rldk check-determinism` on the same command: it says whether the program repeats itself at all",
        "build the recorded packages with --build-env, and compare again",
    ),
)
def replay_differs(replay: ReplayView) -> Signal | None:
    """Fires when a replay of a recorded run logs other numbers than the run itself.

    Why it matters: A result that cannot be repeated from its record cannot be defended, and nobody can bisect it.
    How it is computed: The metrics of both are compared step by step. A value differs when it is apart by more than the
    tolerance, as a share of the larger one. Steps or metrics that only one side has count as a difference.
    When it is wrong: With a tolerance of 0, kernels that add in another order are enough to differ; the classification
    then says that the difference began with rounding. Differences of rounding that do not grow are a warning.
    Source: section 8 of the specification; the classes are those of `rldk check-determinism`. An identity: the same
    program on the same input.
    """
    if not replay.beyond and not replay.missing:
        return None
    severity: Severity = "warn" if replay.classification == "numerically close" else "critical"
    if replay.beyond:
        metric, step = min(replay.beyond, key=lambda one: one[1])
        message = f"the replay differs from the original from step {step:,} on, first in {metric}"
        more = len(replay.beyond) - 1
        message += f" ({more} more metric{'s' if more > 1 else ''} differ{'' if more > 1 else 's'})" if more else ""
    else:
        metric, step = replay.missing[0], None
        message = f"the replay and the original did not log {_names(list(replay.missing))} at the same steps"
    evidence = {"classification": replay.classification, "beyond": dict(replay.beyond)}
    return Signal(
        value=replay.share, limit=replay.tolerance, metric=metric, message=message, step=step, severity=severity,
        evidence=evidence,
    )  # fmt: skip


@_replay_rule(
    "DET081",
    "replay-with-other-packages",
    severity="warn",
    needs=("drift",),
    causes=("packages were upgraded since the run", "the replay runs in another environment"),
    fixes=("build the recorded packages with --build-env", "install the recorded versions by hand"),
)
def replay_with_other_packages(replay: ReplayView) -> Signal | None:
    """Fires when Python or packages of a replay are not those that the record of the run names.

    Why it matters: Another version of a trainer, a tokenizer or a numerical library changes results without any change
    of the code. A replay that differs then says nothing about the program.
    How it is computed: The versions in `run.json` are compared with those of the interpreter that the command starts
    with. Packages that only one of both has count, too.
    When it is wrong: Most packages do not matter to the training.
    Source: OpenRLHF#1108, where two versions of vLLM gave other rewards (F95 of the rule catalogue).
    """
    if not replay.drift:
        return None
    message = f"packages differ from those of the original: {difference_words(list(replay.drift))}"
    evidence = {"differences": [{"name": d.name, "recorded": d.locked, "now": d.now} for d in replay.drift]}
    value = float(len(replay.drift))
    return Signal(value=value, limit=0.0, metric=replay.drift[0].name, message=message, evidence=evidence)


@_replay_rule(
    "DET082",
    "replay-on-other-inputs",
    severity="critical",
    needs=("inputs",),
    causes=("the data or the weights were changed in place", "a file of the same name holds something else"),
    fixes=("bring the recorded data back, or say where it is with --at NAME=PATH", "`rldk verify RUN` names the rows"),
)
def replay_on_other_inputs(replay: ReplayView) -> Signal | None:
    """Fires when data, weights or a tokenizer that the run has read are no longer what was recorded.

    Why it matters: A replay on other data is another experiment. Whatever it shows, it proves nothing about the record.
    How it is computed: Each input whose place is known is hashed again and compared with the digest in `run.json`.
    When it is wrong: The program may not read that input any more.
    Source: section 3 of the notes on replay: digests of inputs are verified before the command runs.
    """
    changed = [f"{one.part} {one.name}" for one in replay.inputs if one.status == "failed"]
    if not changed:
        return None
    message = f"{_names(changed)} {'are' if len(changed) > 1 else 'is'} not what was recorded"
    return Signal(value=float(len(changed)), limit=0.0, metric="inputs", message=message, evidence={"changed": changed})


@_replay_rule(
    "DET083",
    "replay-of-incomplete-code",
    severity="warn",
    needs=("lacking",),
    causes=("secrets were taken out of the recorded changes", "files were too large to be kept, or are elsewhere"),
    fixes=("commit what a run needs before it starts", "put the missing files back by hand: `rldk restore RUN`"),
)
def replay_of_incomplete_code(replay: ReplayView) -> Signal | None:
    """Fires when the record of a run does not hold all of the code that ran.

    Why it matters: The replay then runs another program than the original did, at least in these files.
    How it is computed: The record lists files of no commit whose content it does not keep, secrets that were taken out
    of the changes, submodules, and files that Git LFS keeps.
    When it is wrong: The files may have nothing to do with the training.
    Source: section 3 of the notes on replay: what fails in practice.
    """
    if not replay.lacking:
        return None
    message = f"the record does not hold all of the code: {_names(list(replay.lacking))}"
    evidence = {"lacking": list(replay.lacking)}
    return Signal(value=float(len(replay.lacking)), limit=0.0, metric="code", message=message, evidence=evidence)
