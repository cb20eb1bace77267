"""What a person reads at the address of a simulated ticket."""

import json

import httpx
import pytest

from aiops_demo.simulators import simulator_class
from aiops_demo.simulators.base import Call
from aiops_demo.simulators.serving import running

TOKEN = "token-of-the-test"
TICKET = {"ticket_id": "12", "title": "Mail <b>stops</b>", "description": "Since <script>alert(1)</script> today"}
NOTE = "Look at <img src=x onerror=alert(2)> first"


@pytest.mark.parametrize(
    ("tool", "edition", "address"),
    [
        ("jira", "cloud", "/browse/{id}?focusedCommentId=20001"),
        ("jira", "datacenter", "/browse/{id}"),
        ("servicedesk", "on-prem", "/WorkOrder.do?woMode=viewWO&woID={id}"),
        ("servicedesk", "msp", "/WorkOrder.do?woMode=viewWO&woID={id}"),
        ("servicedesk", "cloud", "/app/desk/ui/requests/{id}/details"),
    ],
)
async def test_a_ticket_is_read_at_the_address_notes_link_to(tool: str, edition: str, address: str) -> None:
    """Title, description and notes stand there as text, whatever markup they hold; the page may run nothing."""
    simulator = simulator_class(tool)(token=TOKEN, edition=edition)
    made = simulator.add_ticket(simulator.to_vendor(TICKET))
    key = str(made.get("key") or made["id"])
    noted = _with_note(simulator.ticket(key), tool)
    if noted:
        simulator.add_ticket(noted)
    async with running(simulator) as url, httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(url + address.format(id=key))
        unknown = await http.get(url + address.format(id="99"))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Mail &lt;b&gt;stops&lt;/b&gt;" in page.text
    assert "Since &lt;script&gt;alert(1)&lt;/script&gt; today" in page.text
    if noted:
        assert "Look at &lt;img src=x onerror=alert(2)&gt; first" in page.text
    assert "<script" not in page.text
    assert "<img" not in page.text
    assert unknown.status_code in {401, 404}


def _with_note(ticket: dict[str, object], tool: str) -> dict[str, object] | None:
    """Return the ticket with a note, where the tool keeps notes within tickets."""
    if tool != "jira":
        return None
    copied = json.loads(json.dumps(ticket))
    copied["fields"]["comment"] = {"comments": [{"body": NOTE, "author": {"displayName": "Ann"}}]}
    return dict(copied)


async def test_a_note_is_on_the_page_of_its_request() -> None:
    """A note posted to the on-premises product is read beside its author, marked as internal."""
    simulator = simulator_class("servicedesk")(token=TOKEN)
    simulator.add_ticket(simulator.to_vendor(TICKET))
    headers = {"accept": "application/vnd.manageengine.sdp.v3+json", "authtoken": TOKEN}
    body = {"input_data": json.dumps({"note": {"description": "<div>Look at &lt;b&gt; first</div>"}})}
    async with running(simulator) as url, httpx.AsyncClient(trust_env=False) as http:
        posted = await http.post(f"{url}/api/v3/requests/12/notes", data=body, headers=headers)
        page = await http.get(f"{url}/WorkOrder.do?woMode=viewWO&woID=12")
    assert posted.status_code == 200
    assert "Look at &lt;b&gt; first" in page.text
    assert ", internal</h3>" in page.text
    assert simulator.stats == {"POST /api/v3/requests/{request_id}/notes": 1}


def test_an_address_of_the_api_is_no_page() -> None:
    """The pages take nothing away from the API."""
    for tool in ("jira", "servicedesk"):
        simulator = simulator_class(tool)(token=TOKEN)
        simulator.add_ticket(simulator.to_vendor(TICKET))
        for path in ("/rest/api/3/issue/12", "/api/v3/requests/12", "/"):
            assert simulator.reading(Call("GET", path, {}, {}, b"")) is None
