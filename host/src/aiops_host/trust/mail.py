"""Mails with one-time links and about budgets, over the operator's mail server."""

from __future__ import annotations

import asyncio
import logging
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

from aiops_core.errors import AiopsError, ConfigInvalid
from aiops_host.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


class MailFailed(AiopsError):
    """The mail could not be handed to the mail server."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """A mail of plain text."""

    to: str
    subject: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Mailer:
    """The operator's mail server. ``smtp`` is encrypted by STARTTLS or refused, ``smtps`` from the first byte."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    sender: str

    def __repr__(self) -> str:
        return f"Mailer({self.scheme}://{self.host}:{self.port})"

    async def send(self, mail: Mail) -> None:
        """Hand a mail to the server.

        Raises:
            MailFailed: It was refused or the server cannot be reached; the message says which and by whom.
        """
        try:
            message = self._message(mail)
            await asyncio.to_thread(self._send, message)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = next(iter(error.recipients.values()))
            raise MailFailed(f"The mail server {self.host} refuses the address: {code} {_text(answer)}") from None
        except smtplib.SMTPResponseException as error:
            raise MailFailed(
                f"The mail server {self.host} refuses: {error.smtp_code} {_text(error.smtp_error)}"
            ) from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise MailFailed(f"The mail server {self.host}:{self.port} cannot be used: {error}") from None

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, mail.to, mail.subject
        message["Date"] = formatdate(usegmt=True)
        message["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2].strip("> ") or "localhost")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.text)
        return message

    def _send(self, message: EmailMessage) -> None:
        context = ssl.create_default_context()
        with self._connection(context) as server:
            if self.scheme == "smtp":
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message)

    def _connection(self, context: ssl.SSLContext) -> smtplib.SMTP:
        if self.scheme == "smtps":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_SECONDS, context=context)
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_SECONDS)


def make_mailer(settings: Settings) -> Mailer | None:
    """Return the mail server of the settings, ``None`` where there is none.

    Raises:
        ConfigInvalid: The address is not one, has no sender beside it, or would send a password in clear.
    """
    if not settings.smtp_url:
        return None
    try:
        parts = urlsplit(settings.smtp_url)
        port = parts.port
    except ValueError as error:
        raise ConfigInvalid(f"AIOPS_SMTP_URL: {error}.") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise ConfigInvalid(f"AIOPS_SMTP_URL must be one of {', '.join(f'{s}://' for s in PORTS)} with a host.")
    if "@" not in settings.mail_from:
        raise ConfigInvalid("Set AIOPS_MAIL_FROM to the address mails are sent from; AIOPS_SMTP_URL needs it.")
    if parts.scheme == "smtp+plain" and parts.username and not _is_loopback(parts.hostname):
        raise ConfigInvalid("AIOPS_SMTP_URL: smtp+plain:// would send the password in clear; use smtp:// or smtps://.")
    return Mailer(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        sender=settings.mail_from,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _text(answer: bytes | str) -> str:
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer
