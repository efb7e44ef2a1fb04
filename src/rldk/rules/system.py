"""SYS: what the clock says."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, rule

WAITING_SHARE = 0.9


@rule(
    "SYS007",
    "step-is-nearly-all-generation",
    severity="info",
    tier=1,
    needs=("generation_time", "step_time"),
    rows=3,
    causes=(
        "a few very long responses hold up the whole batch",
        "too few or too small generation engines for the trainer",
    ),
    fixes=(
        "cap or spread the response lengths: {max_new_tokens}",
        "give {rollout_engine} more accelerators, or overlap generation and training: {staleness}",
    ),
)
def step_is_nearly_all_generation(f: Frame) -> Signal | None:
    """Fires when generating takes more than 90 % of the step over 20 rows: accelerators that train mostly wait.

    Why it matters: it costs money, not correctness.
    How it is computed: the median generation time over 20 rows divided by the median step time, where the step time
    can hold it (a step time that leaves generation out is smaller).
    When it is wrong: when generation and training share the same accelerators by design; then nothing waits.
    Source: OpenRLHF's README gives about 80 % for generation as usual; the 90 % is ours.
    """
    generation, step = f.median("generation_time", 20), f.median("step_time", 20)
    if WAITING_SHARE * step < generation <= step:
        share = generation / step
        return Signal(
            value=share,
            limit=WAITING_SHARE,
            metric="generation_time",
            message=f"generation takes {100 * share:.0f} % of the step time",
        )
    return None
