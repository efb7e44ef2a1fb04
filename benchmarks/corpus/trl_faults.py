"""Faults that are planted into a Hugging Face trainer while it runs."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

LR = {"lr_zero": 0.0, "lr_jump": 40.0, "lr_high": 40.0}
LOSS = {"loss_nan": float("nan"), "grad_explode": 3000.0, "grad_vanish": 1e-7}


class Planted(TrainerCallback):
    """Breaks one thing from the step `onset` on; `trainer` is given after construction."""

    trainer: Any

    def __init__(self, fault: str, onset: int) -> None:
        self.fault, self.onset = fault, onset
        self.broken, self.kept, self.checked = False, None, False

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **kwargs: Any) -> None:
        """Switches the fault on before its first step."""
        due = state.global_step + 1 >= self.onset
        if due and not self.broken:
            self.broken = True
            self._break(kwargs["optimizer"], kwargs["lr_scheduler"])
        if due and self.fault == "ref_follows":
            _copy(self.trainer.model, self.trainer.ref_model)

    def _break(self, optimizer: Any, scheduler: Any) -> None:
        trainer = self.trainer
        match self.fault:
            case "lr_zero" | "lr_jump":
                factor = LR[self.fault]
                scheduler.base_lrs = [factor * lr for lr in scheduler.base_lrs]
                for group in optimizer.param_groups:
                    group["lr"] *= factor
                scheduler._last_lr = [group["lr"] for group in optimizer.param_groups]
            case "kl_coef_zero":
                trainer.beta = 1e-12  # exactly zero would take the KL out of the log
            case "kl_coef_huge":
                trainer.beta *= 200
            case "kl_sign":
                trainer.beta *= -1
            case "beta_huge" | "beta_tiny":
                trainer.beta *= 100 if self.fault == "beta_huge" else 0.001
            case "ref_is_policy":
                trainer.ref_model = trainer.model
            case "ref_wrong":
                _scramble(trainer.ref_model)
            case "no_eos":
                trainer.generation_config.suppress_tokens = [1]
            case "cold_sampling" | "hot_sampling":
                trainer.generation_config.temperature = 0.4 if self.fault == "cold_sampling" else 2.0
            case "top_p":
                trainer.generation_config.top_p = 0.4
            case "clip_zero" | "clip_wide":
                trainer.epsilon_low = trainer.epsilon_high = 0.0 if self.fault == "clip_zero" else 20.0
            case "entropy_negative" | "entropy_huge":
                trainer.entropy_coef = -0.3 if self.fault == "entropy_negative" else 3.0

    def on_pre_optimizer_step(self, *_: Any, **_kwargs: Any) -> None:
        """Keeps the weights of an update that must not count."""
        self.kept = None
        if self.broken and self.fault in {"no_update", "loss_nan", "lr_zero"}:
            self.kept = [p.detach().clone() for p in self.trainer.model.parameters()]

    def on_step_end(self, *_: Any, **kwargs: Any) -> None:
        """Undoes the update, or checks that there was none."""
        if self.kept is None:
            return
        for weight, kept in zip(self.trainer.model.parameters(), self.kept, strict=True):
            if self.fault == "lr_zero":
                assert weight.equal(kept), "the rate is zero, yet the weights moved"
            else:
                weight.data.copy_(kept)
        if self.fault == "loss_nan":  # as a loss scaler does: the update with bad gradients is left out
            kwargs["optimizer"].state.clear()


def _copy(source: Any, target: Any) -> None:
    for theirs, ours in zip(target.parameters(), source.parameters(), strict=True):
        theirs.data.copy_(ours.data)


def _scramble(model: Any) -> None:
    import torch

    torch.manual_seed(99)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, 0.08)


def planted(base: Any) -> Any:
    """The trainer class `base` with a place for faults of the loss and of the advantages."""

    class Broken(base):  # type: ignore[misc]
        planted: Planted

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            found = super().compute_loss(*args, **kwargs)
            fault = self.planted
            if fault.fault in LOSS and fault.broken and self.model.training:
                factor = LOSS[fault.fault]
                return (found[0] * factor, *found[1:]) if isinstance(found, tuple) else found * factor
            return found

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            made = super()._generate_and_score_completions(inputs)
            if self.planted.broken and self.planted.fault == "adv_sign":
                made["advantages"] = -made["advantages"]
            return made

    Broken.__name__ = base.__name__
    return Broken


def attach(trainer: Any, fault: Planted) -> None:
    """Introduces the trainer and its fault to each other."""
    fault.trainer = trainer
    trainer.planted = fault
    trainer.add_callback(fault)
