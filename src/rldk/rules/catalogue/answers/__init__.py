"""Rules on the answers of an evaluation (`rules.answers_view`), for `rldk evals evaluate`."""

from rldk.rules.catalogue.answers import evaluation, evaluation_noise, evaluation_results

__all__ = ["evaluation", "evaluation_noise", "evaluation_results"]
