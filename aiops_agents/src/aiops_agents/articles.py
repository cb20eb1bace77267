"""The procedures in an article: its lists of steps, each with the commands that belong to it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aiops_agents.words import plain

_ITEM = re.compile(r"^(?P<indent>\s*)(?P<mark>[-*•\u2013]|\(?\d{1,2}[.)])\s+(?P<text>.+)")
_HEADING = re.compile(r"^#{1,6}\s+(?P<text>.+)")
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_NESTED = 2
_MAX_CODE_LINES = 8


@dataclass(slots=True)
class Item:
    """One step: what it says and the commands under it."""

    text: str
    code: list[str] = field(default_factory=list)

    @property
    def command(self) -> str | None:
        """The commands, unless they are too long for a note: half a command is worse than none."""
        lines = [line for line in self.code if line.strip()]
        return "\n".join(lines) if 0 < len(lines) <= _MAX_CODE_LINES else None


@dataclass(slots=True)
class Procedure:
    """One list of an article and the heading above it. ``numbered`` means its order matters."""

    heading: str
    numbered: bool
    items: list[Item] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All its words."""
        return "\n".join((self.heading, *(item.text for item in self.items)))


def procedures(text: str) -> list[Procedure]:
    """Return the lists of an article with at least two items, in order."""
    reader = _Reader()
    for line in text.splitlines():
        reader.read(line)
    return [p for p in reader.found if len(p.items) > 1]


class _Reader:
    def __init__(self) -> None:
        self.found: list[Procedure] = []
        self._heading = ""
        self._fenced = False
        self._open = False

    def read(self, line: str) -> None:
        if _FENCE.match(line):
            self._fenced = not self._fenced
        elif self._fenced:
            if self._open:
                self.found[-1].items[-1].code.append(line.rstrip())
        elif item := _ITEM.match(line):
            self._item(item)
        elif line.strip():
            self._text(line)

    def _item(self, item: re.Match[str]) -> None:
        text, numbered = plain(item["text"]), item["mark"][-1] in ".)"
        if self._open and len(item["indent"]) >= _NESTED:
            last = self.found[-1].items[-1]
            last.text = f"{last.text.rstrip('.')}; {text}" if not last.text.endswith(":") else f"{last.text} {text}"
            return
        if not self._open or self.found[-1].numbered != numbered:
            self.found.append(Procedure(self._heading, numbered))
            self._open = True
        self.found[-1].items.append(Item(text))

    def _text(self, line: str) -> None:
        if heading := _HEADING.match(line):
            self._heading = plain(heading["text"])
            self._open = False
        elif line[:1].isspace() and self._open:
            self.found[-1].items[-1].text += f" {plain(line)}"
        else:
            self._open = False
