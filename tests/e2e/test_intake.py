"""What a sender may do to the intake of a running installation, and what becomes of it."""

import hmac
import json
import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.support.api import Api
from tests.support.demo import Demo
from tests.support.desk import Desk
from tests.support.waiting import wait_for

from aiops_demo.simulators.base import Proof

IDENTIFIER = "X-Atlassian-Webhook-Identifier"
TENANTS = ("harbor", "lindner")


@pytest.fixture(params=TENANTS)
def desk(demo: Demo, request: pytest.FixtureRequest) -> Desk:
    """Either tenant's desk."""
    return demo.desks[request.param]


@pytest.mark.promise("one-note")
def test_the_same_webhook_twenty_times_at_once(desk: Desk, api: Api) -> None:
    """However often and however fast one signed webhook comes, it is one delivery and one note."""
    ticket_id = desk.add(desk.ticket("Printer prints blank pages"))
    headers, body = desk.webhook(ticket_id)
    with ThreadPoolExecutor(20) as senders:
        answers = list(senders.map(lambda _: desk.send(headers, body), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    (delivery_id,) = {answer.json()["delivery_id"] for answer in answers}
    assert api.await_end(desk.tenant, delivery_id)["delivery"]["state"] == "done"
    assert desk.send(headers, body).json()["delivery_id"] == delivery_id
    assert len(api.deliveries(desk.tenant, ticket_id)) == len(desk.notes(ticket_id)) == 1


@pytest.mark.attack(11)
def test_the_same_webhook_under_another_identifier(lindner: Desk, api: Api) -> None:
    """Jira's identifier is not signed: the same news under a new one is still the same delivery."""
    ticket_id = lindner.add(lindner.ticket("Screen flickers"))
    headers, body = lindner.webhook(ticket_id)
    answers = [lindner.send({**headers, IDENTIFIER: str(uuid.uuid4())}, body) for _ in range(3)]
    (delivery_id,) = {answer.json()["delivery_id"] for answer in answers}
    api.await_end("lindner", delivery_id)
    assert len(lindner.notes(ticket_id)) == 1


def test_the_status_url_tells_what_became_of_it(harbor: Desk, api: Api) -> None:
    """The address in the answer leads, with a session, to the delivery and its note."""
    ticket_id = harbor.add(harbor.ticket("Mouse does not move"))
    receipt = harbor.send(*harbor.webhook(ticket_id)).json()
    assert set(receipt) == {"delivery_id", "status_url"}
    api.await_end("harbor", receipt["delivery_id"])
    assert httpx.get(receipt["status_url"], trust_env=False).status_code == 401
    shown = api.http.get(receipt["status_url"], params={"tenant": "harbor"}).json()
    assert shown["delivery"]["ticket_id"] == ticket_id
    assert [effect["state"] for effect in shown["effects"]] == ["confirmed"]


def test_a_forged_webhook_leaves_no_trace(desk: Desk, api: Api) -> None:
    """A wrong proof and an unknown address get the same 401, and nothing of them is kept."""
    ticket_id = desk.add(desk.ticket("Forged"))
    wrong = {name: "x" * len(value) for name, value in desk.proof.headers.items()}
    headers, body = desk.webhook(ticket_id, proof=Proof(secret="guessed", headers=wrong))
    forged = desk.send(headers, body)
    proven = desk.webhook(ticket_id)[0]
    unknown = httpx.post(desk.webhook_url[:-32] + "0" * 32, content=body, headers=proven, trust_env=False)
    assert forged.status_code == unknown.status_code == 401
    assert forged.headers["content-type"] == "application/problem+json"
    assert same_refusal(forged) == same_refusal(unknown)
    assert api.deliveries(desk.tenant, ticket_id) == []


def test_an_unreadable_body_with_valid_proof_is_kept(lindner: Desk, api: Api) -> None:
    """A 4xx would be final at Jira: what is proven but not understood is accepted and kept with the reason."""
    body = b'{"webhookEvent": "jira:issue_created", "issue": ' + b"\xff"
    (headers, _), signature = lindner.webhook(lindner.add(lindner.ticket("x"))), lindner.proof.secret
    assert signature
    signed = {**headers, IDENTIFIER: str(uuid.uuid4()), "X-Hub-Signature": sign(signature, body)}
    answer = lindner.send(signed, body)
    assert answer.status_code == 202
    kept = api.delivery("lindner", answer.json()["delivery_id"])
    assert kept["delivery"]["state"] == "quarantined"
    assert "JSON" in kept["delivery"]["reason"]
    assert kept["body_bytes"] == len(body)


def test_news_that_start_nothing_say_why(desk: Desk, api: Api) -> None:
    """A changed ticket starts no run by default; the delivery is kept as ignored with the reason."""
    ticket_id = desk.add(desk.ticket("Changed"))
    delivery_id = desk.announce(ticket_id, "updated")
    kept = api.delivery(desk.tenant, delivery_id)["delivery"]
    assert kept["state"] == "ignored"
    assert "starts no run" in kept["reason"]
    assert desk.notes(ticket_id) == []


@pytest.mark.attack(32)
def test_our_own_note_coming_back_starts_nothing(desk: Desk, api: Api) -> None:
    """A ticketing tool that tells of every note, ours too, gets no note upon a note."""
    echo = {"url": desk.webhook_url, "secret": desk.proof.secret, "headers": desk.proof.headers}
    desk.behave(echo_to=echo)
    ticket_id, delivery_id = desk.deliver(desk.ticket("Echo in the tunnel"))
    api.await_end(desk.tenant, delivery_id)

    def echoed() -> list[str]:
        return [d["id"] for d in api.deliveries(desk.tenant, ticket_id) if d["id"] != delivery_id]

    (echo_id,) = wait_for(echoed, "the echo of the note")
    desk.behave()
    came_back = api.await_end(desk.tenant, echo_id)["delivery"]
    assert came_back["state"] == "ignored"
    assert len(desk.notes(ticket_id)) == 1


@pytest.mark.attack(13)
def test_one_tenant_s_webhook_stays_its_own(demo: Demo, api: Api) -> None:
    """A body that names another tenant and its ticket is a delivery of the address it came to."""
    harbor, lindner = demo.desks["harbor"], demo.desks["lindner"]
    ticket_id = harbor.add(harbor.ticket("Whose is it"))
    headers, body = harbor.webhook(ticket_id)
    told = json.dumps({**json.loads(body), "tenant_id": demo.state["tenants"][1]["id"], "tenant": "lindner"}).encode()
    delivery_id = harbor.send(headers, told).json()["delivery_id"]
    assert api.await_end("harbor", delivery_id)["delivery"]["state"] == "done"
    assert api.http.get(f"/api/v1/deliveries/{delivery_id}", params={"tenant": "lindner"}).status_code == 404
    assert len(harbor.notes(ticket_id)) == 1
    assert lindner.notes(ticket_id) == []


def sign(secret: str, body: bytes) -> str:
    """Return Jira's signature of a body."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def same_refusal(answer: httpx.Response) -> dict[str, object]:
    """Return what a refusal says, without what names the request."""
    return {k: v for k, v in answer.json().items() if k != "instance"}
