"""SYS: what clocks and memory say about a run."""

from __future__ import annotations

import math

from rldk.rules.knobs import number
from rldk.rules.rule import Frame, Signal, rule

WAITING_SHARE = 0.9
STALL_FACTOR = 5.0
STALL_S = 600.0
HANG_FACTOR = 20.0
HANG_S = 1800.0
FAR = 4.0  # times the time: more than a neighbour was seen to cost
ROT = 1.3  # of time a token, newest 20 rows against those 60 rows earlier
PACE_KEPT = 0.85  # of the older half of a rise, by its newer half: less is levelling off
LEAK_ROWS = 11
PACE_ROWS = 40
SLOW_ROWS = 44
TOTAL_MEMORY = ("memory_total_gb", "gpu_memory_total_gb", "gpu_memory_gb", "host_memory_gb")


@rule(
    "SYS001",
    "stall",
    severity="warn",
    tier=2,
    needs=("row_interval_s",),
    causes=(
        "a collective or a rollout request waited for its time-out (a lost worker, a full queue)",
        "the file system or the logger blocked, or the machine was suspended",
        "the job was stopped and resumed exactly where it was",
    ),
    fixes=(
        "look at what every rank was doing then: py-spy dump, NCCL_DEBUG=INFO, the log of {rollout_engine}",
        "if it was a checkpoint or an evaluation, it dominates the cost: {save_steps}, {eval_steps}",
    ),
)
def stall(f: Frame) -> Signal | None:
    """Fires when a row came far later than the rows of this run usually do.

    Why it matters: A hang that ended by itself (a time-out, a retry) comes again, and every accelerator waits for it.
    How it is computed: The time since the row before, of training or evaluation, is above 10 minutes and above 5 times
    the 99th percentile of the run's own last 200 intervals (20 at least). This is information, because the run went on
    and a checkpoint may have taken that long. It is a warning above 30 minutes and 20 times the 90th percentile when
    that has happened before in this run. A row that stands for more steps than the others may take as many times
    longer. The rule does not look at the first row of a restarted run. While nothing comes at all there is no row to
    look at: `rldk monitor` ends with its idle time-out.
    When it is wrong: A resume that goes on at the very next step looks like a stall.
    Source: 10 minutes and 5 times come from the hangs of verl#1696, #3464, #7180 and wandb#8592; the 99th percentile is
    taken because step times have heavy tails. 30 minutes is the default time-out of torch.distributed (10 for NCCL),
    after which a lost collective ends; 20 times is our own choice. One such gap alone was a machine that slept, in
    public logs of agents that went on to learn. Not measured: the corpus has no such fault; no alarm on the healthy
    fixture logs with times.
    """
    interval, usual, since = f["row_interval_s"], f.quantile("row_interval_s", 0.99), f.repeats("segment")
    rows, advance, all_ = f.count("step"), f.rise("step"), f["step"] - f.first("step")
    before, typical = f.highest("row_interval_s", before=1), f.quantile("row_interval_s", 0.9)
    stride = advance * (rows - 1) / all_ if all_ > 0 else math.nan
    if stride > 1:  # a row that stands for more steps than the others may take so many times as long
        usual, typical = usual * stride, typical * stride
    hang = max(HANG_S, HANG_FACTOR * typical)
    hung = interval > hang and before > hang  # the first one has become the 99th percentile by then
    if not (interval > STALL_S and (interval > STALL_FACTOR * usual or hung) and since > 1):
        return None
    message = f"no row came for {interval / 60:.0f} minutes; 90 % of the intervals before were below {typical:.3g} s"
    limit = max(STALL_FACTOR * usual, STALL_S)
    return Signal(value=interval, limit=limit, message=message, severity="warn" if hung else "info")


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else math.nan


def _cost(f: Frame, lag: int) -> float:
    """The median seconds per token (per step, where tokens are not known) of the 20 rows that ended `lag` rows ago."""
    time, tokens = f.median("step_time", 20, before=lag), f.median("tokens_step", 20, before=lag)
    length = f.median("response_length_mean", 20, before=lag)
    size = tokens if tokens > 0 else length
    return time / size if size > 0 else time


@rule(
    "SYS002",
    "throughput-rot",
    severity="warn",
    tier=3,
    needs=("step_time",),
    rows=5,
    causes=(
        "something grows with every step: a list of tensors, a log, a cache, the history that is attached to samples",
        "memory is nearly full, so that the allocator or the swap file works instead of the model",
        "another job runs on the same machine (then the time goes back)",
    ),
    fixes=(
        "profile one step now and one after a restart; what differs is what grows",
        "detach what is kept for logging, and empty it: {log_steps}",
        "check the data loader's workers: {dataloader}",
    ),
)
def throughput_rot(f: Frame) -> Signal | None:
    """Fires when the same work takes longer and longer, and memory grows with it.

    Why it matters: A run that slows down by a third does not end when it should, and often dies before.
    How it is computed: The rule takes the median time per token (of responses or of a step, whichever is logged). It
    rose in each of three consecutive stretches of 20 rows by 5 % and by 30 % in all, and the time of a step rose by 30
    % in all, too. It is a warning only when tokens are known and either the memory of host or accelerator rose by 5 %
    over the same rows or the time is four times what it was. Otherwise it is information, because a busy neighbour on
    the machine looks the same.
    When it is wrong: The machine may be shared, or longer prompts, which are not in the count, may cost the time.
    Source: 30 % (F97 of the rule catalogue). The witness is there because a neighbour doubled and tripled the step time
    of healthy runs of faultbench for dozens of rows. Three stretches, 5 % and four times are our own choice. No warning
    on 44 healthy runs of faultbench and 180 healthy small trainings, information on 3 of these (on a shared machine).
    """
    pace, pace_before = f.median("step_time", 20), f.median("step_time", 20, before=60)
    if pace <= ROT * pace_before:  # nearly always so; never while there are too few rows
        return None
    now, before, earlier, first = (_cost(f, lag) for lag in (0, 20, 40, 60))
    grown = [_ratio(f.median(m, 20), f.median(m, 20, before=60)) for m in ("memory_cpu_gb", "memory_peak_gb")]
    sized = f.median("tokens_step", 20) > 0 or f.median("response_length_mean", 20) > 0
    rising = now > 1.05 * before and before > 1.05 * earlier and earlier > 1.05 * first
    if not (rising and pace > ROT * pace_before and now > ROT * first):
        return None
    leaking = any(g > 1.05 for g in grown)
    message = f"a step takes {now / first:.2f}x as long for the same work as it did 60 rows ago"
    return Signal(
        value=now / first,
        limit=ROT,
        message=message + (", and memory grows with it" if leaking else ""),
        severity="warn" if sized and (leaking or now > FAR * first) else "info",
    )


@rule(
    "SYS008",
    "pace-stays-worse",
    severity="warn",
    tier=2,
    each=("step_time", "tokens_per_sec"),
    rows=3,
    cooldown=50,
    causes=(
        "the machine, its clock or its network changed: throttling, a lost device, another link",
        "a cache, a compiled graph or a data loader no longer works as it did",
        "another job has come to stay on the same machine",
    ),
    fixes=("compare one step now with one after a restart", "look at clocks and temperatures of all devices"),
)
def pace_stays_worse(f: Frame) -> Signal | None:
    """Fires when a step takes three times as long as it used to, and has done so for 40 rows without a break.

    Why it matters: A neighbour slows a machine down now and then, but what lasts so long belongs to the run.
    How it is computed: All of the newest 40 rows are slower than twice the median of the run's own past (20 rows at
    least), and their median is slower than three times that median, while responses and tokens of a step did not grow
    by half.
    When it is wrong: Prompts may have become longer where they are not in the count of tokens.
    Source: Our own choice. Busy neighbours doubled and tripled the step times of healthy runs for dozens of rows
    (SYS002), hence three times, and every one of 40 rows.
    """
    name = f.metric
    slow = name == "step_time"
    usual, past = f.median(name, PACE_ROWS), f.past(name, before=PACE_ROWS + 5, least=20)
    best = f.min(name, PACE_ROWS) if slow else f.max(name, PACE_ROWS)
    work = [
        _ratio(f.median(m, PACE_ROWS), f.past(m, before=PACE_ROWS + 5, least=20))
        for m in ("tokens_step", "response_length_mean")
    ]
    worse = best > 2 * past and usual > 3 * past if slow else best < past / 2 and usual < past / 3
    if worse and past > 0 and not any(w > 1.5 for w in work):
        message = f"{name} has been {usual:.3g} for {PACE_ROWS} rows; it was {past:.3g} before"
        return Signal(value=usual, limit=3 * past if slow else past / 3, message=message)
    return None


@rule(
    "SYS005",
    "memory-leak",
    severity="warn",
    tier=2,
    each=("memory_cpu_gb", "memory_peak_gb"),
    rows=3,
    causes=(
        "tensors are kept for logging with their graph (a loss or a metric was not detached)",
        "rollouts, completions or replay are appended and never dropped",
        "data-loader workers, caches or compiled graphs grow with every new shape",
    ),
    fixes=(
        "detach and convert what is logged (`.item()`), and bound every list that lives longer than a step",
        "compare two memory snapshots 20 steps apart (torch.cuda.memory._dump_snapshot, tracemalloc)",
        "until then, checkpoint often enough to restart before memory is full: {save_steps}, {dataloader}",
    ),
)
def memory_leak(f: Frame) -> Signal | None:
    """Fires when memory rises on nearly every row and does not level off.

    Why it matters: The run will be killed, at a moment that the system chooses.
    How it is computed: From the 20th row on, memory rose on 10 of the last 11 rows and by 5 % over them, or on 40 of
    the last 44 and by 10 %. In the newer half of them it rose at 85 % of the pace of the older half or faster.
    Responses or tokens did not grow by half as much over the same rows. Three such rows in a row are needed. The
    message says when memory is full, where the configuration tells how much there is.
    When it is wrong: Caches may fill over a long first epoch and then stop. Peak memory grows with the longest batch,
    which the length of an average response need not show.
    Source: 10 of 11 rows, 5 % and a rise that does not flatten were measured on small trainings (4 of 4 leaks, none of
    86 healthy runs). The slow form and the condition on length are our own choice, and so are 85 % and three rows: at
    half the pace, caches that fill exponentially over 15 rows fired in all of 100 simulated runs.
    """
    name, n = f.metric, f.count(f.metric)
    for rows, least, growth in ((LEAK_ROWS, 10, 1.05), (SLOW_ROWS, 40, 1.1)):
        signal = _climb(f, name, rows, least, growth)
        if signal is not None and n >= 20:
            return signal
    return None


def _climb(f: Frame, name: str, rows: int, least: int, growth: float) -> Signal | None:
    climbs = f.climbs(name, rows)
    if climbs < least:  # nearly always so; never while there are too few rows
        return None
    now, half, start = f[name], f.previous(name, rows // 2), f.previous(name, rows)
    work = [_ratio(f.median(m, 5), f.median(m, 5, before=rows)) for m in ("tokens_step", "response_length_mean")]
    total, step, then = number(f.config(*TOTAL_MEMORY)), f["step"], f.previous("step", rows)
    newer = rows // 2
    flattening = (now - half) * (rows - newer) < PACE_KEPT * (half - start) * newer
    if not (climbs >= least and now > growth * start > 0) or flattening:
        return None
    if any(w - 1 > 0.5 * (now / start - 1) for w in work):
        return None
    message = f"memory rose on {climbs:.0f} of {rows} rows, by {100 * (now / start - 1):.0f} % to {now:.3g} GB"
    if total > now and step > then:
        left = (total - now) * (step - then) / (now - start)
        message += f"; its {total:.3g} GB are full in about {left:,.0f} steps"
    return Signal(value=now, limit=growth * start, message=message)


@rule(
    "SYS007",
    "step-is-nearly-all-generation",
    severity="info",
    tier=1,
    needs=("generation_time", "step_time"),
    rows=3,
    causes=(
        "a few very long responses hold up the whole batch",
        "generation engines are too few or too small for the trainer",
    ),
    fixes=(
        "cap or spread the response lengths: {max_new_tokens}",
        "give {rollout_engine} more accelerators, or overlap generation and training: {staleness}",
    ),
)
def step_is_nearly_all_generation(f: Frame) -> Signal | None:
    """Fires when generation takes more than 90 % of the step over 20 rows, so that training accelerators mostly wait.

    Why it matters: This costs money, not correctness.
    How it is computed: The rule divides the median generation time over 20 rows by the median step time, where the step
    time is the larger one (otherwise it leaves generation out).
    When it is wrong: Generation and training may share the same accelerators by design; then nothing waits.
    Source: OpenRLHF's README gives about 80 % for generation as usual; the 90 % is our own choice.
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
