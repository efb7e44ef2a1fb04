"""What `import rldk` and `rldk --help` may load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEAVY = {"numpy", "pandas", "scipy", "torch", "yaml", "rich", "matplotlib", "pyarrow", "msgspec"}

TEXTS = {f"rldk.adapters.{name}" for name in ("formats.printed_lines", "formats.shown_tables", "formats.notebook")}


def _loaded(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n'.join(sys.modules), file=sys.stderr)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stderr.split())


def test_import_loads_no_third_party_module() -> None:
    standard = set(sys.stdlib_module_names) | {"rldk", "__main__"}
    before = _loaded("pass")
    assert {name.split(".")[0] for name in _loaded("import rldk") - before} <= standard


def test_help_loads_click_only() -> None:
    code = "import sys\nfrom rldk.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit: pass"
    assert not _loaded(code) & HEAVY


def test_a_monitor_of_lines_starts_without_numpy_and_the_formats_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text('{"step": 1, "kl": 0.1}\n' * 2)
    words = ["monitor", "--stream", str(tmp_path), "--idle-timeout", "0.1"]
    code = f"from rldk.cli.main import main\ntry:\n    main({words})\nexcept SystemExit: pass"
    assert not _loaded(code) & {"numpy", "pandas", "scipy", "sqlite3", "zipfile", *TEXTS}
