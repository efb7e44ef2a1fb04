"""Reads the consoles of Keras and keras-rl: a bar that is redrawn, with names and numbers behind it."""

from __future__ import annotations

from typing import ClassVar

from rldk.adapters.base import adapter
from rldk.adapters.consoles.steps import PrintedAdapter, PrintLayout
from rldk.adapters.live.lineformat import LineFormat
from rldk.core.text import later

_REST = "everything that is not printed: most metrics, digits beyond those shown, configuration"
# "100/100 [=====>....] - 1s 10ms/step - " or "100/100 \u2501\u2501\u2501\u2501 1s 10ms/step - "
_BAR = (
    r"\b\d{1,18}/\d{1,18} (?:\[[=>.]{1,200}\]|[\u2501\u2578\u257a ]{1,200})"
    r"[^a-z]{0,40}[^:]{0,60}? - (?:ETA: [\d:]{1,12}s? - )?"
)


@adapter
class KerasRLConsole(PrintedAdapter):
    """Each episode is one line. Source: keras-rl, rl/callbacks.py, `TrainEpisodeLogger`."""

    name: ClassVar[str] = "keras-rl-console"
    describes: ClassVar[str] = "the lines that keras-rl prints"
    keeps: ClassVar[str] = "reward and length of an episode, loss, Q-values"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"episode",
        mark=later(r"(?:^|\x08)\s{0,40}(?P<step>\d{1,18})/(?P<total>\d{1,18}): episode: (?=\d)"),
        keys={"episode reward": "episode_reward", "episode steps": "episode_length"},
        framework="keras_rl",
        dialect="keras_rl",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class KerasRLIntervals(PrintedAdapter):
    """Each interval is one block; the count of steps stands before it. Source: keras-rl, rl/callbacks.py,
    `TrainIntervalLogger`."""

    name: ClassVar[str] = "keras-rl-interval-console"
    describes: ClassVar[str] = "the blocks of intervals that keras-rl prints"
    keeps: ClassVar[str] = "mean reward of a step and of an episode, loss, Q-values of an interval"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b" steps performed)",
        mark=later(r"\bInterval \d{1,18} \((?P<step>\d{1,18}) steps performed\)"),
        block=True,
        detail=later(rf"{_BAR}(?=reward: )|\b\d{{1,18}} episodes - (?=episode_reward: )"),
        keys={"reward": "step_reward"},
        framework="keras_rl",
        dialect="keras_rl",
    )
    lines: ClassVar[LineFormat | None] = layout.follow()


@adapter
class KerasConsole(PrintedAdapter):
    """Each epoch is one line with its bar below. Source: keras, keras/src/callbacks/progbar_logger.py and
    keras/src/utils/progbar.py."""

    name: ClassVar[str] = "keras-console"
    describes: ClassVar[str] = "the epochs that `Model.fit` of Keras prints"
    quality: ClassVar[int] = 30
    keeps: ClassVar[str] = "loss and metrics of an epoch, also of the validation"
    loses: ClassVar[str] = _REST
    layout: ClassVar[PrintLayout] = PrintLayout(
        landmark=b"Epoch ",
        mark=later(r"^[\x08 ]{0,400}Epoch (?P<step>\d{1,9})/(?P<total>\d{1,9})$"),
        block=True,
        detail=later(rf"{_BAR}(?=[a-z_]{{1,60}}: )"),
    )
    lines: ClassVar[LineFormat | None] = layout.follow()
