"""MET: columns of a log that no metric of rldk is."""

from __future__ import annotations

from rldk.rules.rule import Frame, Signal, finite, rule

LEAST = 20  # finite values before; ours
RARE = 0.02  # of those: a column that was NaN more often is so by design; ours


@rule(
    "MET006",
    "unnamed-column-broke",
    severity="warn",
    tier=0,
    each=("*",),
    unnamed=True,
    nonfinite=True,
    calm=finite,
    rows=5,
    causes=(
        "the weights are broken: after one update that is not finite everything computed from them is NaN",
        "overflow: a loss or a norm beyond the range of half precision, or an exponential of a large number",
        "nothing is left to average over: what the column measures no longer happens",
    ),
    fixes=(
        "look at the rows just before: which column left its range first?",
        "go back to the last checkpoint before this step, and keep the batch that did it",
        "say what the column is with --field-map, so that the rules for it can look",
    ),
)
def unnamed_column_broke(f: Frame) -> Signal | None:
    """Fires when a column with a name that rldk does not know becomes NaN or infinite, and stays so.

    Why it matters: no rule knows what the column should be, but a number that is none any more is broken whatever it
    measures, and it may be the only trace of a dead run.
    How it is computed: a train column that is no canonical metric had at least 20 finite values, was NaN or infinite on
    at most 2 % as many rows before, and is so on 5 rows in a row that state it.
    When it is wrong: a column whose NaN means "nothing to measure" and that had always had something until then.
    Source: an identity; isaac-sim/IsaacLab#2539 (a value loss that is infinite, under a name of its own). The 20
    values, 2 % and 5 rows: ours.
    """
    name = f.metric
    x, seen, lapses = f[name], f.count(name), f.lapses(name)
    if x - x == 0.0 or not seen >= LEAST or lapses > RARE * seen:
        return None
    word = "NaN" if x != x else "infinite"
    return Signal(value=x, message=f"{name} is {word} and stays so, after {seen:.0f} finite values")
