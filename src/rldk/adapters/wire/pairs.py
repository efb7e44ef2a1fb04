"""Finds names and numbers in a printed line: "Episode 12/500 | Reward: -3.4 | eps 0.1 | 31.2% solved=3"."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rldk.core.records import to_number
from rldk.core.text import later

MAX_TEXT = 8192  # characters of a line to read; the longest genuine line of this kind seen has 900
MAX_PAIRS = 256  # of a line
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,20})?|\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,4})?"
_ONE = rf"{_NUMBER}|[-+]?(?:nan|inf(?:inity)?)(?!\w)"
_WORD = r"episodes?|eps?|epochs?|global[ _]?steps?|(?:env|time|train(?:ing)?|total)[ _-]?steps?|steps?|timesteps?"
_WORD += r"|iter(?:ation)?s?|itr?|it|updates?|batch(?:es)?|rollouts?|rounds?|frames?|generations?|games?|trials?|t"
_CLOCK = later(
    rf"(?<![\w/.'\"-])(?P<word>(?:total[ _]|num[ _])?(?:{_WORD}))(?: ?(?:number|num|no\.?|count))?"
    r" ?[:=#\[(-]{0,3} {0,12}#?(?P<step>\d{1,3}(?:,\d{3}){1,5}(?!\d)|\d{1,18})(?![\d.]*\d*[\w%])"
    r"(?: ?/ ?(?P<total>\d{1,18}))?",
    re.IGNORECASE,
)
# "[12/500]", "(35/9751)", and a number that a line begins with
_BARE = later(r"[\[(](?P<step>\d{1,18}) ?/ ?(?P<total>\d{1,18})[\])]|^\[?(?P<first>\d{1,18})[:)\]]?(?= +[A-Za-z])")
# tqdm's bar, with what a loop shows in front of it and behind the rate: "Loss: 0.3:  10%|#  | 9/90 [0:01<0:09, 9it/s]"
_BAR = later(
    r"(?::|(?<= )|^) {0,4}\d{1,3}%\|[^|]{0,400}\| {0,9}(?P<step>\d{1,18})/(?P<total>\d{1,18})"
    r" \[[^\[\],]{3,40},(?P<rate>[^\[\],]{3,40})(?:, (?P<shown>[^\[\]]{0,4000}))?(?:\]|$)"
)
_LIST_OF_ONE = later(rf"(?<=[:=]) ?(?:array\()?\[ ?({_NUMBER}) ?\]")
_NORM = later(r"\|([A-Za-z_]\w{0,30})\|(?= ?[:=])")  # |grad|=0.1
_WIDE = later(r"(?<! ) {2,}(?=[-+.\d:=]|nan\b|inf\b)|(?<=[:=]) {2,}")
_CUT = later(
    r"[|;\t\[\]{}│┃•]|, |,(?=[A-Za-z ])| -{1,3} | / | {2,}|(?<=\d)\. (?=[A-Z])|(?<= s)\. (?=[A-Z])|->|=>"
    r"|: (?![-+.\d]|nan|inf)"
)
_RATE = r"[kM]?(?:it|steps?|tokens?|samples?|frames?|tok)/s(?:ec)?"
_UNIT = rf"(?: ?(?:s|secs?|seconds|ms|mins?|h|[KMGT]i?B|{_RATE})(?![\w/]))?"
_PAIR = later(
    rf"(?<![\w.])(?P<name>[A-Za-z_%#][^:=]{{0,70}}?)(?: ?[:=] ?| )(?P<value>{_ONE})(?P<more>(?: ?/ ?(?:{_ONE})){{0,4}})"
    rf"(?![\d.]* ?[:=/])(?P<unit>[KMB%](?!\w))?{_UNIT}(?: ?(?:±|\+/-|\+-) ?[\w.+-]{{1,24}})?(?: ?\([^()]{{0,40}}\))?"
)
_NAME = later(r"[A-Za-z_][\w ./#()@%&*+^<>-]{0,79}")
_LEAD = later(r".{0,80}(?:^| )(?:with|and|after|a|an|the|is|was|of the|got)(?: |$)", re.IGNORECASE)


_SLASH = later(r" ?/ ?")
_SCALES = {"K": 1e3, "M": 1e6, "B": 1e9, "%": 0.01}

BAR = "bar"
# a name and its number, however many follow
_NUMBERED = later(rb"(?<![\w./-])[A-Za-z_][\w./-]{0,70}['\"]? ?[:=] ?[-+]?\.?\d")


class Clock(NamedTuple):
    """A count that a line shows. `word`: what it counts, in small letters, "" where a number stands alone, `BAR` where
    it is that of a progress bar."""

    word: str
    step: int
    total: int | None


class Line(NamedTuple):
    """The content of a line. `clocks`: its counts in order, each word once. `values`: its numbers by printed name, with
    percentages as fractions. `whole`: whether the line has nothing else."""

    clocks: tuple[Clock, ...]
    values: dict[str, float]
    whole: bool


def read_line(text: str) -> Line:
    """The counts and the named numbers of a line. Only the first `MAX_TEXT` characters are read, in linear time."""
    text = text[:MAX_TEXT].strip()
    clocks: dict[str, Clock] = {}
    bar = _BAR.search(text) if "%|" in text else None
    if bar is not None:
        text = f"{text[: bar.start()]} | {bar['shown'] or ''} | {text[bar.end() :]}"
    if "|" in text:
        text = _NORM.sub(r" \1", text)
    if "[" in text:
        text = _LIST_OF_ONE.sub(r" \1", text)
    if "  " in text:
        text = _WIDE.sub(" ", text)
    rest, end = [], 0
    for found in _CLOCK.finditer(text):
        word = " ".join(found["word"].lower().replace("_", " ").replace("-", " ").split())
        if word in clocks:
            continue
        clocks[word] = Clock(word, int(found["step"].replace(",", "")), int(found["total"]) if found["total"] else None)
        rest.append(text[end : found.start()])
        end = found.end()
    rest.append(text[end:])
    left = " | ".join(rest)
    bare = _BARE.search(left)
    if bare is not None:
        clocks[""] = Clock("", int(bare["step"] or bare["first"]), int(bare["total"]) if bare["total"] else None)
        left = left[: bare.start()] + " | " + left[bare.end() :]
    if bar is not None:
        clocks[BAR] = Clock(BAR, int(bar["step"]), int(bar["total"]))
    values: dict[str, float] = {}
    whole = True
    for cut in _CUT.split(left):
        part = cut.strip(" :=#-*_()>,.")
        if part and len(values) < MAX_PAIRS:
            whole = _take(part, values) and whole
    return Line(tuple(clocks.values()), values, whole)


def _take(part: str, values: dict[str, float]) -> bool:
    """Adds the named numbers of a part between two separators; False when the part has other text."""
    end, clean = 0, True
    for found in _PAIR.finditer(part):
        clean = _add(found, values) and not part[end : found.start()].strip(" ,.()") and clean
        end = found.end()
    return clean and end > 0 and not part[end:].strip(" ,.()")


def _add(found: re.Match[str], values: dict[str, float]) -> bool:
    raw, first, more, unit = found.group("name", "value", "more", "unit")
    name = _name(raw)
    if not name:
        return False
    if not more:
        value = number_of(first, unit)
        if value is not None:
            values.setdefault(name, value)
        return value is not None
    texts = [first, *filter(None, _SLASH.split(more))]
    numbers = [value for text in texts if (value := number_of(text, unit)) is not None]
    names = [name] if len(numbers) == 1 else _several(name, numbers)
    for each, value in zip(names, numbers, strict=False):
        values.setdefault(each, value)
    return bool(names)


@lru_cache(4096)  # the lines of a log have the same names
def _name(text: str) -> str:
    """The name in the text before a number; "" where it is none."""
    name = text.strip(" '\"-*_,.")
    name = _LEAD.sub("", name) or name
    return name if _NAME.fullmatch(name) is not None and len(name.split()) <= 6 else ""


def _several(name: str, numbers: list[float]) -> list[str]:
    """The names of numbers with slashes between them: the names in "mean/median reward", or minimum, mean and maximum
    for three numbers in that order; empty when this is unclear."""
    words = name.split()
    for i, word in enumerate(words):
        if word.count("/") == len(numbers) - 1:
            return [" ".join([*words[:i], each, *words[i + 1 :]]) for each in word.split("/")]
    ordered = len(numbers) == 3 and (numbers[0] <= numbers[1] <= numbers[2] or any(x != x for x in numbers))
    return [f"{name}_{part}" for part in ("min", "mean", "max")] if ordered else []


def number_of(text: str, unit: str | None = None) -> float | None:
    """The number in a printed text. Commas may separate thousands; a percentage becomes a fraction."""
    value = to_number(text.replace(",", "") if "," in text else text)
    return value if value is None or unit is None else value * _SCALES.get(unit, 1.0)


def refusal_of_width(head: bytes) -> str:
    """Why a text of such lines is not read: some line is longer than `MAX_TEXT` and has more than `MAX_PAIRS` named
    numbers. "" where no line is like that."""
    for line in head.splitlines():
        numbers = sum(1 for _ in _NUMBERED.finditer(line)) if len(line) > MAX_TEXT else 0
        if numbers > MAX_PAIRS:
            return (
                f"one of its lines has {numbers:,} named numbers or more, and of a line of text rldk reads "
                f"{MAX_PAIRS} in {MAX_TEXT:,} characters"
            )
    return ""
