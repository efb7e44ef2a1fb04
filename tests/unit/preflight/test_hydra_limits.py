"""How many files of a hydra configuration are opened, and how deep references are followed."""

from __future__ import annotations

from pathlib import Path

from rldk.preflight.config_source import read_config


def test_a_hundred_files_of_defaults_are_opened(tmp_path: Path) -> None:
    for i in range(102):
        (tmp_path / f"part{i}.yaml").write_text(f"k{i}: {i}\n")
    main = tmp_path / "main.yaml"
    for count, opened in [(100, 100), (101, 100)]:
        main.write_text("defaults:\n" + "".join(f"  - part{i}\n" for i in range(count)))
        values = read_config(main).values
        assert sum(key.startswith("k") for key in values) == opened, count
