"""Views as JUnit XML: a suite for each run and a test case for each rule, so that any CI shows which rules failed on
which run."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from rldk.cards.safe import clean
from rldk.core.model import LOUD
from rldk.core.registry import renderers
from rldk.core.text import later
from rldk.core.view import Problem, View

_NOT_XML = later("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(views: View | Sequence[View], *, fail_on: str = "critical") -> str:
    """The document. A problem as grave as `fail_on` is a failure. A lesser one passes and is shown in `system-out`.

    A rule that gave no verdict is skipped, with the reason."""
    many = [views] if isinstance(views, View) else list(views)
    root = Xml.Element("testsuites", name="rldk")
    for view in many:
        _suite(root, view, LOUD[fail_on])
    for count in ("tests", "failures", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _suite(root: Xml.Element, view: View, loud: Sequence[str]) -> None:
    by_code: dict[str, list[Problem]] = {}
    for problem in view.problems:
        by_code.setdefault(problem.code, []).append(problem)
    suite = Xml.SubElement(root, "testsuite", name=_text(view.title))
    failures = 0
    for code in sorted({*view.checked, *by_code}):
        found = by_code.get(code, [])
        case = Xml.SubElement(suite, "testcase", classname=_text(view.title), name=_name(code, found))
        failed = [problem for problem in found if problem.severity in loud]
        if failed:
            failures += 1
            worst = min(failed, key=lambda problem: problem.severity)  # "critical" sorts before "warn"
            failure = Xml.SubElement(case, "failure", type=worst.severity, message=_text(worst.message))
            failure.text = "\n".join(_told(problem) for problem in found)
        elif found:
            Xml.SubElement(case, "system-out").text = "\n".join(_told(problem) for problem in found)
    for code, reason in view.unchecked.items():
        case = Xml.SubElement(suite, "testcase", classname=_text(view.title), name=code)
        Xml.SubElement(case, "skipped", message=_text(reason))
    Xml.SubElement(suite, "system-out").text = _text(view.banner)
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    suite.set("skipped", str(len(view.unchecked)))


def _name(code: str, found: Sequence[Problem]) -> str:
    return _text(f"{code} {found[0].name}" if found else code)


def _told(problem: Problem) -> str:
    steps = problem.steps
    where = f"steps {steps[0]}-{steps[1]}: " if steps else ""
    causes = "".join(f"\n  cause: {cause}" for cause in problem.causes)
    fixes = "".join(f"\n  try: {fix}" for fix in problem.fixes)
    return _NOT_XML.sub("", f"{problem.severity}, {where}{clean(problem.message, 2000)}{causes}{fixes}")


def _text(value: str) -> str:
    return _NOT_XML.sub("", clean(value, 1000))


renderers.register("junit", render)
