"""One-time links: invitations and new passwords, mailed to the person or printed for whoever hands them on."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import datetime, timedelta
from urllib.parse import quote
from uuid import UUID

import msgspec

from aiops_core.errors import AiopsError
from aiops_host.data import members, people, resets
from aiops_host.data.audit import PLATFORM
from aiops_host.data.members import InvitationView, Invited, NewInvitation
from aiops_host.data.people import Person, TenantRole
from aiops_host.data.session import Database
from aiops_host.trust import audit
from aiops_host.trust.attempts import Attempts, TooManyAttempts
from aiops_host.trust.audit import STRANGER, Actor
from aiops_host.trust.mail import Mail, Mailer, MailFailed
from aiops_host.trust.passwords import check_email
from aiops_host.trust.sessions import TOKEN_BYTES, LoginRefused, Sessions, token_hash

log = logging.getLogger(__name__)

INVITATION_LIFETIME = timedelta(days=7)
RESET_LIFETIME = timedelta(hours=2)
MAX_LINK_TOKEN = 64
MAX_ASKED_BY, MAX_ASKED_FOR = 20, 3
"""Links for new passwords within ten minutes, by an address and for a person."""


class LinkSpent(AiopsError):
    """This link was used before, was taken back or has expired; ask for a new one."""


class AlreadyMember(AiopsError):
    """This person belongs to the tenant already; change their role instead."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a one-time link.

    ``mailed``: the person has it, and nobody else saw it. Otherwise ``url`` is for whoever asked to hand on, this once,
    and ``problem`` says why it was not mailed where it should have been.
    """

    mailed: bool
    url: str | None
    expires_at: datetime
    problem: str | None = None

    def __repr__(self) -> str:
        return f"Link(mailed={self.mailed!r}, expires_at={self.expires_at!r})"


class Links:
    """Makes one-time links and takes them back in."""

    def __init__(self, database: Database, sessions: Sessions, dashboard_url: str, mailer: Mailer | None) -> None:
        """Take who checks passwords, where the links lead, and the mail server, if there is one."""
        self._database = database
        self._sessions = sessions
        self._dashboard = dashboard_url
        self._mailer = mailer
        self._asked_by, self._asked_for = Attempts(MAX_ASKED_BY), Attempts(MAX_ASKED_FOR)
        self._mailing: set[asyncio.Task[None]] = set()

    @property
    def mails(self) -> bool:
        """Whether there is a mail server."""
        return self._mailer is not None

    async def invite(
        self, tenant: tuple[UUID, str], email: str, role: TenantRole, actor: Actor, *, mail: bool = True
    ) -> tuple[InvitationView, Link]:
        """Invite somebody into a tenant, given by id and name, in place of an earlier invitation to the same address.

        Whether the address is known elsewhere in the installation is not told.

        Raises:
            AlreadyMember: They belong to the tenant.
            PasswordRefused: It is no address.
        """
        check_email(email)
        tenant_id, token = tenant[0], secrets.token_urlsafe(TOKEN_BYTES)
        shown = not (mail and self.mails)
        new = NewInvitation(
            email=email,
            role=role,
            invited_by=actor.name,
            token_hash=token_hash(token),
            lifetime=INVITATION_LIFETIME,
            shown=shown,
        )
        async with self._database.tenant(tenant_id) as con:
            made = await members.invite(con, tenant_id, new)
            if made is None:
                raise AlreadyMember
            details = {"role": role, "sent": "shown" if shown else "mailed"}
            await audit.record(
                con, tenant_id=tenant_id, actor=actor, act="member.invite", subject=made.email, details=details
            )
        link = await self._deliver(_invitation(made, tenant[1], actor), "invitation", token, made.expires_at, shown)
        if link.problem:
            async with self._database.tenant(tenant_id) as con:
                await members.show_invitation(con, tenant_id, made.id)
        return made, link

    async def invited(self, token: str) -> Invited:
        """Return what an invitation's link leads to.

        Raises:
            LinkSpent: It leads nowhere any more.
        """
        found = await members.invited(self._database, token_hash(token)) if _usable(token) else None
        if found is None:
            raise LinkSpent
        return found

    async def accept(self, token: str, password: str, *, code: str | None = None, address: str = "") -> Invited:
        """Accept an invitation: with a password of one's own choice, or with the one of the person there is.

        Raises:
            LinkSpent: It leads nowhere any more.
            PasswordRefused: The person is new and the password is not usable.
            LoginRefused: The person is known, and the password is not theirs.
            CodeNeeded, CodeRefused, TooManyAttempts: As for a login.
        """
        found = await self.invited(token)
        if await people.candidate(self._database, found.email) is not None:
            await self._sessions.prove(found.email, password, code=code, address=address)
            hashed = ""
        else:
            hashed = await self._sessions.passwords.hash(password)
        return await self._join(found, token_hash(token), hashed)

    async def accept_as(self, person: Person, token: str) -> Invited:
        """Accept an invitation as who is logged in.

        Raises:
            LinkSpent: It leads nowhere any more.
            LoginRefused: It is for another address.
        """
        found = await self.invited(token)
        if found.email != person.email:
            raise LoginRefused("The invitation is for another address than yours.")
        return await self._join(found, token_hash(token), "")

    async def accept_proven(self, email: str) -> None:
        """Accept every invitation to an address whose owner a provider vouches for."""
        for hashed in await members.invitations_of(self._database, email):
            found = await members.invited(self._database, hashed)
            if found is not None:
                await self._join(found, hashed, "")

    async def reset(self, user_id: UUID, actor: Actor, *, mail: bool = True) -> Link:
        """Make a link by which a person chooses a new password.

        Raises:
            UnknownPerson: There is none of that id.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        shown = not (mail and self.mails)
        async with self._database.tenant(PLATFORM) as con:
            email = await members.email_of(con, user_id)
            ends = await resets.open_(con, token_hash(token), user_id, RESET_LIFETIME, shown=shown)
            details = {"sent": "shown" if shown else "mailed"}
            await audit.record(con, tenant_id=None, actor=actor, act="person.reset", subject=email, details=details)
        link = await self._deliver(_reset(email), "password", token, ends, shown)
        if link.problem:
            async with self._database.tenant(PLATFORM) as con:
                await resets.open_(con, token_hash(token), user_id, RESET_LIFETIME, shown=True)
        return link

    def forgot_soon(self, email: str, address: str) -> None:
        """Do :meth:`forgot` beside the answer, which comes as fast and says the same whether or not anybody is there.

        Raises:
            TooManyAttempts: The address asked too often. Too many asked for one person: nothing is sent.
        """
        self._asked_by.check(address)
        self._asked_by.failed(address)
        try:
            self._asked_for.check(email.lower())
        except TooManyAttempts:
            return
        self._asked_for.failed(email.lower())
        task = asyncio.create_task(self.forgot(email))
        self._mailing.add(task)
        task.add_done_callback(self._mailed)

    async def aclose(self) -> None:
        """Wait for the mails that are being sent."""
        await asyncio.gather(*self._mailing, return_exceptions=True)

    def _mailed(self, task: asyncio.Task[None]) -> None:
        self._mailing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("a link for a new password was not made: %s", error)

    async def forgot(self, email: str) -> None:
        """Mail a link to the person of the address, if there is one who may log in; nothing is told either way."""
        who = await people.candidate(self._database, email)
        if who is None or not who.active or self._mailer is None:
            return
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.tenant(PLATFORM) as con:
            await resets.open_(con, token_hash(token), who.user_id, RESET_LIFETIME, shown=False)
            await audit.record(con, tenant_id=None, actor=STRANGER, act="person.forgot", subject=who.email)
        try:
            await self._mailer.send(_mail(_reset(who.email), self._url("password", token)))
        except MailFailed as error:
            log.warning("a link for a new password was not mailed: %s", error)

    async def whose(self, token: str) -> resets.Reset:
        """Return whose password a link changes.

        Raises:
            LinkSpent: It leads nowhere any more.
        """
        found = await resets.look(self._database, token_hash(token)) if _usable(token) else None
        if found is None:
            raise LinkSpent
        return found

    async def choose_password(self, token: str, password: str) -> str:
        """Use a link up: the person has the new password, and is logged out everywhere; return their address.

        Raises:
            LinkSpent: It leads nowhere any more.
            PasswordRefused: The password is not usable; the link still is.
        """
        found = await self.whose(token)
        hashed = await self._sessions.passwords.hash(password)
        async with self._database.tenant(PLATFORM) as con:
            user_id = await resets.take(con, token_hash(token), hashed)
            if user_id is None:
                raise LinkSpent
            actor = audit.person(found.email, user_id)
            await audit.record(con, tenant_id=None, actor=actor, act="person.password", subject=found.email)
        return found.email

    async def withdraw(self, tenant_id: UUID, invitation_id: UUID, actor: Actor) -> None:
        """Take an invitation back.

        Raises:
            UnknownInvitation: The tenant has none of that id.
        """
        async with self._database.tenant(tenant_id) as con:
            email = await members.withdraw(con, tenant_id, invitation_id)
            await audit.record(con, tenant_id=tenant_id, actor=actor, act="member.uninvite", subject=email)

    async def _join(self, found: Invited, hashed_token: bytes, password_hash: str) -> Invited:
        async with self._database.tenant(found.tenant_id) as con:
            user_id = await members.accept(con, hashed_token, password_hash)
            if user_id is None:
                raise LinkSpent
            await audit.record(
                con,
                tenant_id=found.tenant_id,
                actor=audit.person(found.email, user_id),
                act="member.join",
                subject=found.email,
                details={"role": found.role},
            )
        return found

    async def _deliver(self, mail: Mail, page: str, token: str, ends: datetime, shown: bool) -> Link:
        url = self._url(page, token)
        if shown or self._mailer is None:
            return Link(mailed=False, url=url, expires_at=ends)
        try:
            await self._mailer.send(_mail(mail, url))
        except MailFailed as error:
            log.warning("a link was not mailed: %s", error)
            return Link(mailed=False, url=url, expires_at=ends, problem=str(error))
        return Link(mailed=True, url=None, expires_at=ends)

    def _url(self, page: str, token: str) -> str:
        return f"{self._dashboard}/{page}?token={quote(token)}"


def _usable(token: str) -> bool:
    return bool(token) and len(token) <= MAX_LINK_TOKEN and token.isascii()


def _mail(mail: Mail, url: str) -> Mail:
    return Mail(to=mail.to, subject=mail.subject, text=mail.text.replace("{url}", url))


def _invitation(made: InvitationView, tenant: str, actor: Actor) -> Mail:
    text = (
        f"{actor.name} invites you to work on the tickets of {tenant} in AI Ops.\n\n"
        "Follow this link within a week to accept; it works once:\n\n{url}\n\n"
        "If you did not expect this, do nothing.\n"
    )
    return Mail(to=made.email, subject="You are invited to AI Ops", text=text)


def _reset(email: str) -> Mail:
    text = (
        "Follow this link within two hours to choose a new password for AI Ops; it works once:\n\n{url}\n\n"
        "If you did not ask for it, do nothing: your password stays as it is.\n"
    )
    return Mail(to=email, subject="A new password for AI Ops", text=text)
