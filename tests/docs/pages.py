"""The documentation's pages and their code blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "docs" / "plugins"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


def sections(page: Path) -> dict[str, str]:
    """Return the text under each second-level heading."""
    parts = re.split(r"^## (.+)$", page.read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(text: str, language: str = "python") -> list[str]:
    """Return the code blocks of a language."""
    return [code for found, code in _BLOCK.findall(text) if found == language]
