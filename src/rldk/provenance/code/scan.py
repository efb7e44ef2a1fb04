"""Scans source code for the places that decide whether a run can be repeated."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from rldk.core.audit.sites import CodeFacts, Site
from rldk.core.text import legible
from rldk.provenance.code import data, kernels, order, outside, seeds
from rldk.provenance.code.files import source_files
from rldk.provenance.code.module import CodeModule
from rldk.provenance.code.text import read_source
from rldk.provenance.source_secrets import redact_line

MAX_SITES = 1000  # of one kind; the rest is counted
MAX_TEXT = 160
_DETECTORS = (order.seen_in, seeds.seen_in, data.seen_in, kernels.seen_in, outside.seen_in)
Begin = Callable[[str], None]


def scan_code(root: Path, begin: Begin | None = None, expect: Callable[[int], None] | None = None) -> CodeFacts:
    """What is seen in a file, or in all files below a folder. The code is parsed, never run.

    `begin` is called with the name of each file, `expect` once with the number of files. A file that cannot be parsed
    is named with the reason. Raises `UnreadableSource` and `NoData`."""
    paths, left = source_files(root)
    if expect is not None:
        expect(len(paths))
    unread = {_name(path, root): reason for path, reason in left.items()}
    sites: list[Site] = []
    counts: Counter[str] = Counter()
    imports: set[str] = set()
    programs: list[str] = []
    for path in paths:
        name = _name(path, root)
        if begin is not None:
            begin(name)
        found = scan_file(path, name)
        if isinstance(found, str):
            unread[name] = found
            continue
        imports |= found.imports
        programs += found.programs
        for site in found.sites:
            counts[site.kind] += 1
            if counts[site.kind] <= MAX_SITES:
                sites.append(site)
    if root.is_file() and not programs:
        programs = [_name(p, root) for p in paths if _name(p, root) not in unread]  # it is the program that was named
    return CodeFacts(
        root=str(root),
        files=len(paths) - sum(_name(path, root) in unread for path in paths),
        sites=tuple(sites),
        imports=frozenset(imports),
        programs=tuple(programs),
        unread=unread,
        dropped={kind: count - MAX_SITES for kind, count in counts.items() if count > MAX_SITES},
    )


def scan_file(path: Path, name: str) -> CodeFacts | str:
    """What is seen in one file, or the reason why it cannot be read."""
    source = read_source(path)
    if isinstance(source, str):
        return source
    try:
        module = CodeModule(name, source)
        sites = tuple(_sites(module))
    except RecursionError:
        return "nested too deeply"
    return CodeFacts(
        root=name, files=1, sites=sites, imports=module.roots, programs=(name,) if module.is_program else ()
    )


def _sites(module: CodeModule) -> Iterator[Site]:
    seen: set[tuple[str, int, str]] = set()
    for detector in _DETECTORS:
        for kind, node, detail in detector(module):
            number = node.lineno if isinstance(node, ast.expr | ast.stmt) else 1
            if (kind, number, detail) in seen:
                continue
            seen.add((kind, number, detail))
            cell, line = module.source.at(number)
            text = redact_line(module.source.line(number).strip())[:MAX_TEXT]
            plain = redact_line(legible(detail).replace("\n", " "))
            yield Site(kind=kind, file=module.name, line=line, text=text, detail=plain, cell=cell)


def _name(path: Path, root: Path) -> str:
    """The path below the root as reports show it."""
    if path == root:
        return legible(path.name)
    return legible(path.relative_to(root).as_posix())
