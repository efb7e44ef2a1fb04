"""Writes the answers of this folder: two checkpoints that read handwritten digits, four samples for each question.

python examples/evals/make.py [FOLDER]

The questions are 150 images that neither checkpoint was trained on. `base` saw 120 images, `tuned` 240. `same` is
`base` once more with another seed of sampling, so that any difference between the two is noise."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

QUESTIONS, TRIES = 150, 4
CHECKPOINTS = {"base": (120, 1), "same": (120, 2), "tuned": (240, 3)}


def main(folder: Path) -> None:
    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    asked, rest = order[:QUESTIONS], order[QUESTIONS:]
    for name, (seen, seed) in CHECKPOINTS.items():
        model = LogisticRegression(C=0.1, max_iter=2000).fit(images[rest[:seen]] / 16, digits[rest[:seen]])
        chances = model.predict_proba(images[asked] / 16)
        rng = np.random.default_rng(seed)
        lines = []
        for place, chance in zip(asked.tolist(), chances, strict=True):
            for answer in rng.choice(10, TRIES, p=chance).tolist():
                row = {
                    "prompt_id": f"image-{place}",
                    "category": f"digit {digits[place]}",
                    "response": f"This is a {answer}.",
                    "correct": bool(answer == digits[place]),
                }
                lines.append(json.dumps(row))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent))
