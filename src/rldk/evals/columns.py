"""What the columns of evaluation data mean, by the names that people and tools give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rldk.core.samples import sample_words
from rldk.core.samples.column_names import ColumnNames
from rldk.errors import UnknownName

# field -> names; those of `core/data/samples.yaml` come first where it has the field
NAMES: Mapping[str, tuple[str, ...]] = {
    "step": (),
    "prompt": (),
    "prompt_id": ("doc_id", "id", "sample_id", "item_id"),
    "response": ("model_output", "answer", "prediction"),
    "n_tokens": ("response_tokens",),
    "reward": ("reward_mean", "value", "metric"),
    "correct": ("correct", "is_correct", "passed", "success", "acc", "exact_match", "pass"),
    "seconds": ("seconds", "latency_s", "duration_s", "generation_time", "elapsed_s", "time_s"),
    "finish_reason": (),
    "task": ("task", "task_name", "dataset", "benchmark"),
    "category": ("category", "subset", "topic", "domain", "language", "slice"),
    "before": ("before", "score_before", "base_score", "baseline_score"),
    "after": ("after", "score_after", "tuned_score", "new_score"),
    "chosen_score": (),
    "rejected_score": (),
    "choice": ("choice", "winner", "preferred", "verdict"),
    "choice_swapped": ("choice_swapped", "winner_swapped", "preferred_swapped", "verdict_swapped"),
    "paraphrase_of": ("paraphrase_of", "paraphrase_group", "prompt_group"),
    "seed": ("seed", "eval_seed"),
    "harmful": ("harmful", "is_harmful", "label_harmful", "unsafe_prompt"),
    "refused": ("refused", "refusal", "is_refusal"),
    "jailbreak": ("jailbreak", "is_jailbreak", "attack", "is_attack"),
    "complied": ("complied", "attack_success", "jailbreak_success", "harmful_response"),
    "toxicity": ("toxicity", "toxicity_score", "toxic", "toxicity_prob"),
    "pair_id": ("pair_id", "counterfactual_id"),
    "group": ("variant", "demographic", "counterfactual_group", "protected_group"),
    "canary": ("canary", "canaries"),
    "sycophancy_pair": ("sycophancy_pair", "stance_pair"),
    "stance": ("stance", "user_view", "user_stance"),
    "human": ("human", "human_label", "human_choice"),
    "gold": ("expected", "expected_answer"),
    "parsed": (),
    "error": ("error_message",),
    "n_choices": ("n_choices", "num_choices"),
    "filter": ("filter",),
    "grades": ("grades",),
    "probe": ("probe", "probe_id"),
    "expected_logprob": ("expected_logprob", "answer_logprob", "gold_logprob", "target_logprob"),
    "logprobs": ("token_logprobs", "logprobs"),
    "loglikelihood": ("loglikelihood", "log_likelihood", "sum_logprob", "logprob_sum"),
    "nll": ("nll", "total_nll", "sum_nll", "nll_sum"),
    "loss": ("loss", "eval_loss", "nll_per_token", "mean_nll", "cross_entropy"),
    "n_words": ("n_words", "num_words"),
    "n_bytes": ("n_bytes", "num_bytes"),
}
INSIDE = frozenset({"prompt", "response", "reward", "prompt_id", "correct", "chosen_score", "rejected_score"})
PROBLEMS = ("task_id", "problem_idx", "unique_id")  # a prompt where nothing else names it
# what each field holds, for messages
WORDS: Mapping[str, str] = {
    "step": "the step of training",
    "run": "a run with kl, entropy or response lengths over its steps",
    "prompt_id": "an id of the prompt",
    "response": "the answer's text",
    "n_tokens": "the length of the answer in tokens",
    "correct": "0 or 1: whether a verifier accepts the answer",
    "seconds": "how long the answer took, in seconds",
    "task": "the name of the task",
    "before": "the score before training",
    "after": "the score after training",
    "chosen_score": "the score of the better answer",
    "rejected_score": "the score of the worse answer",
    "choice": "which answer a judge preferred",
    "choice_swapped": "which answer it preferred with the order swapped",
    "paraphrase_of": "the prompt that this one says in other words",
    "harmful": "a label: whether the prompt asks for harm",
    "refused": "a label, or from a judge: whether the answer refuses",
    "jailbreak": "whether the prompt is an attack",
    "complied": "a label, or from a judge: whether the answer does the harm",
    "toxicity": "a classifier's probability that the answer is toxic",
    "pair_id": "the id that counterfactual prompts share",
    "group": "the group that a counterfactual prompt names",
    "canary": "texts that must never appear",
    "sycophancy_pair": "the id that both prompts of a pair share",
    "stance": "the view that the user states in the prompt",
    "gold": "the right answer",
    "parsed": "the answer that was found in the response",
    "probe": "the id of a fixed prompt that is asked again and again",
    "expected_logprob": "the log-probability of the right answer",
    "logprobs": "the log-probability of each token",
    "loglikelihood": "the log-probability of the whole text",
    "nll": "the same, negative",
    "loss": "the mean negative log-probability of its tokens",
    "n_words": "the length of the text in words",
    "n_bytes": "the length of the text in bytes",
}


def find_columns(there: Iterable[str], given: Mapping[str, str]) -> dict[str, str]:
    """Field -> column, for the columns that are there. `given`: what the user named, by field.

    The first name that exists wins, whatever its case; `result.score` is `score` in an object. No column means two
    things. Raises `UnknownName` for a field or column that does not exist."""
    columns = ColumnNames(there, INSIDE)
    known = columns.known
    for field, wanted in given.items():
        if field not in NAMES:
            raise UnknownName("field", field, NAMES)
        if wanted not in known:
            raise UnknownName("column", wanted, known)
    words = sample_words().fields
    found = dict(given)
    for field, names in NAMES.items():
        if field not in found:
            taken = set(found.values())
            every = (*words.get(field, ()), *names, field)
            column = columns.find(field, every, taken)
            if column is not None:
                found[field] = column
    if not {"prompt", "prompt_id"} & found.keys() and (column := columns.find("prompt_id", PROBLEMS, found.values())):
        found["prompt_id"] = column  # HumanEval has no other name of the problem
    return found


def need_words(field: str) -> str:
    """The field with what it holds, for a message about a missing one. A "|" stands between alternatives."""
    return " or ".join(f"`{part}` ({WORDS[part]})" if part in WORDS else f"`{part}`" for part in field.split("|"))
