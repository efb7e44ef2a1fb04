"""A run on a server as a source of rows. A thread asks the server, because an answer may take a minute."""

from __future__ import annotations

import json
import math
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from rldk.adapters.servers.poll import RemoteFollower
from rldk.core.table import Row
from rldk.errors import UnreadableSource

ASK_S = 5.0  # between two requests
TOLD_AGAIN = 60  # failed requests in a row, after which the failure is reported again


class RemoteLines:
    """The rows of a follower as lines of a log, so that the log's opening settles their names here, too.

    The first request is made at once and its errors are raised. Later errors go to `warn`, and the thread goes on."""

    cursor = None
    begins = False

    def __init__(self, follower: RemoteFollower, *, warn: Callable[[str], None], ask_s: float = ASK_S) -> None:
        self.source = follower.source
        self.busy = False
        self.ended = False
        self.changes: Counter[str] = Counter()
        self._follower = follower
        self._warn = warn
        self._ask_s = ask_s
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._done = threading.Event()
        self._put(follower.poll())
        if follower.finished:
            self._done.set()
        else:
            threading.Thread(target=self._ask, name="rldk-remote", daemon=True).start()

    def poll(self) -> bytes:
        """The lines since the last call. It never waits."""
        done = self._done.is_set()  # checked before the queue: nothing is put into the queue after that
        data = b""
        while not self._lines.empty():
            data += self._lines.get()
        self.ended = done and not data
        return data

    def finish(self) -> bytes:
        self.close()
        return self.poll()

    def close(self) -> None:
        """Stops asking."""
        self._done.set()

    def _put(self, rows: Sequence[Row]) -> None:
        if rows:
            self._lines.put(b"".join(map(_line, rows)))

    def _ask(self) -> None:
        failed = 0
        while not self._done.wait(self._ask_s):
            try:
                rows = self._follower.poll()
            except UnreadableSource as error:
                if failed % TOLD_AGAIN == 0:
                    self._warn(f"{error.message}; rldk asks again")
                failed += 1
                continue
            failed = 0
            self._put(rows)
            if self._follower.finished:
                self._done.set()


def _line(row: Row) -> bytes:
    values = {name: x if math.isfinite(x) else str(x) for name, x in row.values.items()}
    record = {"step": row.step, "metrics": values, "tags": {"phase": row.phase}}
    if not math.isnan(row.time):
        record["wall_time"] = row.time
    return json.dumps(record).encode() + b"\n"
