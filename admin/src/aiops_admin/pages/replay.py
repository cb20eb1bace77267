"""Asks before a delivery is run once more: as a dry run, for real, or for a further note."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

from aiops_admin.client import ApiError
from aiops_admin.pages.frame import Frame
from aiops_admin.safe import Node, View, h

WAYS = {"dry-run": (True, False), "again": (False, False), "further": (False, True)}
"""What to ask the API for: ``dry_run`` and ``post_again``."""
CHOICES = (
    (
        "again",
        "Run again",
        "The agent works on the ticket anew. A note that is on the ticket already stays the only one.",
    ),
    ("dry-run", "Dry run", "The note is written and shown here as that of the dry run; nothing is posted."),
    (
        "further",
        "Run again and post a further note",
        "Even if a note is on the ticket, a second one is posted beside it.",
    ),
)


class Replay:
    """The question and its answer. ``view`` belongs on the page."""

    def __init__(self, frame: Frame, done: Callable[[], Awaitable[None]]) -> None:
        """Take the page and what to do once the delivery is queued."""
        self._frame = frame
        self._done = done
        self._delivery = ""
        self.view = View(on_action=self._on_action, margin=0)

    def ask(self, delivery_id: str) -> None:
        """Ask about a delivery."""
        self._delivery = delivery_id
        self.view.draw(question())

    def close(self) -> None:
        """Take the question away."""
        self._delivery = ""
        self.view.draw(h("div"))

    async def _on_action(self, action: str, _: str) -> None:
        if action in WAYS and self._delivery:
            dry_run, post_again = WAYS[action]
            await self._queue(UUID(self._delivery), dry_run=dry_run, post_again=post_again)
        else:
            self.close()

    async def _queue(self, delivery_id: UUID, *, dry_run: bool, post_again: bool) -> None:
        api, token, tenant = self._frame.parts.api, self._frame.token, self._frame.tenant
        try:
            answer = await self._frame.ask(
                lambda: api.replay(token, delivery_id, tenant, dry_run=dry_run, post_again=post_again)
            )
        except ApiError as error:
            self.view.draw(question(str(error)))
            return
        self.close()
        if answer is not None:
            await self._done()


def question(refusal: str | None = None) -> Node:
    """Return the dialog, with why the last wish was refused."""
    return h(
        "dialog",
        h(
            "div",
            h("h2", "Run this delivery again?", id="replay-title"),
            h("p", refusal, class_="notice tone-error", role="alert") if refusal else None,
            *(_choice(*choice) for choice in CHOICES),
            h("div", h("button", "Cancel", type="button", data_action="cancel"), class_="pager"),
            class_="ask",
        ),
        key="replay",
        data_close="cancel",
        aria_labelledby="replay-title",
        class_="confirm",
    )


def _choice(action: str, name: str, text: str) -> Node:
    button = h("button", name, type="button", data_action=action, class_="primary" if action == "again" else None)
    return h("div", button, h("small", text), class_="choice")
