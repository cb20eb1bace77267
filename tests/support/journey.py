"""Journey 1 with its surroundings: an empty installation, a ticketing tool, and a model's server that knows one key."""

import re
import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docs.pages import ROOT, blocks, sections
from tests.support.desk import Desk
from tests.support.installation import ACCOUNT, Installation
from tests.support.llm_stub import Answer, Asked, LLMStub, Reply, chat, fails, note
from tests.support.threads import llm_stub_in_thread

PAGE = sections(ROOT / "docs" / "onboarding.md")
WRONG_KEY = "sk-of-somebody-else"
TENANT = "acme"
TOLD_WRONG = "Our own models: llama-3.3-70b refused the API key (HTTP 401). The key was not saved."
TOLD_RIGHT = "Our own models accepted the key: llama-3.3-70b answers."
TITLE = "VPN drops every ten minutes"
WORDS = "Compare the renegotiation interval of both gateways"
"""What the model says, and nothing else does."""


@dataclass(frozen=True)
class Journey:
    """What a newcomer starts with. ``key`` is the only one that ``model`` takes."""

    installation: Installation
    model: LLMStub
    key: str
    jira: str
    jira_token: str

    @property
    def examples(self) -> dict[str, str]:
        """What stands here for the examples of the page."""
        return {
            "https://llm.msp.example/v1": self.model.url,
            "https://acme.atlassian.net": self.jira,
            "aiops@acme.example": ACCOUNT,
            "API_TOKEN": self.jira_token,
        }

    def commands(self, section: str) -> list[list[str]]:
        """Return the ``aiops`` commands of a section of the page, with what stands here for its examples."""
        lines = "".join(blocks(PAGE[section], "sh")).splitlines()
        return [shlex.split(self.filled(line))[1:] for line in lines if line.startswith("aiops ")]

    def filled(self, text: str, words: Mapping[str, str] | None = None) -> str:
        """Return text of the page with what stands here for its examples, and for words in capitals."""
        for example, meant in {**self.examples, **(words or {})}.items():
            text = re.sub(rf"(?<!\w){re.escape(example)}(?!\w)", lambda _, meant=meant: meant, text)  # type: ignore[misc]
        return text

    def list_the_model(self) -> None:
        """Do what the page has the operator do once the installation runs."""
        up, *operator = self.commands("The installation")
        assert up == ["up", "--data", "~/aiops"]
        for command in operator:
            said = self.installation.aiops(*command)
            assert self.model.url in said

    def secrets_kept(self) -> int:
        """Return how many secrets of the tenant are stored."""
        kept = self.installation.aiops("keys", "status", "--json")["data_keys"]
        return sum(int(row["secrets"]) for row in kept if row["tenant"] == TENANT)

    def assert_refused(self, told: str) -> None:
        """Fail unless the wrong key was refused in a sentence that does not repeat it, and nothing was stored."""
        assert TOLD_WRONG in told
        assert WRONG_KEY not in told
        assert self.keys_seen() == {WRONG_KEY}
        assert self.secrets_kept() == 0

    def keys_seen(self) -> set[str]:
        """Return the keys the model's server was sent since this was last asked."""
        seen = {asked.headers["authorization"].removeprefix("Bearer ") for asked in self.model.asked}
        self.model.asked.clear()
        return seen

    @contextmanager
    def desk(self, made: Mapping[str, Any]) -> Iterator[Desk]:
        """Give the ticketing tool, which was told the webhook's address and secret that were shown."""
        shown = {"webhook_url": made["webhook_url"], "secret": made["webhook_secret"], "headers": made["headers"]}
        desk = Desk(TENANT, {"ticketing_tool": "jira", "simulator_url": self.jira, **shown}, self.installation.logs)
        try:
            yield desk
        finally:
            desk.close()

    def first_note(self, desk: Desk) -> str:
        """Open a ticket and see that its note is internal, is the model's, and was asked for with the tenant's key.

        Returns:
            The ticket's id.
        """
        self.model.asked.clear()
        ticket_id, _ = desk.deliver(desk.ticket(TITLE, "Since this morning, at both sites."))
        (posted,) = desk.await_notes(ticket_id)
        assert posted["internal"] is True
        assert WORDS in posted["text"]
        assert [TITLE in asked.message("The ticket:") for asked in self.model.asked] == [True]
        assert self.keys_seen() == {self.key}
        return ticket_id


@contextmanager
def journey(folder: Path) -> Iterator[Journey]:
    """Start an installation on an empty folder, beside a Jira and a model's server of which it knows nothing."""
    key, token = f"sk-{secrets.token_hex(16)}", secrets.token_hex(16)
    with ExitStack() as stack:
        model = stack.enter_context(llm_stub_in_thread(takes_only(key)))
        installation = Installation(folder)
        stack.callback(installation.close)
        yield Journey(installation, model, key, installation._simulator("jira", token), token)
        installation.end()


def takes_only(key: str) -> Answer:
    """Answer with the words of a note to whoever has the key, and to others as OpenAI does."""

    def answer(asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {key}":
            return fails(401, text=f"Incorrect API key provided: {asked.headers.get('authorization')}")(asked)
        return chat(note(("next_steps", [(WORDS, [])])))

    return answer
