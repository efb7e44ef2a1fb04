from __future__ import annotations

import runpy


def test_a_worker_process_that_imports_the_command_does_not_run_it() -> None:
    assert runpy.run_module("rldk", run_name="__mp_main__")["main"] is not None
