"""Cookies, tokens and live connections, as an attacker would try them; no browser is needed."""

import base64
import json
import re
import zlib
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.support.dashboard import ANNA, BORIS, PASSWORD, Dashboard
from tests.support.processes import running

COOKIE, XSRF = "aiops_dashboard", "aiops_dashboard_xsrf"


class Visitor:
    """Someone at the dashboard with cookies of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(base_url=url, trust_env=False)

    def form_token(self) -> str:
        """Open the login page and return its form's token."""
        found = re.search(r'name="_xsrf" value="([^"]+)"', self.http.get("/login").text)
        assert found
        return found[1]

    def log_in(self, email: str) -> httpx.Response:
        """Log in as the form does."""
        form = {"_xsrf": self.form_token(), "email": email, "password": PASSWORD, "next": "/deliveries"}
        return self.http.post("/login", data=form)

    def page_token(self) -> str:
        """Open a page and return the token its live connection presents."""
        found = re.search(r'"token":"([^"]+)"', self.http.get("/deliveries").text)
        assert found
        return found[1]

    def connect(self, token: str, origin: str | None = None) -> int:
        """Open a live connection and return the HTTP status of its handshake."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
            "Sec-WebSocket-Protocol": f"bokeh, {token}",
            "Origin": origin or self.url,
            "Cookie": cookies,
        }
        connection = HTTPConnection(urlsplit(self.url).netloc)
        try:
            connection.request("GET", "/deliveries/ws", headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(dashboard: Dashboard) -> Iterator[Visit]:
    """Make visitors, logged in if they have an address; their connections are closed after the test."""
    made: list[Visitor] = []

    def make(email: str | None = None, url: str | None = None) -> Visitor:
        visitor = Visitor(url or dashboard.url)
        made.append(visitor)
        if email:
            assert visitor.log_in(email).status_code == 303
        return visitor

    yield make
    for visitor in made:
        visitor.http.close()


def set_cookies(answer: httpx.Response) -> dict[str, "Morsel[str]"]:
    """Return the cookies an answer sets, with their attributes."""
    cookies: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        cookies.load(header)
    return dict(cookies)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(visit: Visit) -> None:
    """HttpOnly, SameSite=Lax, for the whole dashboard; the form token's cookie as well."""
    visitor = visit()
    assert set_cookies(visitor.http.get("/login"))[XSRF]["httponly"]
    cookie = set_cookies(visitor.log_in(ANNA))[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", "")


def test_cookies_are_bound_to_https_where_asked_for(dashboard: Dashboard, visit: Visit, tmp_path: Path) -> None:
    """With AIOPS_COOKIE_SECURE both are Secure, and the session's is bound to this very host name."""
    settings = {"AIOPS_API_URL": dashboard.api, "AIOPS_ADMIN_PORT": "0", "AIOPS_COOKIE_SECURE": "true"}
    with running("admin", settings, tmp_path / "admin.log") as admin:
        visitor = visit(url=admin.said["admin_url"])
        assert set_cookies(visitor.http.get("/login"))[XSRF]["secure"]
        # httpx keeps a Secure cookie to itself on http, as a browser would: the form's token is sent by hand.
        first = visitor.http.get("/login")
        token = set_cookies(first)[XSRF].value
        form = {"_xsrf": token, "email": ANNA, "password": PASSWORD}
        cookie = set_cookies(visitor.http.post("/login", data=form, headers={"Cookie": f"{XSRF}={token}"}))
        assert cookie["__Host-" + COOKIE]["secure"]
        assert cookie["__Host-" + COOKIE]["path"] == "/"


@pytest.mark.attack(27)
def test_a_form_without_its_token_changes_nothing(dashboard: Dashboard, visit: Visit) -> None:
    """Neither login nor logout can be sent by another site's page."""
    stranger = visit()
    answer = stranger.http.post("/login", data={"email": ANNA, "password": PASSWORD})
    assert answer.status_code == 403
    assert COOKIE not in set_cookies(answer)
    assert "Please log in again." in answer.text
    visitor = visit(ANNA)
    assert visitor.http.post("/logout").status_code == 403
    assert visitor.http.get("/logout").status_code == 302
    assert visitor.http.get("/deliveries").status_code == 200


def test_logging_out_ends_the_session_at_the_host(dashboard: Dashboard, visit: Visit) -> None:
    """A copy of the cookie taken before opens nothing afterwards, here and at the host."""
    visitor = visit(ANNA)
    token = visitor.http.cookies[COOKIE]
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(dashboard.api + "/api/v1/me", headers=bearer, trust_env=False).status_code == 200
    assert visitor.http.post("/logout", data={"_xsrf": visitor.http.cookies[XSRF]}).status_code == 303
    assert COOKIE not in visitor.http.cookies
    assert httpx.get(dashboard.api + "/api/v1/me", headers=bearer, trust_env=False).status_code == 401
    copy = visit()
    copy.http.cookies[COOKIE] = token
    assert copy.http.get("/deliveries").headers["location"] == "./login?next=%2Fdeliveries"


def test_a_new_login_ends_the_session_before(dashboard: Dashboard, visit: Visit) -> None:
    """Logging in over an old session leaves one session, with another token."""
    visitor = visit(ANNA)
    before = visitor.http.cookies[COOKIE]
    form = {"_xsrf": visitor.http.cookies[XSRF], "email": BORIS, "password": PASSWORD}
    assert visitor.http.post("/login", data=form).status_code == 303
    assert visitor.http.cookies[COOKIE] != before
    bearer = {"Authorization": f"Bearer {before}"}
    assert httpx.get(dashboard.api + "/api/v1/me", headers=bearer, trust_env=False).status_code == 401


def test_a_page_holds_no_secret(visit: Visit) -> None:
    """Neither the token nor any cookie or header is in the page or in the token of its connection."""
    visitor = visit(ANNA)
    text = visitor.http.get("/deliveries").text
    found = re.search(r'"token":"([^".]+)', text)
    assert found
    payload = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
    for secret in (visitor.http.cookies[COOKIE], visitor.http.cookies[XSRF]):
        assert secret not in text
        assert secret.encode() not in payload
    compressed = json.loads(payload)["__bk__zlib_"]
    inner = json.loads(zlib.decompress(base64.urlsafe_b64decode(compressed + "=" * (-len(compressed) % 4))))
    assert inner["headers"] == {}
    assert inner["cookies"] == {}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "https://127.0.0.1", "null"])
@pytest.mark.attack(27)
def test_another_site_cannot_connect(visit: Visit, origin: str) -> None:
    """The live connection is refused to a page of another origin, even with the person's cookie."""
    visitor = visit(ANNA)
    token = visitor.page_token()
    assert visitor.connect(token, origin) == 403
    assert visitor.connect(token) == 101


@pytest.mark.attack(28)
def test_another_person_cannot_take_over_a_page(visit: Visit) -> None:
    """A page's token is worth nothing with another person's session, or with none."""
    anna, boris, stranger = visit(ANNA), visit(BORIS), visit()
    token = anna.page_token()
    assert boris.connect(token) == 403
    assert stranger.connect(token) == 403
    assert anna.connect(token) == 101


def test_a_forged_page_token_is_refused(visit: Visit) -> None:
    """A token that was changed, or names a page nobody opened, opens no connection."""
    visitor = visit(ANNA)
    payload, _, signature = visitor.page_token().partition(".")
    other = json.dumps({"session_id": "0" * 44, "session_expiry": 2**31}).encode()
    unknown = base64.urlsafe_b64encode(other).decode().rstrip("=")
    for token in (f"{unknown}.{signature}", "x", "", payload[::-1]):
        assert visitor.connect(token) in {403, 400}


@pytest.mark.parametrize(
    "path",
    ["/deliveries?bokeh-session-id=chosen", "/deliveries/autoload.js?bokeh-autoload-element=1", "/deliveries/metadata"],
)
def test_no_page_is_handed_out_another_way(visit: Visit, path: str) -> None:
    """A session cannot be chosen beforehand, and no script of another origin gets a page's token."""
    visitor = visit(ANNA)
    answer = visitor.http.get(path)
    assert answer.status_code in {302, 404}
    assert '"token"' not in answer.text


@pytest.mark.parametrize("path", ["/login", "/deliveries", "/health/live", "/nowhere", "/favicon.svg"])
@pytest.mark.promise("page-runs-no-text")
def test_every_answer_carries_the_policy(visit: Visit, path: str) -> None:
    """Each with a nonce of its own, and without unsafe-eval, foreign hosts or framing."""
    visitor = visit(ANNA)
    policies = [visitor.http.get(path).headers["content-security-policy"] for _ in range(2)]
    assert policies[0] != policies[1]
    assert "unsafe-eval" not in policies[0]
    assert "http" not in policies[0]
    assert "frame-ancestors 'none'" in policies[0]
    assert "script-src 'self' 'nonce-" in policies[0]
    assert "'unsafe-inline'" not in policies[0].partition("style-src")[0]


def test_an_unknown_address_says_so(visit: Visit) -> None:
    """With a page of our own that does not repeat the address."""
    answer = visit().http.get("/nowhere-at-all")
    assert answer.status_code == 404
    assert "There is nothing at this address." in answer.text
    assert "nowhere-at-all" not in answer.text


@pytest.mark.parametrize("value", ["é", "x" * 5000, "a b", '"', "%00", "=;=", ""], ids=repr)
def test_a_strange_cookie_leads_to_the_login(dashboard: Dashboard, value: str) -> None:
    """Whatever a browser sends in place of a token, nobody is logged in and nothing fails."""
    header = f"{COOKIE}={value}".encode()
    answer = httpx.get(dashboard.url + "/deliveries", headers={b"Cookie": header}, trust_env=False)
    assert answer.status_code == 302
    assert answer.headers["location"] == "./login?next=%2Fdeliveries"
