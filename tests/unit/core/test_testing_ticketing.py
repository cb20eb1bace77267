"""The ticketing contract accepts a sound ticketing tool and refuses broken ones."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from tests.unit.core.paperdesk import SIGNATURE, Paperdesk, PaperdeskServer, signed

from aiops_core import TicketingToolPlugin, WebhookRequest
from aiops_core.testing.fakes import FakeHttp, FakeServices
from aiops_core.testing.ticketing import Fault, PostedNote, TicketingFaultsContract, TicketingToolContract


class TestPaperdesk(TicketingToolContract, TicketingFaultsContract):
    """Paperdesk fulfils the whole contract."""

    proof_headers = (SIGNATURE,)
    proof_covers_body = True

    @pytest.fixture
    def tool(self) -> TicketingToolPlugin:
        """Open Paperdesk against its other side."""
        self.server = PaperdeskServer()
        return Paperdesk(FakeServices(http=FakeHttp(self.server.answer), webhook_secrets=self.secrets))

    @pytest.fixture
    def ticket_id(self, tool: TicketingToolPlugin) -> str:
        """Return a ticket of Paperdesk."""
        return "3"

    def good_webhook(self, ticket_id: str, secret: str) -> WebhookRequest:
        """Sign a creation webhook."""
        return signed(msgspec.json.encode({"ticket": ticket_id, "kind": "new"}), secret)

    async def posted(self, ticket_id: str) -> Sequence[PostedNote]:
        """Ask the other side."""
        return self.server.posted(ticket_id)

    async def misbehave(self, fault: Fault | None) -> None:
        """Tell the other side."""
        self.server.fault = fault
