"""What every test starts from, however the suite itself was started."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("quick", max_examples=8)  # of the fast set; the slow one tries a hundred

# A job in the background, or under nohup, inherits ignored signals and hands them on to every process a test starts.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
