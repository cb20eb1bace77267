"""Logging in through an OpenID Connect provider."""

import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msgspec
import pytest
from argon2 import PasswordHasher
from joserfc.jwk import ECKey, RSAKey
from tests.integration.web.conftest import PASSWORD, Bell, Staff, refused_logins
from tests.support.databases import TwoTenants
from tests.support.provider import CLIENT, SECRET, Provider, running_provider
from tests.support.waiting import wait_for

from aiops_core import PluginManager
from aiops_core.errors import ConfigInvalid
from aiops_host.cli.installation import free_port
from aiops_host.data import audit, people
from aiops_host.data.audit import PLATFORM, AuditFilters
from aiops_host.data.session import Database
from aiops_host.settings import Settings
from aiops_host.trust.vault import Vault
from aiops_host.web.app import create_app

ANNA = "anna@a.example"
HOME = "https://aiops.example"


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A provider that vouches for Anna."""
    with running_provider() as found:
        yield found


@asynccontextmanager
async def client_with(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of an application with these settings."""
    app = create_app(settings, plugins, opened, vault, bell)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=HOME) as client:
        yield client
        await app.dependencies["parts"].dependency().oidc.aclose()  # type: ignore[union-attr]


@pytest.fixture
async def http(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, provider: Provider
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application that knows the provider."""
    known = msgspec.structs.replace(
        settings,
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_name="Harbor SSO",
    )
    async with client_with(known, plugins, opened, vault, bell) as client:
        yield client


@pytest.fixture
async def anna(opened: Database, two_tenants: TwoTenants) -> None:
    """A technician of tenant a, whose password is hashed at the lowest costs."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await people.put_user(opened, ANNA, cheap, roles={two_tenants.a.tenant_id: "technician"})


async def begin(http: httpx.AsyncClient) -> tuple[str, str, str]:
    """Begin a login, let the provider log its person in; return attempt, state and code."""
    begun = (await http.post("/api/v1/login/oidc")).json()
    async with httpx.AsyncClient() as browser:
        sent_back = await browser.get(begun["authorize_url"])
    assert sent_back.status_code == 302, sent_back.text
    parts = urlsplit(sent_back.headers["location"])
    assert (parts.netloc, parts.path) == ("127.0.0.1:8001", "/login/oidc")
    query = parse_qs(parts.query)
    return begun["attempt"], query["state"][0], query["code"][0]


async def finish(http: httpx.AsyncClient, attempt: str, state: str, code: str) -> httpx.Response:
    """Bring back what the provider sent along; the client forgets the cookie."""
    body = {"attempt": attempt, "state": state, "code": code}
    answer = await http.post("/api/v1/login/oidc/finish", json=body)
    http.cookies.clear()
    return answer


async def log_in(http: httpx.AsyncClient) -> httpx.Response:
    """Log in through the provider."""
    return await finish(http, *await begin(http))


async def me(http: httpx.AsyncClient, answer: httpx.Response) -> dict[str, Any]:
    """Return who a login's answer is a session of."""
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    found: dict[str, Any] = (await http.get("/api/v1/me", headers=headers)).json()
    return found


@pytest.mark.usefixtures("anna")
async def test_a_known_person_logs_in(http: httpx.AsyncClient, provider: Provider, opened: Database) -> None:
    """Whom the provider vouches for has a session that says how it was opened; the password stays."""
    methods = (await http.get("/api/v1/login/methods")).json()
    assert methods == {"password": True, "provider": "Harbor SSO", "forgot": False}
    assert provider.asked == []  # nothing is asked before somebody logs in
    answer = await log_in(http)
    assert answer.status_code == 200, answer.text
    assert "httponly" in answer.headers["set-cookie"].lower()
    who = await me(http, answer)
    assert (who["email"], [t["role"] for t in who["tenants"]]) == (ANNA, ["technician"])
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    (session,) = (await http.get("/api/v1/me/sessions", headers=headers)).json()
    assert session["method"] == "oidc"
    assert (await http.post("/api/v1/login", json={"email": ANNA, "password": PASSWORD})).status_code == 200
    trail = await audit.list_(opened, PLATFORM, AuditFilters(act="person.bind"), limit=5)
    assert [(e.subject, e.details["issuer"]) for e in trail.items] == [(ANNA, provider.url)]
    assert (await log_in(http)).status_code == 200
    assert len((await audit.list_(opened, PLATFORM, AuditFilters(act="person.bind"), limit=5)).items) == 1


@pytest.mark.usefixtures("anna")
async def test_the_authorization_request_carries_all_guards(http: httpx.AsyncClient) -> None:
    """State, nonce and challenge are there, differ from each other and from login to login, and hide the attempt."""
    seen = []
    for _ in range(2):
        begun = (await http.post("/api/v1/login/oidc")).json()
        query = parse_qs(urlsplit(begun["authorize_url"]).query)
        values = [query[name][0] for name in ("state", "nonce", "code_challenge")]
        assert begun["attempt"] not in begun["authorize_url"]
        assert query["scope"] == ["openid email"]
        seen += [*values, begun["attempt"]]
    assert len(set(seen)) == 8


@pytest.mark.usefixtures("anna")
@pytest.mark.promise("provider-trusted-for-its-word")
async def test_a_code_opens_nothing_in_another_browser(http: httpx.AsyncClient) -> None:
    """Neither somebody else's code and state, nor their code with one's own state, log anybody in; a code is one-time."""
    mine, theirs = await begin(http), await begin(http)
    foreign_state = await finish(http, mine[0], theirs[1], theirs[2])
    foreign_code = await finish(http, mine[0], mine[1], theirs[2])
    wrong_state = await finish(http, mine[0], theirs[1], mine[2])
    for answer in (foreign_state, foreign_code, wrong_state):
        assert (answer.status_code, answer.json()["code"]) == (401, "provider-refused")
    assert (await finish(http, *mine)).status_code == 200
    assert (await finish(http, *mine)).status_code == 401


def _set(**claims: Any) -> Callable[[dict[str, Any]], None]:
    return lambda token: token.update(claims)


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda token: token.__delitem__(name)


FLAWS: dict[str, Callable[[dict[str, Any]], None]] = {
    "another nonce": _set(nonce="x"),
    "no nonce": _without("nonce"),
    "another issuer": _set(iss="https://evil.example"),
    "no issuer": _without("iss"),
    "another audience": _set(aud="somebody else"),
    "another audience too": _set(aud=[CLIENT, "somebody else"]),
    "made for another": _set(azp="somebody else"),
    "expired": _set(exp=int(time.time()) - 3600),
    "no end": _without("exp"),
    "from the future": _set(iat=int(time.time()) + 7200),
    "no subject": _without("sub"),
    "an empty subject": _set(sub=""),
    "address not verified": _set(email_verified=False),
    "address said to be verified": _set(email_verified="true"),
    "nothing said of the address": _without("email_verified"),
    "no address": _set(email=None),
}


@pytest.mark.usefixtures("anna")
@pytest.mark.parametrize("flaw", FLAWS)
@pytest.mark.promise("provider-trusted-for-its-word", figure="16 flaws")
async def test_a_token_with_a_flaw_opens_nothing(http: httpx.AsyncClient, provider: Provider, flaw: str) -> None:
    """Each claim that is wrong or missing is refused, though the signature is right."""
    provider.change = FLAWS[flaw]
    answer = await log_in(http)
    assert (answer.status_code, answer.json()["code"]) == (401, "provider-refused")


@pytest.mark.usefixtures("anna")
@pytest.mark.parametrize("how", ["by nobody", "with the public key", "by another key", "in another shape"])
async def test_a_token_signed_by_another_opens_nothing(http: httpx.AsyncClient, provider: Provider, how: str) -> None:
    """Unsigned, signed with what everybody knows, or with a key of the same name that is not the provider's."""
    other = Provider(key=RSAKey.generate_key(2048, {"kid": "one"}))
    provider.sign = {
        "by nobody": provider.unsigned,
        "with the public key": provider.shared,
        "by another key": other.signed,
        "in another shape": lambda _token: "no token",
    }[how]
    answer = await log_in(http)
    assert (answer.status_code, answer.json()["code"]) == (401, "provider-refused")


@pytest.mark.usefixtures("anna")
async def test_new_keys_of_the_provider_are_fetched(http: httpx.AsyncClient, provider: Provider) -> None:
    """Keys are kept, and asked for again when a token names another, though not at every such token."""
    for _ in range(2):
        assert (await log_in(http)).status_code == 200
    assert provider.asked.count("/keys") == 1
    parts = http._transport.app.dependencies["parts"].dependency()  # type: ignore[attr-defined]
    provider.key = ECKey.generate_key("P-256", {"kid": "two"})
    parts.oidc.provider._keys = (time.monotonic() - 61, parts.oidc.provider._keys[1])
    assert (await log_in(http)).status_code == 200
    provider.key = ECKey.generate_key("P-256", {"kid": "three"})
    assert (await log_in(http)).status_code == 401
    assert provider.asked.count("/keys") == 2


@pytest.mark.promise("provider-trusted-for-its-word")
async def test_a_stranger_is_told_to_ask_for_an_invitation(
    http: httpx.AsyncClient, staff: Staff, opened: Database
) -> None:
    """Who is neither known nor invited does not come in, though the provider vouches for them; nobody is named for it."""
    answer = await log_in(http)
    assert (answer.status_code, answer.json()["code"]) == (401, "not-invited")
    page = (await http.get("/api/v1/people", headers=staff.platform)).json()
    assert ANNA not in [p["email"] for p in page["items"]]
    assert await refused_logins(http, opened) == [("", "oidc", "not-invited", 1)]


async def test_an_invited_person_comes_in_without_a_password(http: httpx.AsyncClient, staff: Staff) -> None:
    """The provider's word for the address accepts the invitations to it."""
    for headers, role in ((staff.admin_a, "technician"), (staff.admin_b, "read-only")):
        await http.post("/api/v1/invitations", headers=headers, json={"email": ANNA, "role": role})
    answer = await log_in(http)
    assert answer.status_code == 200, answer.text
    assert [(t["slug"], t["role"]) for t in (await me(http, answer))["tenants"]] == [
        ("tenant-a", "technician"),
        ("tenant-b", "read-only"),
    ]
    for password in ("x", PASSWORD):
        refused = await http.post("/api/v1/login", json={"email": ANNA, "password": password})
        assert refused.status_code == 401


async def test_a_password_somebody_else_chose_goes_with_the_proof(http: httpx.AsyncClient, staff: Staff) -> None:
    """Who invited an address and followed the link themself is out, with all they made, once its owner comes."""
    invited = await http.post("/api/v1/invitations", headers=staff.admin_a, json={"email": ANNA})
    token = parse_qs(urlsplit(invited.json()["link"]["url"]).query)["token"][0]
    await http.post("/api/v1/invitations/accept", json={"token": token, "password": PASSWORD})
    squatter = await http.post("/api/v1/login", json={"email": ANNA, "password": PASSWORD})
    http.cookies.clear()
    theirs = {"Authorization": f"Bearer {squatter.json()['token']}"}
    made = await http.post("/api/v1/me/tokens", headers=theirs, json={"name": "x"})
    by_token = {"Authorization": f"Bearer {made.json()['token']}"}
    assert (await http.get("/api/v1/me", headers=by_token)).status_code == 200
    owner = await log_in(http)
    assert owner.status_code == 200
    assert [(await http.get("/api/v1/me", headers=h)).status_code for h in (theirs, by_token)] == [401, 401]
    again = await http.post("/api/v1/login", json={"email": ANNA, "password": PASSWORD})
    assert again.status_code == 401
    assert (await me(http, owner))["email"] == ANNA


@pytest.mark.usefixtures("anna")
async def test_an_address_given_to_somebody_else_opens_nothing(
    http: httpx.AsyncClient, provider: Provider, opened: Database
) -> None:
    """Once bound to the provider's name for a person, the account is theirs: a new owner of the address is refused."""
    assert (await log_in(http)).status_code == 200
    provider.claims = {**provider.claims, "sub": "0815"}
    answer = await log_in(http)
    assert (answer.status_code, answer.json()["code"]) == (401, "not-invited")
    assert await refused_logins(http, opened) == [(ANNA, "oidc", "not-theirs", 1)]
    provider.claims = {"sub": "4711", "email": "anna.new@a.example", "email_verified": True}
    renamed = await log_in(http)
    assert (await me(http, renamed))["email"] == ANNA


@pytest.mark.usefixtures("anna")
async def test_a_person_who_is_kept_out_stays_out(http: httpx.AsyncClient, staff: Staff, opened: Database) -> None:
    """Before and after the first login through the provider."""
    found = (await http.get("/api/v1/people", headers=staff.platform)).json()["items"]
    path = f"/api/v1/people/{next(p['user_id'] for p in found if p['email'] == ANNA)}"
    for _ in range(2):
        await http.put(path, headers=staff.platform, json={"active": False})
        assert (await log_in(http)).status_code == 401
        await http.put(path, headers=staff.platform, json={"active": True})
        assert (await log_in(http)).status_code == 200
    assert await refused_logins(http, opened) == [(ANNA, "oidc", "deactivated", 2)]


@pytest.mark.usefixtures("anna")
async def test_an_address_may_stand_beside_the_token(http: httpx.AsyncClient, provider: Provider) -> None:
    """Where the token has no address it is asked for; an answer about somebody else is refused."""
    provider.claims = {"sub": "4711"}
    provider.userinfo = {"sub": "4711", "email": ANNA, "email_verified": True}
    assert (await log_in(http)).status_code == 200
    provider.userinfo = {**provider.userinfo, "sub": "0815"}
    assert (await log_in(http)).status_code == 401


@pytest.mark.parametrize(
    ("flaw", "configuration"),
    [
        ("away", {}),
        ("huge", {}),
        ("", {"issuer": "https://evil.example"}),
        ("", {"token_endpoint": "http://evil.example/token"}),
        ("", {"jwks_uri": 4711}),
    ],
)
async def test_a_provider_that_cannot_be_used_is_told_plainly(
    http: httpx.AsyncClient, provider: Provider, flaw: str, configuration: dict[str, Any]
) -> None:
    """Away, answering without end, claiming to be another, or naming an address in clear: 503, and a way around."""
    provider.flaw, provider.configuration = flaw, configuration
    answer = await http.post("/api/v1/login/oidc")
    assert (answer.status_code, answer.json()["code"]) == (503, "provider-away")
    assert "log in with a password" in answer.json()["detail"]


async def test_another_sites_page_begins_no_login(http: httpx.AsyncClient) -> None:
    """Both halves are refused from a page of another site."""
    for path, body in (("", None), ("/finish", {"attempt": "a", "state": "s", "code": "c"})):
        answer = await http.post(f"/api/v1/login/oidc{path}", headers={"Origin": "https://evil.example"}, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign-origin")


@pytest.mark.parametrize(
    ("issuer", "client", "says"),
    [
        ("http://login.example", CLIENT, "https"),
        ("login.example", CLIENT, "https"),
        ("https://login.example", "", "AIOPS_OIDC_CLIENT_ID"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, issuer: str, client: str,
    says: str,
) -> None:  # fmt: skip
    """The message names what to change, before anything is asked of anybody."""
    wrong = msgspec.structs.replace(settings, oidc_issuer=issuer, oidc_client_id=client)
    with pytest.raises(ConfigInvalid, match=says):
        create_app(wrong, plugins, opened, vault, bell)


@pytest.fixture
def other_make() -> Iterator[str]:
    """A provider process nobody here wrote, which vouches for Anna; its address."""
    port = free_port()
    claims = msgspec.json.encode({"sub": "anna", "email": ANNA, "email_verified": True}).decode()
    options = ["-p", str(port), "--require-nonce", "true", "--user-claims", claims]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _answers(f"{url}/.well-known/openid-configuration"), "the provider to answer")
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.usefixtures("anna")
async def test_a_provider_of_other_make_works(
    settings: Settings, plugins: PluginManager, opened: Database, vault: Vault, bell: Bell, *, other_make: str
) -> None:
    """A login through a provider process nobody here wrote opens a session."""
    known = msgspec.structs.replace(settings, oidc_issuer=other_make, oidc_client_id="aiops", oidc_client_secret="s")
    async with client_with(known, plugins, opened, vault, bell) as http:
        begun = (await http.post("/api/v1/login/oidc")).json()
        async with httpx.AsyncClient() as browser:
            page = await browser.get(begun["authorize_url"])
            assert "<form" in page.text
            sent_back = await browser.post(begun["authorize_url"], data={"sub": "anna"})
        query = parse_qs(urlsplit(sent_back.headers["location"]).query)
        answer = await finish(http, begun["attempt"], query["state"][0], query["code"][0])
        assert answer.status_code == 200, answer.text
        assert (await me(http, answer))["email"] == ANNA


def test_no_secret_is_shown() -> None:
    """What holds the client's secret or an attempt prints neither."""
    from aiops_host.trust.identity import IdentityProvider  # noqa: PLC0415
    from aiops_host.trust.oidc import Attempt  # noqa: PLC0415

    provider = IdentityProvider(issuer="https://x", client_id="c", client_secret="canary", redirect_uri="https://y")
    assert not re.search("canary", f"{provider!r} {Attempt(authorize_url='x', attempt='canary')!r}")
