"""A strict stand-in for Vault's Transit engine, by its documented HTTP contract.

https://developer.hashicorp.com/vault/api-docs/secret/transit: it refuses what Vault refuses, and what Vault would let pass
silently, such as a field it does not know.
"""

import base64
import binascii
import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.a-token-of-the-tests"
NAME = r"(?P<name>\w(?:[\w.-]*\w)?)"


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status, *errors)
        self.status = status
        self.errors = list(errors)


@dataclass
class TransitKey:
    """A named key with its versions."""

    versions: dict[int, bytes] = field(default_factory=lambda: {1: secrets.token_bytes(32)})
    min_decryption_version: int = 1
    min_encryption_version: int = 0
    min_available_version: int = 0
    deletion_allowed: bool = False

    @property
    def latest(self) -> int:
        """The newest version."""
        return max(self.versions)


class Transit:
    """The engine: what it keeps and how it answers."""

    def __init__(self) -> None:
        self.keys: dict[str, TransitKey] = {}
        self.calls: list[str] = []
        self.sealed = False
        self.may_delete = True
        self._lock = threading.Lock()
        self._routes: list[tuple[str, str, frozenset[str], Callable[..., Any]]] = [
            ("GET", r"auth/token/lookup-self", frozenset(), lambda: {"id": TOKEN, "policies": ["aiops"]}),
            ("POST", rf"transit/keys/{NAME}", frozenset({"type"}), self._create),
            ("GET", rf"transit/keys/{NAME}", frozenset(), self._show),
            ("DELETE", rf"transit/keys/{NAME}", frozenset(), self._delete),
            ("POST", rf"transit/keys/{NAME}/rotate", frozenset(), self._rotate),
            (
                "POST",
                rf"transit/keys/{NAME}/config",
                frozenset({"min_decryption_version", "min_encryption_version", "deletion_allowed"}),
                self._configure,
            ),
            ("POST", rf"transit/keys/{NAME}/trim", frozenset({"min_available_version"}), self._trim),
            ("POST", rf"transit/encrypt/{NAME}", frozenset({"plaintext", "associated_data"}), self._encrypt),
            ("POST", rf"transit/decrypt/{NAME}", frozenset({"ciphertext", "associated_data"}), self._decrypt),
        ]

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        """Return the answer's ``data``, ``None`` for an empty one; raises :class:`Refused`."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            if self.sealed:
                raise Refused(503, "Vault is sealed")
            if headers.get("X-Vault-Token") != TOKEN:
                raise Refused(403, "permission denied")
            if headers.get("X-Vault-Request") != "true":
                raise Refused(412, "required header is missing")
            for verb, pattern, known, handler in self._routes:
                if verb == method and (match := re.fullmatch(pattern, path)):
                    return handler(*match.groups(), **self._fields(method, headers, body, known))
            raise Refused(404)

    @staticmethod
    def _fields(method: str, headers: Any, body: bytes, known: frozenset[str]) -> dict[str, Any]:
        if method != "POST":
            return {}
        if headers.get("Content-Type") != "application/json":
            raise Refused(400, "not JSON")
        try:
            values = json.loads(body)
        except ValueError:
            raise Refused(400, "failed to parse JSON input") from None
        if unknown := set(values) - known:
            raise Refused(400, f"the stand-in knows no field {sorted(unknown)}")
        return dict(values)

    def _create(self, name: str, type: str = "aes256-gcm96") -> None:
        if type != "aes256-gcm96":
            raise Refused(400, f"unknown key type {type}")
        self.keys.setdefault(name, TransitKey())

    def _show(self, name: str) -> dict[str, Any]:
        if name not in self.keys:
            raise Refused(404)
        key = self.keys[name]
        return {
            "name": name,
            "type": "aes256-gcm96",
            "latest_version": key.latest,
            "min_decryption_version": key.min_decryption_version,
            "min_encryption_version": key.min_encryption_version,
            "min_available_version": key.min_available_version,
            "deletion_allowed": key.deletion_allowed,
            "keys": {str(version): 1700000000 for version in key.versions},
        }

    def _delete(self, name: str) -> None:
        if not self.may_delete:
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        if not self._known(name).deletion_allowed:
            raise Refused(400, f"error deleting policy {name}: deletion is not allowed for this key")
        del self.keys[name]

    def _rotate(self, name: str) -> None:
        key = self._known(name)
        key.versions[key.latest + 1] = secrets.token_bytes(32)

    def _configure(self, name: str, **values: Any) -> None:
        if name not in self.keys:
            raise Refused(400, f"no existing key named {name} could be found")
        if not self.may_delete and "deletion_allowed" in values:
            raise Refused(403, "1 error occurred:\n\t* permission denied\n\n")
        key = self.keys[name]
        changed = {k: values.get(k, getattr(key, k)) for k in ("min_decryption_version", "min_encryption_version")}
        if max(changed.values()) > key.latest:
            raise Refused(400, f"cannot set min version, latest key version is {key.latest}")
        if 0 < changed["min_encryption_version"] < changed["min_decryption_version"]:
            raise Refused(400, "cannot set min encryption/decryption values")
        for attribute, value in values.items():
            setattr(key, attribute, value)

    def _trim(self, name: str, min_available_version: int) -> None:
        key = self._known(name)
        if 0 in (key.min_encryption_version, key.min_decryption_version):
            raise Refused(400, "minimum available version cannot be set when either is not set")
        if not key.min_available_version <= min_available_version <= key.min_decryption_version:
            raise Refused(400, "minimum available version is out of bounds")
        key.min_available_version = min_available_version
        key.versions = {v: value for v, value in key.versions.items() if v >= min_available_version}

    def _encrypt(self, name: str, plaintext: str, associated_data: str) -> dict[str, Any]:
        key, nonce = self._known(name), secrets.token_bytes(12)
        sealed = nonce + AESGCM(key.versions[key.latest]).encrypt(nonce, _decoded(plaintext), _decoded(associated_data))
        return {"ciphertext": f"vault:v{key.latest}:{base64.b64encode(sealed).decode()}", "key_version": key.latest}

    def _decrypt(self, name: str, ciphertext: str, associated_data: str) -> dict[str, Any]:
        key = self._known(name)
        match = re.fullmatch(r"vault:v(\d+):(.+)", ciphertext)
        if match is None:
            raise Refused(400, "invalid ciphertext: no prefix")
        version, sealed = int(match[1]), _decoded(match[2])
        if version < key.min_decryption_version or version not in key.versions:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            found = AESGCM(key.versions[version]).decrypt(sealed[:12], sealed[12:], _decoded(associated_data))
        except InvalidTag:
            raise Refused(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(found).decode()}

    def _known(self, name: str) -> TransitKey:
        if name not in self.keys:
            raise Refused(400, "encryption key not found")
        return self.keys[name]


class VaultServer:
    """The engine behind a real socket."""

    def __init__(self) -> None:
        self.transit = Transit()
        transit = self.transit

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                assert self.path.startswith("/v1/"), self.path
                try:
                    data = transit.answer(self.command, self.path.removeprefix("/v1/"), self.headers, body)
                    status, answer = (204, b"") if data is None else (200, json.dumps({"data": data}).encode())
                except Refused as refused:
                    status, answer = refused.status, json.dumps({"errors": refused.errors}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_DELETE = handle_any

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refused(400, "illegal base64 data") from None
