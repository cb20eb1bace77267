"""Invitations and new passwords by one-time links."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar
from tests.integration.web.conftest import PASSWORD, Bell, Staff
from tests.support.databases import DatabaseUrls, TwoTenants, execute_as_superuser
from tests.support.smtp import Letterbox, mail_server

from aiops_core import PluginManager
from aiops_host.data import audit
from aiops_host.data.audit import AuditFilters
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.accounts import put_user
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

NEW = "a fresh horse battery"
BEN = "ben@a.example"


@pytest.fixture
def letterbox() -> Iterator[Letterbox]:
    """A mail server."""
    with mail_server() as box:
        yield box


@pytest.fixture
async def mailing(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, letterbox: Letterbox
) -> AsyncIterator[tuple[Litestar, httpx.AsyncClient]]:
    """The application with a mail server, and a client of it."""
    url = f"smtp+plain://localhost:{letterbox.port}"
    app = create_app(
        msgspec.structs.replace(settings, smtp_url=url, mail_from="ops@aiops.example"), plugins, opened, vault, bell
    )
    async with client_of(app) as client:
        yield app, client


@asynccontextmanager
async def client_of(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the application."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="https://aiops.example") as client:
        yield client


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any], headers: Any = None) -> httpx.Response:
    """Post to the API; the client forgets cookies."""
    answer = await http.post(f"/api/v1{path}", json=body, headers=headers)
    http.cookies.clear()
    return answer


async def log_in(http: httpx.AsyncClient, email: str, password: str) -> int:
    """Return how a login is answered."""
    return (await post(http, "/login", {"email": email, "password": password})).status_code


def token_of(url: str, page: str) -> str:
    """Return the token in a link to a page of the dashboard."""
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.path) == ("http", "127.0.0.1:8001", f"/{page}")
    return parse_qs(parts.query)["token"][0]


async def invited(http: httpx.AsyncClient, headers: Any, email: str = BEN, **more: Any) -> str:
    """Invite somebody and return the link's token."""
    answer = await post(http, "/invitations", {"email": email, **more}, headers)
    assert answer.status_code == 201, answer.text
    return token_of(answer.json()["link"]["url"], "invitation")


@pytest.mark.promise("links-once")
async def test_an_invitation_is_accepted_once(http: httpx.AsyncClient, staff: Staff, two_tenants: TwoTenants) -> None:
    """Printed where nothing is mailed, the link says what it is for, makes the person, and is spent."""
    token = await invited(http, staff.admin_a, "Ben@A.example", role="read-only")
    looked = (await post(http, "/invitations/look", {"token": token})).json()
    assert (looked["email"], looked["tenant"], looked["role"]) == (BEN, "tenant-a", "read-only")
    weak = await post(http, "/invitations/accept", {"token": token, "password": "short"})
    assert (weak.status_code, weak.json()["code"]) == (422, "password-refused")
    accepted = await post(http, "/invitations/accept", {"token": token, "password": NEW})
    assert accepted.status_code == 200
    for path, body in (("look", {}), ("accept", {"password": NEW})):
        spent = await post(http, f"/invitations/{path}", {"token": token, **body})
        assert (spent.status_code, spent.json()["code"]) == (410, "link-spent")
    assert await log_in(http, BEN, NEW) == 200
    members = (await http.get("/api/v1/members", headers=staff.admin_a)).json()["items"]
    assert [m["role"] for m in members if m["email"] == BEN] == ["read-only"]
    assert (await http.get("/api/v1/invitations", headers=staff.admin_a)).json() == []


@pytest.mark.promise("links-once")
async def test_an_invitation_is_no_way_to_somebody_elses_account(
    http: httpx.AsyncClient, staff: Staff, opened: Database
) -> None:
    """Who invites an address that has an account learns nothing of it, and cannot choose its password."""
    await put_user(opened, "root@example.com", PASSWORD, platform_admin=True)
    known = await post(http, "/invitations", {"email": "root@example.com"}, staff.admin_a)
    unknown = await post(http, "/invitations", {"email": "nobody@example.com"}, staff.admin_a)
    assert known.status_code == unknown.status_code == 201
    assert known.json().keys() == unknown.json().keys()
    token = token_of(known.json()["link"]["url"], "invitation")
    assert (await post(http, "/invitations/look", {"token": token})).json().keys() == {
        "email",
        "tenant",
        "name",
        "role",
        "expires_at",
    }
    refused = await post(http, "/invitations/accept", {"token": token, "password": NEW})
    assert (refused.status_code, refused.json()["code"]) == (401, "login-refused")
    assert await log_in(http, "root@example.com", NEW) == 401
    assert (await post(http, "/invitations/accept", {"token": token, "password": PASSWORD})).status_code == 200
    assert await log_in(http, "root@example.com", PASSWORD) == 200


async def test_guesses_at_an_invitation_lock_the_account(
    http: httpx.AsyncClient, staff: Staff, opened: Database
) -> None:
    """An invitation to a known address is no way around the lockout."""
    await put_user(opened, BEN, PASSWORD)
    token = await invited(http, staff.admin_a)
    for _ in range(5):
        await post(http, "/invitations/accept", {"token": token, "password": NEW})
    assert await log_in(http, BEN, PASSWORD) == 401


async def test_who_is_logged_in_accepts_without_a_password(
    http: httpx.AsyncClient, staff: Staff, opened: Database
) -> None:
    """An invitation to one's own address is accepted by session; one to another address is not."""
    token = await invited(http, staff.admin_a, "person-3@example.com")
    other = await post(http, "/me/invitations", {"token": token}, staff.reader_a)
    assert other.status_code == 401
    assert (await post(http, "/me/invitations", {"token": token}, staff.admin_b)).status_code == 200
    members = (await http.get("/api/v1/members", headers=staff.admin_a)).json()["items"]
    assert "person-3@example.com" in [m["email"] for m in members]


async def test_a_link_ends_by_itself_or_when_it_is_taken_back(
    http: httpx.AsyncClient, staff: Staff, database: DatabaseUrls
) -> None:
    """Expired, withdrawn, or replaced by a newer one, a link leads nowhere; nobody withdraws another tenant's."""
    first = await invited(http, staff.admin_a)
    second = await invited(http, staff.admin_a)
    assert (await post(http, "/invitations/look", {"token": first})).status_code == 410
    (listed,) = (await http.get("/api/v1/invitations", headers=staff.admin_a)).json()
    assert (listed["email"], listed["invited_by"]) == (BEN, "person-0@example.com")
    path = f"/api/v1/invitations/{listed['id']}"
    assert (await http.delete(path, headers=staff.admin_b)).status_code == 404
    assert (await post(http, "/invitations/look", {"token": second})).status_code == 200
    assert (await http.delete(path, headers=staff.admin_a)).status_code == 204
    assert (await post(http, "/invitations/look", {"token": second})).status_code == 410
    third = await invited(http, staff.admin_a)
    await execute_as_superuser(database.superuser, "update invitation set expires_at = now()")
    for path, body in (("look", {}), ("accept", {"password": NEW})):
        assert (await post(http, f"/invitations/{path}", {"token": third, **body})).status_code == 410
    assert (await http.get("/api/v1/invitations", headers=staff.admin_a)).json() == []


async def test_who_belongs_there_is_not_invited(http: httpx.AsyncClient, staff: Staff) -> None:
    """Inviting a member is refused, with the hint to change the role; technicians invite nobody."""
    refused = await post(http, "/invitations", {"email": "Person-1@example.com"}, staff.admin_a)
    assert (refused.status_code, refused.json()["code"]) == (409, "already-member")
    assert (await post(http, "/invitations", {"email": BEN}, staff.technician_a)).status_code == 403
    assert (await post(http, "/invitations", {"email": "no address"}, staff.admin_a)).status_code == 400


async def test_an_invitation_is_mailed(
    mailing: tuple[Litestar, httpx.AsyncClient], letterbox: Letterbox, staff: Staff
) -> None:
    """With a mail server the person has the link and whoever invited has not, unless they ask for it instead."""
    _, http = mailing
    sent = (await post(http, "/invitations", {"email": BEN, "role": "technician"}, staff.admin_a)).json()
    assert (sent["link"]["mailed"], sent["link"]["url"], sent["link"]["problem"]) == (True, None, None)
    (mail,) = letterbox.mails
    assert (mail["To"], mail["From"]) == (BEN, "ops@aiops.example")
    text = mail.get_content()
    assert "person-0@example.com invites you to work on the tickets of tenant-a" in text
    (url,) = re.findall(r"http\S+", text)
    accepted = await post(http, "/invitations/accept", {"token": token_of(url, "invitation"), "password": NEW})
    assert accepted.status_code == 200
    assert await log_in(http, BEN, NEW) == 200
    shown = (await post(http, "/invitations", {"email": "c@a.example", "mail": False}, staff.admin_a)).json()
    assert (shown["link"]["mailed"], len(letterbox.mails)) == (False, 1)
    token_of(shown["link"]["url"], "invitation")


async def test_a_mail_that_fails_is_told_and_the_link_shown(
    mailing: tuple[Litestar, httpx.AsyncClient], letterbox: Letterbox, staff: Staff
) -> None:
    """The answer says what the mail server said, and holds the link, which works."""
    _, http = mailing
    letterbox.refuses = "554 not today"
    link = (await post(http, "/invitations", {"email": BEN}, staff.admin_a)).json()["link"]
    assert link["mailed"] is False
    assert "554 not today" in link["problem"]
    token = token_of(link["url"], "invitation")
    assert (await post(http, "/invitations/accept", {"token": token, "password": NEW})).status_code == 200


@pytest.mark.promise("links-once")
async def test_a_forgotten_password_is_chosen_anew_by_mail(
    mailing: tuple[Litestar, httpx.AsyncClient], letterbox: Letterbox, opened: Database
) -> None:
    """The link sets the password, ends every session and the lock, and is spent; an unknown address is told the same."""
    app, http = mailing
    await put_user(opened, BEN, PASSWORD)
    before = await post(http, "/login", {"email": BEN, "password": PASSWORD})
    session = {"Authorization": f"Bearer {before.json()['token']}"}
    for _ in range(5):
        await log_in(http, BEN, "wrong")
    known = await post(http, "/password/forgot", {"email": "BEN@a.example"})
    unknown = await post(http, "/password/forgot", {"email": "nobody@a.example"})
    assert (known.status_code, known.content) == (unknown.status_code, unknown.content)
    assert known.status_code == 202
    await _mails_sent(app)
    (mail,) = letterbox.mails
    assert mail["To"] == BEN
    (url,) = re.findall(r"http\S+", mail.get_content())
    token = token_of(url, "password")
    assert (await post(http, "/password/look", {"token": token})).json()["email"] == BEN
    assert (await post(http, "/password/reset", {"token": token, "password": "short"})).status_code == 400
    assert (await post(http, "/password/reset", {"token": token, "password": NEW})).status_code == 204
    assert (await http.get("/api/v1/me", headers=session)).status_code == 401
    assert (await log_in(http, BEN, NEW), await log_in(http, BEN, PASSWORD)) == (200, 401)
    for path, body in (("look", {}), ("reset", {"password": PASSWORD})):
        spent = await post(http, f"/password/{path}", {"token": token, **body})
        assert (spent.status_code, spent.json()["code"]) == (410, "link-spent")


async def test_nobodys_mailbox_is_flooded(
    mailing: tuple[Litestar, httpx.AsyncClient], letterbox: Letterbox, opened: Database
) -> None:
    """However often somebody asks, a person gets three mails in ten minutes, and one address may ask twenty times."""
    app, http = mailing
    await put_user(opened, BEN, PASSWORD)
    answers = [
        await http.post(
            "/api/v1/password/forgot",
            json={"email": BEN},
            headers={"X-Forwarded-For": "203.0.113.9"},
        )
        for _ in range(21)
    ]
    assert [a.status_code for a in answers] == [202] * 20 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    await _mails_sent(app)
    assert len(letterbox.mails) == 3


async def test_without_a_mail_server_nobody_is_promised_a_mail(http: httpx.AsyncClient) -> None:
    """The answer says whom to ask."""
    answer = await post(http, "/password/forgot", {"email": BEN})
    assert (answer.status_code, answer.json()["code"]) == (409, "mail-missing")


async def test_an_administrator_makes_a_person_who_chooses_a_password(
    http: httpx.AsyncClient, staff: Staff, database: DatabaseUrls
) -> None:
    """A platform administrator is made without a password; a later link changes it, an expired one does not."""
    made = await post(http, "/people", {"email": "Root@Example.com", "platform_admin": True}, staff.platform)
    assert made.status_code == 201
    person = made.json()["person"]
    assert (person["email"], person["platform_admin"]) == ("root@example.com", True)
    assert await log_in(http, "root@example.com", "") == 400
    token = token_of(made.json()["link"]["url"], "password")
    assert (await post(http, "/password/reset", {"token": token, "password": NEW})).status_code == 204
    assert await log_in(http, "root@example.com", NEW) == 200
    twice = await post(http, "/people", {"email": "root@example.com"}, staff.platform)
    assert (twice.status_code, twice.json()["code"]) == (409, "person-refused")
    again = await post(http, f"/people/{person['user_id']}/reset", {}, staff.platform)
    await execute_as_superuser(database.superuser, "update password_reset set expires_at = now()")
    old = token_of(again.json()["url"], "password")
    assert (await post(http, "/password/reset", {"token": old, "password": PASSWORD})).status_code == 410
    assert (await post(http, f"/people/{person['user_id']}/reset", {}, staff.admin_a)).status_code == 403


@pytest.mark.parametrize("kept_out", [False, True])
async def test_a_link_lets_nobody_in_who_is_kept_out(
    http: httpx.AsyncClient, staff: Staff, opened: Database, *, kept_out: bool
) -> None:
    """A link for a new password leads nowhere while its person is kept out."""
    user_id = await put_user(opened, BEN, PASSWORD)
    link = (await post(http, f"/people/{user_id}/reset", {}, staff.platform)).json()
    if kept_out:
        await http.put(f"/api/v1/people/{user_id}", headers=staff.platform, json={"active": False})
    token = token_of(link["url"], "password")
    answer = await post(http, "/password/reset", {"token": token, "password": NEW})
    assert answer.status_code == (410 if kept_out else 204)


async def test_no_link_is_stored(
    http: httpx.AsyncClient, staff: Staff, opened: Database, database: DatabaseUrls, two_tenants: TwoTenants
) -> None:
    """The database and the audit trail hold neither an invitation's nor a reset's token."""
    user_id = await put_user(opened, BEN, PASSWORD)
    tokens = [
        await invited(http, staff.admin_a, "c@a.example"),
        token_of((await post(http, f"/people/{user_id}/reset", {}, staff.platform)).json()["url"], "password"),
    ]
    con = await asyncpg.connect(database.superuser)
    names = ("invitation", "password_reset", "audit_entry", "app_user")
    dump = str([await con.fetch(f"select * from {name}") for name in names])  # noqa: S608 - named above
    await con.close()
    assert [t for t in tokens if t in dump] == []
    trail = await audit.list_(opened, two_tenants.a.tenant_id, AuditFilters(act="member."), limit=9)
    assert [(e.act, e.subject, e.details["sent"]) for e in trail.items] == [("member.invite", "c@a.example", "shown")]


@pytest.mark.parametrize("path", ["/invitations/accept", "/password/reset", "/password/forgot"])
async def test_another_sites_page_posts_no_links(http: httpx.AsyncClient, path: str) -> None:
    """What changes something without a session is refused from a page of another site."""
    body = {"email": BEN} if path.endswith("forgot") else {"token": "x", "password": NEW}
    answer = await post(http, path, body, {"Origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")


async def _mails_sent(app: Litestar) -> None:
    """Wait until what is mailed beside the answers has been."""
    parts = app.dependencies["parts"].dependency()  # type: ignore[union-attr]
    await parts.links.aclose()
