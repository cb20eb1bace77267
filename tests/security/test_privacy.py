"""A tenant's administrators choose what of people models may see; the choice is in the audit trail."""

import httpx
import pytest
from tests.integration.cli.conftest import Aiops, aiops
from tests.integration.web.conftest import Staff

__all__ = ["aiops"]


@pytest.mark.promise("personal-data")
async def test_administrators_choose_for_their_tenant(http: httpx.AsyncClient, staff: Staff) -> None:
    """Nothing is replaced until they choose; the choice is theirs alone, read by all of the tenant, and recorded."""
    nothing, chosen = {"kinds": [], "regions": []}, {"kinds": ["email", "phone"], "regions": ["DE"]}
    assert (await http.get("/api/v1/privacy", headers=staff.reader_a)).json() == nothing
    assert (await http.put("/api/v1/privacy", headers=staff.technician_a, json=chosen)).status_code == 403
    assert (await http.put("/api/v1/privacy", headers=staff.admin_a, json=chosen)).json() == chosen
    assert (await http.get("/api/v1/privacy", headers=staff.reader_a)).json() == chosen
    assert (await http.get("/api/v1/privacy", headers=staff.admin_b)).json() == nothing
    (entry,) = (await http.get("/api/v1/audit?act=privacy.change", headers=staff.admin_a)).json()["items"]
    assert entry["details"] == {"kinds": "email, phone", "regions": "DE"}
    assert entry["actor_kind"] == "person"


async def test_what_cannot_be_chosen_is_refused(http: httpx.AsyncClient, staff: Staff) -> None:
    """A kind nobody recognises, and a country there is not, are named; nothing is stored."""
    for body, status in (({"kinds": ["name"]}, 400), ({"regions": ["XX"]}, 422), ({"regions": ["Germany"]}, 400)):
        assert (await http.put("/api/v1/privacy", headers=staff.admin_a, json=body)).status_code == status
    assert (await http.get("/api/v1/privacy", headers=staff.admin_a)).json()["kinds"] == []


def test_the_command_line_chooses_too(aiops: Aiops) -> None:
    """`aiops privacy` shows and sets; the operator's account is in the trail, which is whole."""
    aiops("tenants", "create", "acme")
    assert "as they are" in aiops("privacy", "show", "--tenant", "acme")
    said = aiops("privacy", "set", "--tenant", "acme", "--replace", "email", "--replace", "phone", "--region", "de")
    assert "stand-ins for email, phone, phone numbers as in DE" in said
    assert aiops("privacy", "show", "--tenant", "acme", "--json") == {"kinds": ["email", "phone"], "regions": ["DE"]}
    assert "'XX' is no country" in aiops("privacy", "set", "--tenant", "acme", "--region", "XX", code=2)
    (entry,) = aiops("audit", "list", "--tenant", "acme", "--act", "privacy.change", "--json")["items"]
    assert (entry["actor_kind"], entry["subject"]) == ("operator", "redaction")
    assert "privacy.change" in aiops("audit", "list", "--tenant", "acme")
    heads = aiops("audit", "verify", "--json")
    (acme,) = [entry["report"] for entry in heads if entry["chain"] == "acme"]
    assert acme["broken"] is None
    noted = f"{acme['number']}:{acme['hash']}"
    assert f"acme: whole  {noted}" in aiops("audit", "verify", "--tenant", "acme", "--expect", noted)
    assert "whole" in aiops("audit", "verify")
    aiops("audit", "verify", "--tenant", "acme", "--expect", f"{acme['number']}:{'0' * 64}", code=1)
    assert "--expect takes what" in aiops("audit", "verify", "--expect", "x", code=2)


def test_a_backend_that_is_set_is_in_the_trail(aiops: Aiops) -> None:
    """What `aiops backends set` changes stands in the tenant's trail, with the names of credentials only."""
    aiops("tenants", "create", "acme")
    aiops("backends", "set", "offline", "--tenant", "acme", "--position", "3", "--disable")
    (entry,) = aiops("audit", "list", "--tenant", "acme", "--act", "setting.change", "--json")["items"]
    assert (entry["subject"], entry["details"]) == (
        "llm-backend:offline",
        {"position": "3", "used": "false", "credentials": ""},
    )
