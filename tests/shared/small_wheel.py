"""A wheel of one module, made without any tool, for pip to install."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path


def small_wheel(folder: Path, version: str, text: str) -> None:
    name = f"tinything-{version}"
    files = {
        "tinything.py": text,
        f"{name}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: tinything\nVersion: {version}\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=").decode()
        rows.writerow([path, f"sha256={digest}", len(content)])
    rows.writerow([f"{name}.dist-info/RECORD", "", ""])
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as archive:
        for path, content in {**files, f"{name}.dist-info/RECORD": record.getvalue()}.items():
            archive.writestr(path, content)
