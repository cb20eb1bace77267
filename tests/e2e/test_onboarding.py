"""The ways of the onboarding page that need no browser, walked by the page's own code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from tests.docs.pages import blocks
from tests.support.installation import Installation
from tests.support.journey import PAGE, TOLD_RIGHT, WORDS, WRONG_KEY, Journey, journey
from tests.support.waiting import wait_for

CHOSEN_PASSWORD = "a fresh horse battery"
ENDED = {"ok", "failed"}


@pytest.fixture
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    """An installation nobody has used yet, which may ask the model's server."""
    with journey(tmp_path_factory.mktemp("empty")) as begun:
        assert begun.installation.aiops("tenants", "list", "--json") == []
        begun.list_the_model()
        yield begun


@pytest.mark.promise("onboarding-as-written")
@pytest.mark.promise("own-key")
@pytest.mark.promise("key-tried")
def test_by_command(newcomer: Journey, tmp_path: Path) -> None:
    """From an empty installation to the first note by the page's commands as they stand, with a wrong key first."""
    aiops = newcomer.installation.aiops
    create, invite, enter, keys, connect, test, deliveries, show = newcomer.commands("By command")
    aiops(*create)
    link = re.search(r"^http\S+$", aiops(*invite), re.M)
    assert link
    assert "You are invited" in httpx.get(link[0], trust_env=False).text

    with pytest.raises(AssertionError) as refused:  # what the exit code is not 0 becomes
        aiops(*enter, stdin=f"{WRONG_KEY}\n")
    assert re.search(r"^aiops providers set .*: 1\nfailed: ", str(refused.value))
    newcomer.assert_refused(str(refused.value))
    assert aiops(*enter, stdin=f"{newcomer.key}\n") == f"ok: {TOLD_RIGHT}\n"
    assert newcomer.secrets_kept() == 1
    assert re.search(r"^inhouse +live ", aiops(*keys), re.M)

    (config,) = blocks(PAGE["By command"], "json")
    (tmp_path / "jira.json").write_text(newcomer.filled(config))
    made = _printed(aiops(*(str(tmp_path / word) if word == "jira.json" else word for word in connect)))
    assert aiops(*test).startswith(f"ok: Connected to {newcomer.jira} as ")

    with newcomer.desk(made) as desk:
        ticket_id = newcomer.first_note(desk)
        listed = wait_for(
            lambda: re.search(rf"^(\S+) .* {ticket_id} .* done ", aiops(*deliveries), re.M), "the delivery to be done"
        )
        assert WORDS in aiops(*(listed[1] if word == "DELIVERY_ID" else word for word in show))
        (explain,) = newcomer.commands("When no note comes")
        assert "This endpoint refused nothing so far." in aiops(*explain)


@pytest.mark.promise("onboarding-as-written")
@pytest.mark.promise("own-key")
@pytest.mark.promise("key-tried")
def test_by_api(newcomer: Journey) -> None:
    """From an empty installation to the first note by the page's requests as they stand, with a wrong key first."""
    requests = blocks(PAGE["By API"], "http")
    admin, tenant, invite, accept, pat, key, tried, connect, test, tested, deliveries, show = requests
    with Caller(newcomer) as caller:
        words = caller.words
        words["TOKEN"] = caller.call(admin)["token"]
        caller.call(tenant)
        words["INVITATION"] = caller.call(invite)["link"]["url"].partition("token=")[2]
        caller.call(accept)
        words["TOKEN"] = caller.call(pat)["token"]

        words["KEY"] = WRONG_KEY
        words["PROBE_ID"] = caller.call(key)["id"]
        refused = caller.until(tried, "state", ENDED)
        assert refused["state"] == "failed"
        newcomer.assert_refused(refused["result"])
        words["KEY"] = newcomer.key
        words["PROBE_ID"] = caller.call(key)["id"]
        accepted = caller.until(tried, "state", ENDED)
        assert (accepted["state"], accepted["result"]) == ("ok", TOLD_RIGHT)
        assert newcomer.secrets_kept() == 1

        made = caller.call(connect)
        words["CONNECTION_ID"] = made["connection_id"]
        words["PROBE_ID"] = caller.call(test)["id"]
        answer = caller.until(tested, "state", ENDED)
        assert answer["result"].startswith(f"Connected to {newcomer.jira} as ")

        with newcomer.desk(made) as desk:
            ticket_id = newcomer.first_note(desk)
        (delivery,) = caller.call(deliveries)["items"]
        assert delivery["ticket_id"] == ticket_id
        words["DELIVERY_ID"] = delivery["id"]
        wait_for(lambda: caller.call(show)["delivery"]["state"] == "done", "the delivery to be done")
        assert [WORDS in effect["text"] for effect in caller.call(show)["effects"]] == [True]


class Caller:
    """Sends the page's requests to the host. ``words`` stand for those in capitals."""

    def __init__(self, newcomer: Journey) -> None:
        """Take where to send them."""
        self._newcomer = newcomer
        installation: Installation = newcomer.installation
        self.words = {"PASSWORD": installation.state["login"][1], "CHOSEN_PASSWORD": CHOSEN_PASSWORD}
        self._http = httpx.Client(base_url=installation.state["base_url"], trust_env=False, timeout=30)

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(self, block: str) -> Any:
        """Send a request as the page shows it, and return the answer's JSON."""
        head, _, body = self._newcomer.filled(block, self.words).partition("\n\n")
        first, *lines = head.splitlines()
        method, path = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        json = {"json": msgspec.json.decode(body)} if body.strip() else {}
        answer = self._http.request(method, path, headers=headers, **json)
        assert answer.is_success, f"{first}: {answer.status_code} {answer.text}"
        return answer.json()

    def until(self, block: str, field: str, values: set[str]) -> Any:
        """Send a request until a field of its answer has one of the values."""

        def reached() -> Any:
            found = self.call(block)
            return found if found[field] in values else None

        what = f"{field} to be one of {', '.join(sorted(values))}"
        return wait_for(reached, what, logs=self._newcomer.installation.logs)


def _printed(said: str) -> dict[str, Any]:
    """Return what `aiops connections create` prints at its end."""
    end = dict(re.findall(r"^(webhook|secret) +(\S+)", said, re.M))
    headers = dict(re.findall(r"^header +(\S+): (.+)$", said, re.M))
    return {"webhook_url": end["webhook"], "webhook_secret": end["secret"], "headers": headers}
