"""One file for each format. A module that is not named below looks at every file."""

from __future__ import annotations

_SQLITE, _PARQUET = b"SQLite format 3\0", b"PAR1"
# Bytes near the start of every file that the module recognises. Without them rldk need not load the module, so that a
# monitor of lines starts faster.
MARKS: dict[str, tuple[bytes, ...]] = {
    "completions": (_PARQUET,),
    "hf_trainer_state": (b"log_history",),
    "mlflow_store": (_SQLITE, b"artifact_uri:"),
    "notebook": (b'"cells"',),
    "openrlhf": (b"Global step ", b"openrlhf"),
    "parquet": (_PARQUET,),
    "sample_lines": (
        b'"prompt',
        b'"completion',
        b'"response',
        b'"output',
        b'"content"',
        b'"generat',
        b'_response"',
        b'"text"',
        b'"trajectory"',
        b'_text"',
        b"logp",
    ),
    "sb3_evaluations": (b"PK\x03\x04",),
    "shown_tables": (b"<table", b"|-", b"| -", b"|:-"),
    "tensorboard": (b"\0",),
    "trackio": (_SQLITE,),
    "wandb_offline": (b":W&B",),
}
# Modules that recognise no file that begins with a brace, as JSON lines do.
NOT_JSON = frozenset(("arms_chart", "downloads", "flexible", "long_table", "progress_table", "shown_tables", "tabular"))
