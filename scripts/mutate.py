"""Changes the package in one small place at a time, and says which changes no test notices.

    python scripts/mutate.py --seed 7 --places 60             60 places, the same number a package
    python scripts/mutate.py --seed 7 --package cards core    of these packages only
    python scripts/mutate.py --again out.jsonl                the survivors of an earlier run once more
    python scripts/mutate.py --seed 7 --share 1/2             every second place, so that two processes share the work

It works on a copy of the working tree in a temporary folder: the tree itself is never changed. First the fast tests
run once, and for each test the functions it enters are written down (`--record DIR` keeps that for the next run). A
change is then tried by the tests that enter its function: those of the mirrored test file first, then those of the
package, then the others, until one fails or `--budget` seconds of tests are spent.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mutation_plugin import CANNOT, READY
from mutations import Change, applied, changes, is_program, runs_on_import, shorten

ROOT = Path(__file__).parents[1]
PACKAGE = Path("src") / "rldk"
FAST = ["-m", "not slow and not integration", "--hypothesis-profile=unshrunk", "--hypothesis-seed=0"]
# tests that import every file, to compare what stands in it with a page or a list of signatures
READ_ALL = {"tests/laws/test_docs.py", "tests/laws/test_signatures.py"}
# the `sitecustomize` of the copy while tests are recorded: what they start is recorded as well
CHILD = """import os, sys
if "RLDK_MUTATE_RECORD" in os.environ and "mutation_plugin" not in sys.orig_argv:
    sys.path.append({scripts!r})
    import mutation_plugin
    mutation_plugin.trace_child()
"""


def drawn(
    root: Path, packages: dict[str, list[Path]], places: int, seed: int, tried: frozenset[tuple[str, ...]] = frozenset()
) -> list[Change]:
    """As many places of each package as of any other, its kinds taken in turn; the same seed draws the same. What has
    been `tried` (as `place` names it) is left out."""
    found: list[Change] = []
    for i, (name, paths) in enumerate(packages.items()):
        rng = random.Random(f"{seed}/{name}")
        pool: dict[str, list[Change]] = {}
        for change in (c for path in paths for c in changes(root, path, rng)):
            pool.setdefault(change.kind, []).append(change)
        kinds = sorted(pool)
        rng.shuffle(kinds)
        for kind in kinds:
            rng.shuffle(pool[kind])
        wanted = places // len(packages) + (i < places % len(packages))
        while wanted and any(pool.values()):
            kind = kinds.pop(0)
            kinds.append(kind)
            if not pool[kind]:
                continue
            one = pool[kind].pop()
            if place(one) not in tried and is_program(applied((root / one.path).read_bytes(), one)):
                found.append(one)
                wanted -= 1
    return found


def place(change: Change) -> tuple[str, ...]:
    """What stays the same of a change when lines above it come or go."""
    return change.path, change.kind, change.old


def packages_of(root: Path) -> dict[str, list[Path]]:
    """The files of each package; the modules beside the packages are one of their own."""
    found: dict[str, list[Path]] = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        inner = path.relative_to(root / PACKAGE)
        found.setdefault(inner.parts[0] if len(inner.parts) > 1 else "rldk", []).append(path.relative_to(root))
    return found


class Copy:
    """A copy of the working tree, in which tests are run and places are changed."""

    server: Server

    def __init__(self, root: Path, record: Path) -> None:
        self.root, self.record = root, record
        listed = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, root / name)

    def command(self, *words: str) -> list[str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "mutation_plugin", "-p", "no:xdist", *FAST]
        return [*command, "-p", "no:cacheprovider", *words]

    def env(self, **more: str) -> dict[str, str]:
        paths = f"{self.root / 'src'}{os.pathsep}{self.root / 'scripts'}"
        return {**os.environ, "PYTHONPATH": paths, "RLDK_MUTATE_SOURCE": str(self.root / PACKAGE), **more}

    def pytest(self, *words: str, limit_s: float | None = None, **env: str) -> tuple[int | None, str]:
        """The exit code, None when the limit was passed, and what was printed."""
        with subprocess.Popen(
            self.command(*words), cwd=self.root, env=self.env(**env), text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=limit_s)
                return process.returncode, said
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return None, ""

    def tests(self) -> list[dict[str, Any]]:
        """The record of every fast test that passes. Test files that have changed since are recorded again, and those
        that enter a file of the package which has."""
        kept, lines = self.record / "tests.jsonl", []
        if kept.exists():
            lines = [json.loads(line) for line in kept.read_text().splitlines()]
        old: dict[str, str] = json.loads(read_or(self.record / "files.json", "{}"))
        new = {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted([*(self.root / "tests").rglob("test_*.py"), *(self.root / PACKAGE).rglob("*.py")])
        }
        moved = {name for name, digest in new.items() if old.get(name, digest) != digest}
        entered = {x["test"]: {f"src/{name.rpartition('/src/')[2]}" for name, _ in x["functions"]} for x in lines}
        stale = {file_of(test) for test, names in entered.items() if names & moved}
        tests = [name for name in new if name.startswith("tests/")]
        changed = [name for name in tests if old.get(name) != new[name] or name in stale]
        if changed:
            same = set(tests) - set(changed)
            kept.write_text("".join(json.dumps(x) + "\n" for x in lines if file_of(x["test"]) in same))
            (self.root / "src" / "sitecustomize.py").write_text(CHILD.format(scripts=str(self.root / "scripts")))
            code, said = self.pytest(*changed, RLDK_MUTATE_RECORD=str(self.record))
            (self.root / "src" / "sitecustomize.py").unlink()
            print(f"recorded {len(changed)} test files: {said.strip().splitlines()[-1]}", flush=True)
            if code not in (0, 1, 5):
                raise SystemExit(said)
        (self.record / "files.json").write_text(json.dumps(new))
        found = [json.loads(line) for line in kept.read_text().splitlines()]
        for line in found:
            line["functions"] = {(name.rpartition("/src/")[2], number) for name, number in line["functions"]}
        return [line for line in found if line["passed"]]

    def outcome(self, change: Change, tests: list[dict[str, Any]], budget_s: float) -> str:
        """`killed by ...` or `survived ...`, after trying a change."""
        chosen = within(budget_s, order(change, tests))
        if not chosen:
            return "survived: no test enters it"
        names, spent = [t["test"] for t in chosen], sum(t["cpu_s"] for t in chosen)
        place = self.root / change.path
        whole, times = place.read_bytes(), place.stat()
        try:
            place.write_bytes(applied(whole, change))
            late = change.function is not None and not runs_on_import(whole, change.function)
            failed = self.server.failed(names, spent, place, change.function or 0) if late else CANNOT
            if failed == CANNOT:
                failed = self.afresh(names, spent)
        finally:
            place.write_bytes(whole)
            os.utime(place, ns=(times.st_atime_ns, times.st_mtime_ns))  # what is compiled already stays valid
        if failed == "":
            return f"survived: {len(chosen)} tests"
        if failed is None and late and self.server.failed(names, spent, place, change.function or 0) != "":
            raise SystemExit(f"the tests of {change} cannot be asked: their process ends without the change, too")
        if failed is not None and failed in names and self.server.failed([failed], spent) != "":
            print(f"{failed} fails without the change: it is not asked", flush=True)
            tests[:] = [test for test in tests if test["test"] != failed]
            return self.outcome(change, tests, budget_s)
        return "killed by " + (shorten(failed) if failed else "a crash or the time limit")

    def afresh(self, names: list[str], spent_s: float) -> str | None:
        """The test that fails first in a new process, "" if none does, None where it crashed or took too long."""
        listed = self.root / "chosen.txt"
        listed.write_text("".join(f"{name}\n" for name in names))
        files = list(dict.fromkeys(map(file_of, names)))
        code, said = self.pytest("-x", *files, limit_s=120 + 20 * spent_s, RLDK_MUTATE_TESTS=str(listed))
        if code == 0:
            return ""
        failed = [line.split(maxsplit=1)[1] for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return failed[0].partition(" - ")[0] if failed and code is not None else None


class Server:
    """A process of pytest that has collected all tests and answers requests, each by a fork of its own."""

    def __init__(self, copy: Copy) -> None:
        ask, answer = os.pipe(), os.pipe()
        self.process = subprocess.Popen(
            copy.command(), cwd=copy.root, env=copy.env(RLDK_MUTATE_SERVE=f"{ask[0]},{answer[1]}"),
            pass_fds=(ask[0], answer[1]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ask[0])
        os.close(answer[1])
        self.ask, self.answer = os.fdopen(ask[1], "w"), os.fdopen(answer[0])
        # what is changed before the tests are collected is imported as it is then, and stays in every fork
        if (said := self.answer.readline()) != f"{json.dumps(READY)}\n":
            raise SystemExit(f"the tests could not be collected: {said}")

    def failed(self, names: list[str], spent_s: float, path: Path | None = None, function: int = 0) -> str | None:
        """The test that fails first with the code that the file now has; "" if none does, `CANNOT` where the new code
        cannot be put in place, None where the process crashed or passed a limit."""
        request = {
            "tests": names, "path": str(path or ""), "function": function,
            "cpu_s": int(20 + 5 * spent_s), "limit_s": 120 + 20 * spent_s,
        }  # fmt: skip
        print(json.dumps(request), file=self.ask, flush=True)
        said: str | None = json.loads(self.answer.readline())
        return said


def read_or(path: Path, default: str) -> str:
    return path.read_text() if path.exists() else default


def file_of(test: str) -> str:
    return test.partition("::")[0]


def order(change: Change, tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tests that enter the changed function: its own test file first, then its package, then the others, each from
    the quickest on. What runs on import is tried by all of the test files that enter any function of the file, and by
    those that read all files."""
    path = Path(change.path).relative_to("src")
    own = f"tests/unit/{path.relative_to('rldk').parent}/test_{path.stem}".replace("/./", "/")
    package = f"{Path('tests', 'unit', *path.parts[1:-1][:1])}/"
    lines = [{line for name, line in test["functions"] if name == str(path)} for test in tests]
    near = {file_of(test["test"]) for test, own_lines in zip(tests, lines, strict=True) if own_lines} | READ_ALL
    found = []
    for test, entered in zip(tests, lines, strict=True):
        name = file_of(test["test"])
        if change.function in entered or (change.function is None and name in near):
            ranks = (name.startswith(own), f"/test_{path.stem}" in name, name.startswith(package), True)
            found.append((ranks.index(True), test["cpu_s"], test["test"], test))
    return [test for *_, test in sorted(found, key=lambda x: x[:3])]


def within(budget_s: float, tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    spent = 0.0
    found: list[dict[str, Any]] = []
    for test in tests:
        spent += test["cpu_s"]
        if found and spent > budget_s:
            break
        found.append(test)
    return found


def asked(root: Path, args: argparse.Namespace) -> list[Change]:
    """The places to try."""
    if args.again:
        lines = [json.loads(line) for line in args.again.read_text().splitlines()]
        left = [moved(root, Change(**x["change"])) for x in lines if x["outcome"].startswith("survived")]
        return [change for change in left if change is not None]
    packages = {n: p for n, p in packages_of(root).items() if not args.package or n in args.package}
    lines = [json.loads(line) for path in args.but for line in path.read_text().splitlines()]
    tried = frozenset(place(Change(**x["change"])) for x in lines)
    found = drawn(root, packages, args.places, args.seed, tried)
    random.Random(args.seed).shuffle(found)
    share, shares = args.share
    return found[share - 1 :: shares]


def one_of(text: str) -> tuple[int, int]:
    """The two numbers of `2/3`: the second of three shares."""
    share, _, shares = text.partition("/")
    return int(share), int(shares)


def moved(root: Path, change: Change) -> Change | None:
    """The same change where its text now stands; None, and said so, when it is there no more."""
    same = [
        c for c in changes(root, Path(change.path), random.Random(0)) if (c.kind, c.old) == (change.kind, change.old)
    ]
    if not same:
        print(f"not there any more: {change}")
        return None
    near = min(same, key=lambda c: abs(c.start - change.start))
    return Change(**{**asdict(near), "new": change.new})


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--places", type=int, default=60)
    parser.add_argument("--package", nargs="*", default=[])
    parser.add_argument("--budget", type=float, default=20.0, metavar="SECONDS", help="CPU time of tests a change")
    parser.add_argument("--record", type=Path, metavar="DIR", help="keep, and use, the record of the tests")
    parser.add_argument("--but", type=Path, nargs="*", default=[], metavar="FILE", help="leave out what was tried")
    parser.add_argument("--again", type=Path, metavar="FILE", help="try the survivors of an earlier --out")
    parser.add_argument("--share", type=one_of, default=(1, 1), metavar="I/N", help="try every Nth place, from the Ith")
    parser.add_argument("--out", type=Path, metavar="FILE", help="append a JSON line a change")
    parser.add_argument("--list", action="store_true", help="only say which changes would be tried")
    return parser.parse_args()


def main() -> None:
    args = parsed()
    with tempfile.TemporaryDirectory() as folder:
        record = args.record or Path(folder, "record")
        record.mkdir(parents=True, exist_ok=True)
        copy = Copy(Path(folder, "tree").resolve(), record.resolve())
        places = asked(copy.root, args)
        if args.list:
            print(*places, sep="\n")
            return
        tests, count = copy.tests(), Counter[str]()
        copy.server = Server(copy)
        for change in places:
            outcome = copy.outcome(change, tests, args.budget)
            word = outcome.split()[0].rstrip(":")
            count[word] += 1
            print(f"{change}\n    {outcome}", flush=True)
            if args.out:
                with args.out.open("a") as out:
                    out.write(json.dumps({"change": asdict(change), "outcome": outcome}) + "\n")
    print(f"killed {count['killed']} of {count.total()}")


if __name__ == "__main__":
    main()
