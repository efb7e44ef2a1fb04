"""Tries a reward function out: on gold and wrong answers, and on completions that a policy will produce one day."""

from __future__ import annotations

import inspect
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from rldk.preflight.rows import RowSet, is_empty, is_messages, plain_text
from rldk.rules.setup import RewardFacts, RewardTrial

ROWS = 8  # rows whose answers are tried
LIMIT_S = 10.0  # for one call
LONG = 50_000  # characters of the very long completion
ODD = "\\boxed{{{ \x00\u202e\ud7ff ```python\n</answer><answer> 1/0 $$"
FORMS = (
    "{}",
    "The answer is {}.",
    "\\boxed{{{}}}",
    "#### {}",
    "<think>\nLet us see.\n</think>\n<answer>{}</answer>",
    "<think>\nLet us see.\n</think>\n<answer>\n\\boxed{{{}}}\n</answer>",
)
_GROUP_NAMES = ("completions", "responses", "solutions", "outputs", "texts")


class Call(Struct, frozen=True, kw_only=True):
    """One completion to score, with the prompt and the columns of its row."""

    kind: str
    prompt: Any
    completion: Any
    row: Mapping[str, Any]


class RewardCaller:
    """A reward function behind one interface: a list of calls goes in, a list of scores comes out.

    It takes functions of TRL (`completions`, columns by name), of verl (`solution_str`, `ground_truth`) and of OpenRLHF
    (`queries`, `prompts`, `labels`)."""

    def __init__(self, function: Callable[..., Any], answer: str, more: Mapping[str, Any]) -> None:
        self.name = str(getattr(function, "__name__", None) or type(function).__name__)
        self.one_by_one = False
        self._function, self._answer, self._more = function, answer, more
        self._takes, self._any = _parameters(function)
        self.one_by_one = "solution_str" in self._takes

    def __call__(self, calls: Sequence[Call]) -> Any:
        if self.one_by_one:
            return [self._verl(call) for call in calls]
        found = self._function(**self._arguments(calls)) if self._named() else self._function(self._texts(calls))
        return found.get("rewards", found.get("scores")) if isinstance(found, Mapping) else found

    def _named(self) -> bool:
        return self._any or any(name in self._takes for name in (*_GROUP_NAMES, "prompts", "queries"))

    def _texts(self, calls: Sequence[Call]) -> list[Any]:
        return [call.completion for call in calls]

    def _arguments(self, calls: Sequence[Call]) -> dict[str, Any]:
        group = next((name for name in _GROUP_NAMES if name in self._takes), "completions")
        columns = {key: [call.row.get(key) for call in calls] for key in calls[0].row}
        answers = [_answer_of(call.row, self._answer) for call in calls]
        given: dict[str, Any] = {
            **columns,
            "prompts": [call.prompt for call in calls],
            group: self._texts(calls),
            "queries": [f"{plain_text(call.prompt)}{plain_text(call.completion)}" for call in calls],
            "labels": answers,
            "completion_ids": [[0] for _ in calls],
            "trainer_state": None,
            "log_extra": lambda *_, **__: None,
            "log_metric": lambda *_, **__: None,
            **self._more,
        }
        for unused in ("queries", "labels"):
            if unused not in self._takes:
                given.pop(unused)
        return given if self._any else {name: given[name] for name in given if name in self._takes}

    def _verl(self, call: Call) -> Any:
        given = {
            "data_source": call.row.get("data_source", "preflight"),
            "solution_str": plain_text(call.completion) if is_messages(call.completion) else call.completion,
            "ground_truth": _answer_of(call.row, self._answer),
            "extra_info": call.row.get("extra_info"),
            **self._more,
        }
        found = self._function(**{k: v for k, v in given.items() if self._any or k in self._takes})
        return found.get("score") if isinstance(found, Mapping) else found


def reward_facts(
    function: Callable[..., Any],
    rows: RowSet | None,
    *,
    more: Mapping[str, Any] | None = None,
    limit_s: float = LIMIT_S,
) -> RewardFacts:
    """What the function answers. `more`: further arguments that it needs. `limit_s`: the time limit of one call."""
    answer = "" if rows is None else rows.answer
    caller = RewardCaller(function, answer, more or {})
    trials: list[RewardTrial] = []
    changed: list[str] = []
    gold, ordinary = _ordinary(rows)
    for calls in gold:
        tried = _best([_trial(caller, call, limit_s) for call in calls])
        trials.append(tried)
        if tried.fault == "slow":
            break
    for call in (*ordinary, *_adversarial(rows)):
        if any(trial.fault == "slow" for trial in trials):
            break
        trials.append(_trial(caller, call, limit_s))
    if not any(trial.fault for trial in trials):
        again = [calls[0] for calls in gold[:2]] + ordinary[:2]
        changed = _changed(caller, again, limit_s)
        trials.append(_batch(caller, [calls[0] for calls in gold] + ordinary, limit_s))
    seconds = max((trial.seconds for trial in trials), default=0.0)
    return RewardFacts(name=caller.name, trials=tuple(trials), changed=tuple(changed), seconds=seconds, answers=answer)


def _ordinary(rows: RowSet | None) -> tuple[list[list[Call]], list[Call]]:
    """For some rows, the gold answer in every form; and completions with wrong answers, in every form."""
    if rows is None or not rows.rows:
        return [], [_call("real", "What is 6 x 7?", "The answer is 42.", {})]
    some = [row for row in rows.rows[:200] if not is_empty(_answer_of(row, rows.answer))][:ROWS]
    if not rows.answer or not some:
        return [], [_call("real", _prompt(row, rows), "The answer is 42.", row) for row in rows.rows[:ROWS]]
    answers = [_final(_answer_of(row, rows.answer)) for row in some]
    gold = [
        [_call("gold", _prompt(row, rows), form.format(answer), row) for form in _forms(row, rows, answer)]
        for row, answer in zip(some, answers, strict=True)
    ]
    wrong = []
    for place, (row, answer) in enumerate(zip(some, answers, strict=True)):
        other = next((a for a in (*answers[place + 1 :], *answers[:place]) if a != answer), f"not {answer}")
        wrong += [_call("wrong", _prompt(row, rows), form.format(other), row) for form in FORMS[1:5:3]]
    everything = " ".join(dict.fromkeys(answers))
    if len(set(answers)) > 1:
        wrong += [_call("all answers", _prompt(row, rows), everything, row) for row in some[:2]]
    return gold, wrong


def _forms(row: Mapping[str, Any], rows: RowSet, answer: str) -> list[str]:
    """The forms of a gold completion; the whole text of the column is one where it is more than the final answer."""
    whole = str(_answer_of(row, rows.answer))
    more = [] if whole == answer else [whole.replace("{", "{{").replace("}", "}}")]
    return [*FORMS, *more]


def _adversarial(rows: RowSet | None) -> list[Call]:
    row: Mapping[str, Any] = rows.rows[0] if rows is not None and rows.rows else {}
    prompt = _prompt(row, rows) if rows is not None and row else "What is 6 x 7?"
    answer = "42" if rows is None or not rows.answer else _final(_answer_of(row, rows.answer))
    cut = FORMS[4].format(answer)
    texts = {
        "an empty completion": "",
        "a blank completion": " \n",
        "a cut completion": cut[: len(cut) // 2],
        "a very long completion": ("so " * LONG)[:LONG] + answer,
        "odd characters": ODD,
    }
    names = {"an empty completion": "empty"}
    return [_call(names.get(kind, kind), prompt, text, row) for kind, text in texts.items()]


def _call(kind: str, prompt: Any, text: str, row: Mapping[str, Any]) -> Call:
    completion: Any = [{"role": "assistant", "content": text}] if is_messages(prompt) else text
    return Call(kind=kind, prompt=prompt, completion=completion, row=row)


def _prompt(row: Mapping[str, Any], rows: RowSet) -> Any:
    from rldk.preflight.rows import value

    return value(row, rows.prompt) if rows.prompt else ""


def _answer_of(row: Mapping[str, Any], column: str) -> Any:
    from rldk.preflight.rows import value

    return value(row, column) if column else None


def _final(answer: Any) -> str:
    """The final answer in a column that may hold a whole solution: after "####" or in the last \\boxed{}."""
    text = str(answer[0] if isinstance(answer, list | tuple) and answer else answer).strip()
    if "####" in text:
        return text.rpartition("####")[2].strip()
    _, boxed, rest = text.rpartition("\\boxed{")
    return rest.partition("}")[0].strip() if boxed else text


def _best(trials: Sequence[RewardTrial]) -> RewardTrial:
    """The trial with the highest score; one that raised where there is one."""
    broken = next((trial for trial in trials if trial.fault not in ("", "none")), None)
    return broken or max(trials, key=lambda trial: -math.inf if trial.score is None else trial.score)


def _trial(caller: RewardCaller, call: Call, limit_s: float) -> RewardTrial:
    found, error, seconds = timed(lambda: caller([call]), limit_s)
    if error:
        fault = "slow" if error == "slow" else "raises"
        return RewardTrial(kind=call.kind, fault=fault, detail=error, seconds=seconds)
    score, fault, detail = _score(found, 1)
    return RewardTrial(kind=call.kind, score=score, fault=fault, detail=detail, seconds=seconds)


def _batch(caller: RewardCaller, calls: Sequence[Call], limit_s: float) -> RewardTrial:
    """All ordinary completions in one call: it must give as many scores."""
    if not calls:
        return RewardTrial(kind="a batch")
    kind = f"a batch of {len(calls)}"
    found, error, seconds = timed(lambda: caller(calls), limit_s * 2)
    if error:
        fault = "slow" if error == "slow" else "raises"
        return RewardTrial(kind=kind, fault=fault, detail=error, seconds=seconds / len(calls))
    _, fault, detail = _score(found, len(calls))
    return RewardTrial(kind=kind, fault=fault if fault != "none" else "", detail=detail, seconds=seconds / len(calls))


def _changed(caller: RewardCaller, calls: Sequence[Call], limit_s: float) -> list[str]:
    kinds = []
    for call in calls:
        first, second = _trial(caller, call, limit_s), _trial(caller, call, limit_s)
        if first.score is not None and second.score is not None and first.score != second.score:
            kinds.append(call.kind)
    return list(dict.fromkeys(kinds))


def _score(found: Any, count: int) -> tuple[float | None, str, str]:
    """The first score, and what is wrong with the result."""
    plain = found.tolist() if hasattr(found, "tolist") else found
    if plain is None and count == 1:
        return None, "length", "None instead of a list"
    if not isinstance(plain, list | tuple):
        return None, "length", f"a {type(plain).__name__} instead of a list"
    if len(plain) != count:
        return None, "length", f"{len(plain)} scores for {count}"
    first = plain[0]
    first = first.item() if hasattr(first, "item") else first
    if first is None:
        return None, "none", "None"
    if not isinstance(first, int | float):
        return None, "type", f"a {type(first).__name__} ({str(first)[:20]!r})"
    if not math.isfinite(first):
        return None, "nan", str(float(first))
    return float(first), "", ""


def timed(work: Callable[[], Any], limit_s: float) -> tuple[Any, str, float]:
    """The result, the error in words ("" without one, "slow" past the time limit), and the seconds it took.

    A call that is past its limit goes on in a thread of its own, which ends with the process."""
    box: dict[str, Any] = {}

    def run() -> None:
        try:
            box["found"] = work()
        except BaseException as error:  # noqa: BLE001 - the user's function may raise anything, and exit as well
            box["error"] = f"{type(error).__name__}: {str(error)[:100]}".rstrip(": ")

    thread = threading.Thread(target=run, daemon=True)
    began = time.perf_counter()
    thread.start()
    thread.join(limit_s)
    seconds = time.perf_counter() - began
    if thread.is_alive():
        return None, "slow", seconds
    return box.get("found"), box.get("error", ""), seconds


def _parameters(function: Callable[..., Any]) -> tuple[frozenset[str], bool]:
    """The names of the parameters, and whether further ones are taken by name."""
    try:
        known = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return frozenset(), True
    open_ended = any(p.kind is p.VAR_KEYWORD for p in known.values())
    return frozenset(known), open_ended
