"""Wheels of a small plugin, written file by file."""

import base64
import hashlib
import zipfile
from pathlib import Path

PLUGIN = (
    '"""A plugin."""\nfrom typing import TYPE_CHECKING\nNAME = "x"\nif TYPE_CHECKING:\n    import os\ndef hook(): ...\n'
)
FILES = {
    "acme/__init__.py": '"""Nothing."""\n',
    "acme/plugin.py": PLUGIN,
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[aiops]\nacme = acme.plugin\n",
}


def wheel(folder: Path, more: dict[str, str], *, record: bool = True, changed: str = "") -> Path:
    """Write a wheel with the files."""
    path = folder / "acme-1.0-py3-none-any.whl"
    files = {**FILES, **more}
    with zipfile.ZipFile(path, "w") as archive:
        lines = []
        for name, text in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            lines.append(f"{name},sha256={digest},{len(text)}")
            archive.writestr(name, text + (" " if name == changed else ""))
        if record:
            archive.writestr("acme-1.0.dist-info/RECORD", "\n".join([*lines, "acme-1.0.dist-info/RECORD,,"]))
    return path
