"""The configuration page against the settings."""

from __future__ import annotations

from pathlib import Path

import msgspec

from aiops_host.settings import PREFIX, Settings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_every_setting_is_on_the_page_with_its_default() -> None:
    """The table lists each setting once, in order, with its description and default."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]

    assert rows == [_row(field) for field in msgspec.structs.fields(Settings)]


def _row(field: msgspec.structs.FieldInfo) -> str:
    properties = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    return f"| `{PREFIX}{field.name.upper()}` | {properties[field.name]['description']} | {_shown(field.default)} |"


def _shown(value: object) -> str:
    if value == "":
        return ""
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
