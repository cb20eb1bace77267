"""What this distribution contributes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiops_core.hookspecs import hookimpl
from aiops_core.specs import TicketingToolSpec
from aiops_jira.config import JiraConfig

if TYPE_CHECKING:
    from aiops_core.services import TicketingServices
    from aiops_core.ticketing import TicketingToolPlugin

AUTOMATION_TEMPLATE = """{
  "key": "{{issue.key}}",
  "event": "created",
  "updated": "{{issue.updated}}",
  "actor": "{{initiator.accountId}}"
}"""

SETUP_HELP = f"""Administrator's webhook (recommended; proof: signature)
1. Settings, System, WebHooks, Create a WebHook. URL: the address of this connection.
2. Secret: the secret of this connection. Jira then signs every body in X-Hub-Signature.
3. Events: Issue created, Issue updated, Comment created. Limit them by JQL if you like.
Data Center has the secret from 10.0 on.

Automation rule (proof: header)
1. Triggers: Issue created; a second rule for Issue transitioned to Done, with "event": "resolved".
2. Action: Send web request, POST, to the address of this connection; header X-AIOps-Secret with the secret.
3. Body, custom data:
{AUTOMATION_TEMPLATE}
Other names are fine: tell them in the fields of an Automation rule's body.

Account
A Jira account of its own with Browse projects, Add comments and Delete own comments; in a service project it must
be an agent, or its comments cannot be internal. Cloud: its email and an API token. Data Center: a personal access token.
"""


def _tool(config: JiraConfig, services: TicketingServices) -> TicketingToolPlugin:
    from aiops_jira.ticketing import JiraTicketingTool  # noqa: PLC0415 - keeps listing plugins light

    return JiraTicketingTool(config, services)


def _sender_headers(config: JiraConfig) -> dict[str, str]:
    if config.webhook_proof == "signature":
        return {}
    bearer = config.webhook_header.lower() == "authorization"
    return {config.webhook_header: "Bearer {secret}" if bearer else "{secret}"}


@hookimpl
def aiops_register_ticketing_tools() -> Iterable[TicketingToolSpec]:
    """Contribute Jira."""
    return [
        TicketingToolSpec(
            name="jira",
            title="Jira",
            factory=_tool,
            config=JiraConfig,
            sender_headers=_sender_headers,
            setup_help=SETUP_HELP,
        )
    ]
