"""The errors plugins raise."""

from __future__ import annotations

import inspect

import pytest

from aiops_core import errors
from aiops_core.errors import AiopsError

ERRORS = [e for _, e in inspect.getmembers(errors, inspect.isclass) if issubclass(e, AiopsError)]


@pytest.mark.parametrize("error_type", ERRORS, ids=lambda e: e.__name__)
def test_default_message_is_the_first_sentence(error_type: type[AiopsError]) -> None:
    """An error raised without a message says its docstring's first sentence."""
    arguments = {"sent": False} if error_type is errors.HttpFailed else {}
    message = str(error_type(**arguments))
    assert message.endswith((".", "…"))
    assert message == (error_type.__doc__ or "").strip().splitlines()[0]


@pytest.mark.parametrize("error_type", ERRORS, ids=lambda e: e.__name__)
def test_given_message_is_kept(error_type: type[AiopsError]) -> None:
    """An error raised with a message says that."""
    arguments = {"sent": True} if error_type is errors.HttpFailed else {}
    assert str(error_type("Plugin desk: no such field.", **arguments)) == "Plugin desk: no such field."


def test_error_without_docstring_says_its_parents() -> None:
    """A subclass without a docstring falls back to what its parent says."""

    class Undescribed(errors.ToolFailed):
        pass

    assert str(Undescribed()) == "The tool could not gather its evidence."


def test_errors_carry_what_the_host_needs() -> None:
    """The wait, the failed check and whether bytes were sent are attributes."""
    assert errors.TicketingUnavailable(retry_after=7).retry_after == 7
    assert errors.LLMUnavailable().retry_after is None
    assert errors.WebhookRejected(check="signature").check == "signature"
    assert errors.HttpFailed(sent=True).sent is True
