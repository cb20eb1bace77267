"""Where a session is opened from, as its owner will be shown it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from aiops_host.data.people import Origin, SessionMethod
from aiops_host.trust.sessions import LoggedIn
from aiops_host.web.access import COOKIE
from aiops_host.web.parts import Parts

MAX_AGENT = 200


def origin(request: Request[Any, Any, Any], parts: Parts, method: SessionMethod = "password") -> Origin:
    """Return the sender's address and how the browser names itself."""
    agent = "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())
    return Origin(method, parts.peers.address_of(request), agent[:MAX_AGENT])


def session_cookie(parts: Parts, session: LoggedIn | None) -> Cookie:
    """Return the cookie that keeps the session in a browser, or has it forget one."""
    return Cookie(
        key=COOKIE,
        value=session.token if session else "",
        path="/",
        max_age=int(parts.settings.session_hours * 3600) if session else 0,
        httponly=True,
        secure=parts.settings.cookie_secure,
        samesite="lax",
    )


def with_cookie(body: Any, parts: Parts, session: LoggedIn | None, status: int = 200) -> Response[Any]:
    """Return an answer that also sets the browser's cookie, or takes it away."""
    return Response(body, status_code=status, cookies=[session_cookie(parts, session)])
