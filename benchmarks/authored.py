"""The peer's stubs with an author on each comment, for both sides alike.

A ticketing tool names who wrote a comment, and our side asks for its own comments before it writes one again. Run by the
peer's Python, with the peer's folder on its path.
"""

import json
from typing import Any

from stubs import app as stubs

AUTHOR = {"accountId": "1"}
"""Who the stubs say they are asked by."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Hand each request on; a new comment's with its author."""
    if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith("/comment"):
        await stubs(scope, receive, send)
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    authored = json.dumps({**json.loads(body), "author": AUTHOR}).encode()

    async def again() -> dict[str, Any]:
        return {"type": "http.request", "body": authored, "more_body": False}

    await stubs(scope, again, send)
