"""`rldk dataset fingerprint|diff`: what a dataset is, and which rows of it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rldk.cli.flags import json_option
from rldk.cli.output import progress, width, write

if TYPE_CHECKING:
    from rldk.provenance.fingerprints.dataset import DatasetFingerprint

algorithm_option = click.option(
    "--algorithm", default="sha256", show_default=True, metavar="NAME", help="The hash: sha256, blake3 and others."
)
all_option = click.option("--all", "everything", is_flag=True, help="Show every row.")


@click.group("dataset")
def command() -> None:
    """Say what a dataset is, by a digest of its content, and which rows of it changed.

    \b
    Examples:
      rldk dataset fingerprint train.jsonl
      rldk dataset diff train-v1.parquet train-v2.parquet
    """


@command.command("fingerprint")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@algorithm_option
@click.option("--rows", is_flag=True, help="Also a digest that is the same for every order of the rows.")
@click.option("--max-rows", type=click.IntRange(1), metavar="N", help="Only the first N rows; the result says so.")
@json_option
def take(paths: tuple[str, ...], algorithm: str, rows: bool, max_rows: int | None, as_json: bool) -> None:
    """Print the digest of each PATH: JSON lines, CSV, Parquet, .npy, any other file, or a directory.

    Every row counts. JSON lines and tables are read by their content, so that another spelling of the same JSON, or
    other row groups, have the same digest; other files by their bytes.

    \b
    Examples:
      rldk dataset fingerprint train.jsonl eval.jsonl
      rldk dataset fingerprint data/ --algorithm blake3 --json
    """
    from rldk.cards import terminal
    from rldk.cards.dataset import fingerprint_view
    from rldk.cards.wire import dumps
    from rldk.provenance.fingerprints.dataset import fingerprint

    found = []
    with progress(len(paths)) as bar:
        for path in paths:
            bar.begin(path)
            found.append((path, fingerprint(path, algorithm=algorithm, row_digests=rows, max_rows=max_rows)))
    if as_json:
        write(dumps({"schema_version": 1, "datasets": [_document(path, one) for path, one in found]}))
    else:
        write(terminal.render(fingerprint_view(found), width=width(), everything=True))


@command.command("diff")
@click.argument("before")
@click.argument("after")
@algorithm_option
@all_option
@json_option
def diff(before: str, after: str, algorithm: str, everything: bool, as_json: bool) -> int:
    """Name the rows that were added, removed, changed or moved between two datasets.

    BEFORE and AFTER are files or directories, as `rldk dataset fingerprint` takes them. Rows are counted from 0. The
    exit code is 1 when the datasets differ.

    \b
    Examples:
      rldk dataset diff train-v1.jsonl train-v2.jsonl
      rldk dataset diff old.parquet new.parquet --json
    """
    from rldk.cards import terminal
    from rldk.cards.dataset import difference_view, sentence
    from rldk.cards.wire import dumps
    from rldk.core.codec import to_builtins
    from rldk.provenance.fingerprints.difference import diff_datasets

    with progress(1) as bar:
        bar.begin(f"{before} and {after}")
        found = diff_datasets(before, after, algorithm=algorithm)
    if as_json:
        write(dumps({"schema_version": 1, "verdict": sentence(found), **to_builtins(found)}))
    else:
        write(terminal.render(difference_view(found, (before, after)), width=width(), everything=everything))
    return int(not found.same)


def _document(path: str, found: DatasetFingerprint) -> dict[str, object]:
    """The fingerprint as JSON, without the digests of leaves and rows."""
    from msgspec.structs import asdict

    return {
        "path": path,
        **{key: value for key, value in asdict(found).items() if key not in ("leaves", "row_digests")},
    }
