"""What was broken in a run, and which rule families give it its right name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

RUNAWAY = ("KL", "CLIP", "GRAD", "ENT", "OPT", "REW", "VAL", "LEN")
SAMPLING = ("OFF", "ENT", "LEN", "REW", "DATA", "ADV", "KL")

# fault -> families whose finding counts as the right name; a key with "/kind" wins for that kind of algorithm
FAMILIES: dict[str, tuple[str, ...]] = {
    "none": (),
    # the optimiser
    "lr_zero": ("OPT",), "no_update": ("OPT", "CLIP", "KL"), "lr_high": RUNAWAY, "lr_jump": RUNAWAY,
    "lr_high/preference": ("PREF", "GRAD", "OPT", "KL", "ENT", "REW"),
    "lr_high/supervised": ("GRAD", "OPT", "ENT", "MET"),
    "lr_jump/preference": ("PREF", "GRAD", "OPT", "KL", "ENT", "REW"),
    "lr_jump/supervised": ("GRAD", "OPT", "ENT", "MET"),
    "lr_high/value": ("VAL", "GRAD", "OPT", "REW"), "lr_jump/value": ("VAL", "GRAD", "OPT", "REW"),
    "grad_explode": ("GRAD",), "grad_vanish": ("GRAD", "OPT"), "loss_nan": ("GRAD", "MET", "OPT"),
    "epochs_many": ("KL", "CLIP", "OFF", "ENT", "OPT"), "batch_tiny": ("GRAD", "ADV", "REW", "DATA", "OPT"),
    "clip_zero": ("CLIP", "OPT", "KL"), "clip_wide": ("CLIP", "KL", "ENT", "GRAD"),
    "adv_sign": ("REW", "KL", "ENT", "LEN", "ADV", "OPT"),
    # the reference and the KL term
    "kl_sign": ("KL", "ENT", "CLIP"), "kl_coef_zero": ("KL",), "kl_coef_huge": ("KL", "REW"),
    "controller_stuck": ("KL",), "ref_follows": ("KL",), "ref_is_policy": ("KL", "PREF"), "ref_wrong": ("KL", "PREF"),
    # the reward
    "constant_reward": ("REW", "ADV", "OPT"), "zero_reward": ("REW", "ADV", "OPT"),
    "reward_nan": ("GRAD", "MET", "REW"),
    "reward_scale": ("REW", "VAL", "GRAD", "ADV"), "reward_noise": ("REW", "ADV", "VAL"),
    "reward_saturate": ("REW", "ADV"), "reward_sign": ("REW", "LEN", "KL"), "length_hack": ("LEN", "REW"),
    # the samples
    "no_eos": ("LEN",), "cold_sampling": SAMPLING, "hot_sampling": SAMPLING, "top_p": SAMPLING,
    "stale_rollouts": ("OFF", "CLIP"), "dropout_mismatch": ("CLIP", "OFF"), "same_prompt": ("DATA", "REW", "ADV"),
    # advantages, entropy, value
    "adv_not_centred": ("ADV",), "adv_raw": ("ADV",), "entropy_negative": ("ENT", "KL"), "entropy_huge": ("ENT", "REW"),
    "value_frozen": ("VAL",), "value_target_wrong": ("VAL",), "value_lr_zero": ("VAL", "OPT"),
    "gamma_zero": ("VAL", "REW", "ADV"),
    # preference pairs
    "labels_swapped": ("PREF", "REW", "DATA"), "labels_random": ("PREF", "REW", "DATA"),
    "beta_huge": ("PREF", "KL", "GRAD", "OPT"), "beta_tiny": ("PREF", "KL", "OPT", "REW"),
    "pairs_equal": ("PREF", "DATA", "GRAD", "OPT"), "labels_masked": ("GRAD", "DATA", "MET", "OPT"),
    # control tasks
    "target_never_updated": ("VAL", "REW"), "buffer_tiny": ("VAL", "REW", "DATA"),
    "never_learns": ("OPT", "REW", "DATA"),
    "norm_lost": ("VAL", "REW", "DATA"), "reward_unscaled": ("REW", "VAL", "GRAD"),
    "exploration_stuck": ("ENT", "REW", "OPT"), "terminal_as_timeout": ("VAL", "REW"),
    # the machine
    "memory_leak": ("SYS",), "throughput_rot": ("SYS",), "step_reset": ("MET",),
}  # fmt: skip

KIND = {
    "ppo": "ac", "a2c": "ac", "grpo": "group", "rloo": "group", "dapo": "group", "dqn": "value", "sac": "value",
    "td3": "value", "dpo": "preference", "kto": "preference", "reward_model": "preference", "sft": "supervised",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training to make: `module` of this package runs it, with `args`; what the label says of it."""

    name: str
    module: str
    framework: str
    algo: str
    args: dict[str, object]
    fault: str = "none"
    onset: int | None = None
    """The first faulty update; 1 when the fault was there from the first."""
    tolerated: tuple[str, ...] = ()
    limit_s: float = 90.0
    place: float = 0.0
    """Where in the order of making: when time is short, all kinds of run lose their last ones alike."""
    dialect: str = ""
    extra: dict[str, object] = field(default_factory=dict)

    def label(self) -> dict[str, object]:
        """The content of label.json."""
        families = FAMILIES.get(f"{self.fault}/{KIND[self.algo]}", FAMILIES[self.fault])
        head = {"fault": self.fault, "algo": self.algo, "framework": self.dialect.split("_")[0] or self.framework}
        head["dialect"] = self.dialect or self.framework
        tail = {"onset": self.onset, "families": list(families), "tolerated": list(self.tolerated)}
        return {**head, **tail, "module": self.module, "args": dict(self.args), **self.extra}


def as_row(run: Run) -> dict[str, object]:
    """One run as plain data."""
    return asdict(run)


def tolerate_cut_answers(run: dict[str, Any], shares: list[float]) -> None:
    """Lets nobody be blamed for a LEN finding where many answers are cut off, whatever else is wrong.

    `shares`: of answers cut off, by step; many: 30 % all along, or half of them over a quarter of the run."""
    families = FAMILIES.get(f"{run['fault']}/{KIND[run['algo']]}", FAMILIES[run["fault"]])
    size = max(1, len(shares) // 4)
    quarters = [median(shares[at : at + size]) for at in range(0, len(shares) - size + 1, size)]
    if shares and (median(shares) > 0.3 or max(quarters) > 0.5) and "LEN" not in families:
        run["extra"]["tolerated"] = [*run["tolerated"], "LEN"]
