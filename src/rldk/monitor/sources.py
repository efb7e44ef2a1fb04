"""Makes feeds of the sources that the user named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from rldk.adapters.live.follow import PipeFollower
from rldk.adapters.live.reader import ReadOptions
from rldk.monitor.feeds import LogFeed, run_names
from rldk.monitor.watch import Feed

STDIN = "-"
Say = Callable[[str], None]


def live_feeds(
    streams: Sequence[str],
    how: ReadOptions,
    *,
    warn: Say,
    stdin: int = 0,
    tee: Sequence[int] = (),
    exclude: Collection[Path] = (),
    sampled: Collection[str] = (),
) -> list[Feed]:
    """A feed for each source: "-" is the descriptor `stdin`, a path is a file or a directory that may not exist yet.

    `tee`: descriptors that stdin is passed on to. `exclude`: files in a directory that the monitor itself writes.
    `sampled`: the files among `streams` whose per-sample records are read as well; those of a directory always are."""
    made: list[Feed] = []
    for stream, name in zip(streams, run_names(streams), strict=True):
        if stream == STDIN:
            made.append(LogFeed(PipeFollower(stdin, name="stdin", tee=tee), name, how, warn=warn))
        else:
            from rldk.monitor.streams import StreamFeed  # a monitor of a pipe starts without it

            made.append(StreamFeed(Path(stream), name, how, warn=warn, exclude=exclude, samples=stream in sampled))
    return made


def remote_feeds(remote: Mapping[str, str | None], how: ReadOptions, *, warn: Say) -> list[Feed]:
    """The feed of the run on a server. `remote` has the run's name by the kind of server. It asks the server once."""
    from rldk.adapters.remote import follow_store
    from rldk.monitor.remote import RemoteLines

    named = [f"{kind}://{name}" for kind, name in remote.items() if name]
    how = replace(how, format="jsonl")
    return [LogFeed(RemoteLines(follow_store(source), warn=warn), "", how, warn=warn) for source in named]
