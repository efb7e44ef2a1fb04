"""What every test starts from, however the suite itself was started."""

from __future__ import annotations

import gc
import signal

from hypothesis import Phase, settings

settings.register_profile("default", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("default")
settings.register_profile("quick", max_examples=5, deadline=None)  # of the fast set; the slow one tries a hundred
# of scripts/mutate.py: that a test fails is enough, the smallest example of it is of no use
settings.register_profile("unshrunk", max_examples=5, deadline=None, phases=(Phase.explicit, Phase.generate))

# Thousands of collected tests are alive all the time: the usual threshold looks at them again and again (15 % of all).
gc.set_threshold(50_000, 20, 100)

# A job in the background, or under nohup, inherits ignored signals and hands them on to every process a test starts.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
