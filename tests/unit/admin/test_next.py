"""Where a login leads."""

import pytest

from aiops_admin.login import HOME, safe_next

ELSEWHERE = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "evil.example",
    "javascript:alert(1)",
    " /deliveries",
    "/\tdeliveries",
    "/\ndeliveries",
    "/deliveries\r\nSet-Cookie: x=1",
    "/\u202edeliveries",
    "/login?next=/login",
    "/logout",
    "",
]


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_a_login_leads_nowhere_else(wanted: str) -> None:
    """Anything but an address of our own leads to the first page."""
    assert safe_next(wanted) == HOME


@pytest.mark.parametrize("wanted", ["/", "/deliveries", "/deliveries?delivery=7&tenant=harbor#x"])
def test_a_login_leads_where_it_was_asked_for(wanted: str) -> None:
    """The page that needed the login is opened after it."""
    assert safe_next(wanted) == wanted
