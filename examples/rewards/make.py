"""Writes the scores that two versions of a reward model give to the answers of this folder.

python examples/rewards/make.py [FOLDER]

`v1.jsonl` has the rewards of answers.jsonl: the model learnt from preferences in which longer answers won too often.
`v2.jsonl` is a model of the same kind, trained on 3,000 new preferences in which length decides nothing. The answers
are those of `Maker(11)` in benchmarks/tiny_reward.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from benchmarks.tiny_reward import RATE, BagModel, Maker

SEED, PAIRS = 11, 3000


def main(folder: Path) -> None:
    answers = [json.loads(line) for line in (HERE / "answers.jsonl").read_text().splitlines()]
    maker = Maker(SEED)
    first, second = maker.answers(PAIRS), maker.answers(PAIRS)
    wins = maker.preferred(RATE * (first[1] - second[1]))
    model = BagModel(len(maker.place)).fit(maker.bag(first[0]), maker.bag(second[0]), wins)
    fresh = model.score(maker.bag([row["response"] for row in answers])).round(3).tolist()
    for name, scores in (("v1", [row["reward"] for row in answers]), ("v2", fresh)):
        rows = (
            {"id": row["id"], "prompt": row["prompt"], "score": score}
            for row, score in zip(answers, scores, strict=True)
        )
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
