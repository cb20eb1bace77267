"""What every answer carries: a content security policy that lets no injected script run."""

from __future__ import annotations

import re
import secrets

from tornado import httputil, web

POLICY = (
    "default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
SCRIPT = re.compile(rb"<script(?=[\s>])")


class SecurityHeaders(web.OutputTransform):
    """Adds the policy to every answer and its nonce to the scripts a page was rendered with.

    Pages come from templates whose only variable parts are Bokeh's JSON and constants; a page title made of
    untrusted text would be given the nonce too, so titles are constants.
    """

    def transform_first_chunk(
        self, status_code: int, headers: httputil.HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, httputil.HTTPHeaders, bytes]:
        """Return the answer's head and first part with the policy in place."""
        nonce = secrets.token_urlsafe(16)
        headers["Content-Security-Policy"] = POLICY.format(nonce=nonce)
        for name, value in FIXED.items():
            headers[name] = value
        if "Server" in headers:
            del headers["Server"]
        if headers.get("Content-Type", "").startswith("text/html") and finishing:
            chunk = SCRIPT.sub(b'<script nonce="' + nonce.encode() + b'"', chunk)
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk


class CompressAssets(web.GZipContentEncoding):
    """Compresses scripts and styles, never pages: what a page reflects must not change the size of its secrets."""

    def _compressible_type(self, ctype: str) -> bool:
        return not ctype.startswith("text/html") and super()._compressible_type(ctype)
