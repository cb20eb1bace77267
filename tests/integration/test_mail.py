"""Mails handed to a real mail server."""

from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.smtp import PASSWORD, USER, Letterbox, mail_server, make_certificate

from aiops_core.errors import ConfigInvalid
from aiops_host.settings import Settings
from aiops_host.trust.mail import Mail, Mailer, MailFailed, make_mailer

MAIL = Mail(to="ben@a.example", subject="Hello Bén", text="A link: https://desk.example/x?token=1\n")


def mailer(url: str, sender: str = "AI Ops <ops@mail.example>") -> Mailer:
    """Return the mailer of a mail server's address."""
    made = make_mailer(Settings(smtp_url=url, mail_from=sender))
    assert made is not None
    return made


def address(box: Letterbox, scheme: str, password: str = PASSWORD) -> str:
    """Return the address of a server that knows one user."""
    return f"{scheme}://{quote(USER, safe='')}:{quote(password, safe='')}@localhost:{box.port}"


async def test_a_mail_arrives_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over STARTTLS, as the user of the settings, with sender, subject and text whole."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate) as box:
        await mailer(address(box, "smtp")).send(MAIL)
        (mail,) = box.mails
        assert box.encrypted == [True]
        assert (mail["From"], mail["To"], mail["Subject"]) == ("AI Ops <ops@mail.example>", MAIL.to, MAIL.subject)
        assert mail["Date"]
        assert mail["Message-ID"].endswith("@mail.example>")
        assert mail.get_content().replace("\r\n", "\n") == MAIL.text


async def test_a_mail_arrives_over_tls_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``smtps`` speaks TLS before anything else."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate, implicit=True) as box:
        await mailer(f"smtps://localhost:{box.port}").send(MAIL)
        assert box.encrypted == [True]


async def test_a_mail_is_not_sent_in_clear(tmp_path: Path) -> None:
    """A server that offers no STARTTLS gets nothing by ``smtp``; in clear it takes a word of its own."""
    with mail_server() as box:
        with pytest.raises(MailFailed, match="STARTTLS"):
            await mailer(f"smtp://localhost:{box.port}").send(MAIL)
        assert box.mails == []
        await mailer(f"smtp+plain://localhost:{box.port}").send(MAIL)
        assert box.encrypted == [False]


async def test_a_server_nobody_vouches_for_gets_nothing(tmp_path: Path) -> None:
    """A certificate of no known authority, or of another host, ends the connection before the password."""
    certificate = make_certificate(tmp_path)
    with mail_server(certificate) as box:
        with pytest.raises(MailFailed, match="certificate"):
            await mailer(address(box, "smtp")).send(MAIL)
        assert box.mails == []


async def test_a_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name in the certificate must be the server's."""
    certificate = make_certificate(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate) as box:
        with pytest.raises(MailFailed, match="certificate"):
            await mailer(address(box, "smtp")).send(MAIL)
        assert box.mails == []


async def test_failures_are_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password, a refusal and a server that is away are each told in a sentence, without the password."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate) as box:
        with pytest.raises(MailFailed, match="535") as wrong:
            await mailer(address(box, "smtp", "canary-0815")).send(MAIL)
        assert "canary-0815" not in str(wrong.value)
        box.refuses = "552 no room left"
        with pytest.raises(MailFailed, match="552 no room left"):
            await mailer(address(box, "smtp")).send(MAIL)
        port = box.port
    with pytest.raises(MailFailed, match=f"localhost:{port} cannot be used"):
        await mailer(f"smtp+plain://localhost:{port}").send(MAIL)


async def test_an_address_cannot_add_headers() -> None:
    """A line break in an address or subject is refused, not sent."""
    with mail_server() as box:
        for broken in (
            Mail(to="a@b.example\nBcc: c@d.example", subject="x", text="x"),
            Mail(to="a@b.example", subject="x\nBcc: c@d.example", text="x"),
        ):
            with pytest.raises(MailFailed):
                await mailer(f"smtp+plain://localhost:{box.port}").send(broken)
        assert box.mails == []


@pytest.mark.parametrize(
    ("url", "sender", "says"),
    [
        ("http://mail.example", "a@b.example", "smtp://"),
        ("smtp://", "a@b.example", "with a host"),
        ("smtp://mail.example:port", "a@b.example", "AIOPS_SMTP_URL"),
        ("smtp://mail.example", "", "AIOPS_MAIL_FROM"),
        ("smtp+plain://user:secret@mail.example", "a@b.example", "in clear"),
    ],
)
def test_settings_that_cannot_work_are_refused(url: str, sender: str, says: str) -> None:
    """The message names the setting and what to change, and never the password."""
    with pytest.raises(ConfigInvalid, match=says) as refused:
        make_mailer(Settings(smtp_url=url, mail_from=sender))
    assert "secret" not in str(refused.value)


def test_without_a_server_nothing_is_mailed() -> None:
    """No setting, no mailer; what shows a mailer shows no password."""
    assert make_mailer(Settings()) is None
    assert "p@ss" not in repr(mailer(f"smtp://{quote(USER)}:{quote(PASSWORD, safe='')}@localhost"))
