"""An OpenID Connect provider over real HTTP that keeps the rules, or breaks one of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT, SECRET = "ai ops", "s3cret/with?signs"

Change = Callable[[dict[str, Any]], None]


@cache
def first_key() -> RSAKey:
    """Return the key providers begin with; making one takes long."""
    return RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class Provider:
    """What it says, whom it vouches for, and what was asked of it; ``claims`` are those of whoever logs in next."""

    url: str = ""
    key: RSAKey | ECKey = field(default_factory=first_key)
    claims: dict[str, Any] = field(
        default_factory=lambda: {"sub": "4711", "email": "anna@a.example", "email_verified": True}
    )
    configuration: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] | None = None
    change: Change = lambda _token: None
    sign: Callable[[dict[str, Any]], str] | None = None
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    flaw: str = ""

    def authorize(self, query: dict[str, str]) -> str:
        """Log the person in at once; return where the browser is sent back to."""
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert "openid" in query["scope"].split()
        assert query["code_challenge_method"] == "S256"
        assert len(query["code_challenge"]) == 43
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Redeem a code, once, for who proves to have begun; ``None`` refuses."""
        asked = self.codes.pop(form.get("code", ""), None)
        kind, _, encoded = authorization.partition(" ")
        pair = base64.b64decode(encoded).decode() if kind == "Basic" else ":"
        client, _, secret = (unquote(part) for part in pair.partition(":"))
        proof = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        good = (
            asked is not None
            and (client, secret) == (CLIENT, SECRET)
            and form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == asked["redirect_uri"]
            and proof.decode().rstrip("=") == asked["code_challenge"]
        )
        if not good or asked is None:
            return None
        now = int(time.time())
        token = {"iss": self.url, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"], **self.claims}
        self.change(token)
        return {"access_token": "at", "token_type": "Bearer", "id_token": self.signed(token)}

    def signed(self, token: dict[str, Any]) -> str:
        """Return the ID token."""
        if self.sign is not None:
            return self.sign(token)
        algorithm = "RS256" if isinstance(self.key, RSAKey) else "ES256"
        return jwt.encode({"alg": algorithm, "kid": self.key.kid}, token, self.key)

    def shared(self, token: dict[str, Any]) -> str:
        """Return an ID token signed with the public key as if it were a shared secret."""
        signed = ".".join(_part(p) for p in ({"alg": "HS256", "kid": self.key.kid}, token))
        digest = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    @staticmethod
    def unsigned(token: dict[str, Any]) -> str:
        """Return an ID token nobody signed."""
        return ".".join(_part(p) for p in ({"alg": "none"}, token)) + "."

    def answer(self, path: str) -> dict[str, Any] | None:
        """Return what stands at an address."""
        if path == "/.well-known/openid-configuration":
            return {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/userinfo",
                **self.configuration,
            }
        if path == "/keys":
            return dict(KeySet([self.key]).as_dict(private=False))
        return self.userinfo if path == "/userinfo" else None


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            provider.asked.append(parts.path)
            if parts.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", provider.authorize(query))
                self.end_headers()
                return
            if provider.flaw == "away":
                self._send(500, {})
            elif provider.flaw == "huge":
                self._send(200, {"issuer": "x" * 400_000})
            else:
                found = provider.answer(parts.path)
                self._send(404 if found is None else 200, found or {})

        def do_POST(self) -> None:
            provider.asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            answer = provider.token(form, self.headers.get("Authorization", ""))
            self._send(200 if answer else 400, answer or {"error": "invalid_grant"})

        def _send(self, status: int, body: dict[str, Any]) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def running_provider() -> Iterator[Provider]:
    """Run a provider on a free port."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(provider))
    server.daemon_threads = True
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="provider")
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
