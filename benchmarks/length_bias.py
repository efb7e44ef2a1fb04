"""How often the test of length bias is wrong: `python -m benchmarks.length_bias` prints the table of docs/reward.md.

100 prompts with four answers each. "none": length and reward are independent. "confounded": hard prompts have long
answers and low rewards, nothing more. "masked": the same, and among the answers to a prompt length pays."""

from __future__ import annotations

import numpy as np

from rldk.core.stats.coupling import within_groups

PROMPTS, EACH, DRAWS = 100, 4, 2000


def drawn(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    group = np.repeat(np.arange(PROMPTS), EACH)
    hard, own, noise = rng.normal(size=PROMPTS)[group], *rng.normal(size=(2, len(group)))
    if kind == "none":
        return own, noise, group
    if kind == "confounded":
        return 1.5 * hard + own, -hard + 0.8 * noise, group
    return 1.5 * hard + own, -0.95 * hard + own + 0.4 * noise, group


def main() -> None:
    print("| data | correlation over all | given the prompt | interval excludes 0 | beyond 0.35 |")
    print("|---|---|---|---|---|")
    for kind in ("none", "confounded", "masked"):
        rng = np.random.default_rng(0)
        rho, overall, found, beyond = [], [], 0, 0
        for _ in range(DRAWS):
            length, reward, group = drawn(kind, rng)
            one = within_groups(length, reward, group)
            rho.append(one.rho)
            overall.append(np.corrcoef(length.argsort().argsort(), reward.argsort().argsort())[0, 1])
            found += one.least > 0
            beyond += one.least > 0.35
        shares = f"{100 * found / DRAWS:.1f} % | {100 * beyond / DRAWS:.1f} %"
        print(f"| {kind} | {np.mean(overall):+.2f} | {np.mean(rho):+.2f} | {shares} |")


if __name__ == "__main__":
    main()
