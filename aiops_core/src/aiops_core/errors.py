"""The errors plugins raise and what the host does about each.

The first sentence of each docstring is the default message. Messages name plugin, tenant or field, never a secret.
"""

from __future__ import annotations

import inspect


class AiopsError(Exception):
    """AI Ops could not do what was asked."""

    def __init__(self, message: str | None = None) -> None:
        """Take ``message``, or the first sentence of the class's docstring."""
        super().__init__(message or (inspect.getdoc(type(self)) or "").partition("\n")[0])


class ConfigInvalid(AiopsError):
    """The configuration has a field that is missing, unknown or of the wrong kind.

    Host: refuses the configuration and shows the message, which names the field.
    """


class PluginConflict(AiopsError):
    """Two installed plugins provide the same name.

    Host: refuses to start, exit code 2.
    """


class WebhookRejected(AiopsError):
    """The webhook carries no valid proof of its sender.

    Host: answers 401 and stores no body. ``check`` names the failed check for the operator's list of refusals.
    """

    def __init__(self, message: str | None = None, *, check: str = "proof") -> None:
        """Take the message and the name of the failed check, such as ``signature``."""
        super().__init__(message)
        self.check = check


class KeyProviderUnavailable(AiopsError):
    """The key provider does not answer.

    Host: answers webhooks with 503 and tries runs again; unwrapped keys are used for five minutes at most.
    """


class KeyProviderRefused(AiopsError):
    """The key provider refuses.

    Host: shows the message; secrets under the key stay closed.
    """


class PayloadInvalid(AiopsError):
    """The webhook's body cannot be read.

    Host: answers 202 and keeps the delivery as quarantined with the message as its reason.
    """


class HttpFailed(AiopsError):
    """The HTTP exchange did not complete.

    ``sent`` is False only when provably no byte of the request reached the peer (name lookup, refused
    connection, TLS, blocked by the egress rules).
    """

    def __init__(self, message: str | None = None, *, sent: bool) -> None:
        """Take the message and whether the request may have reached the peer."""
        super().__init__(message)
        self.sent = sent


class AnswerTooLarge(HttpFailed):
    """The peer answered more than the client reads."""

    def __init__(self, message: str | None = None) -> None:
        """Take the message; the request was sent."""
        super().__init__(message, sent=True)


class TicketingError(AiopsError):
    """The ticketing tool could not do what was asked."""


class TicketingUnavailable(TicketingError):
    """The ticketing tool is not answering or asks to wait, and the request was certainly not applied.

    Host: tries again after ``retry_after`` seconds, or by its own back-off.
    """

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        """Take the message and the wait the ticketing tool asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class EffectUnknown(TicketingError):
    """The ticketing tool may or may not have applied the write.

    Raised by writes for a timeout or reset after sending, 408, 5xx and an unreadable success.
    Host: looks for the effect's marker before it writes again.
    """


class EffectUnverifiable(TicketingError):
    """The ticketing tool cannot tell whether the write was applied.

    Host: parks the effect for a person.
    """


class AuthenticationFailed(TicketingError):
    """The ticketing tool refuses the connection's credentials.

    Host: pauses that connection, keeps its work and alerts once.
    """


class TicketNotFound(TicketingError):
    """The ticket does not exist or the connection's account may not see it.

    Host: gives the delivery up as a dead letter.
    """


class TicketingRefused(TicketingError):
    """The ticketing tool refuses the request for good.

    Host: gives the delivery up as a dead letter with the message as its reason.
    """


class ToolFailed(AiopsError):
    """The tool could not gather its evidence.

    Host: the run goes on without it and the note names it.
    """


class LLMUnavailable(AiopsError):
    """No LLM could be reached in time.

    Host: the note is posted without AI text and says so. ``retry_after`` is in seconds, ``attempts`` are the calls made.
    """

    attempts: tuple[object, ...] = ()

    def __init__(self, message: str | None = None, *, retry_after: float | None = None) -> None:
        """Take the message and the wait the LLM's service asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class LLMRefused(AiopsError):
    """The LLM's service refuses the request for good: wrong key, unknown model, no quota.

    Host: the next backend or model is asked; when none is left the note is posted without AI text.
    """

    attempts: tuple[object, ...] = ()


class BudgetExceeded(AiopsError):
    """The run has used up its time, calls or tokens.

    Host: ends the run; the note is posted with what was gathered so far. ``attempts`` are the calls made to models.
    """

    attempts: tuple[object, ...] = ()


class CallRefused(AiopsError):
    """The host does not let this call to a model be made.

    Backend: asks its next model; the message follows the model's name.
    """
