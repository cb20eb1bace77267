"""Records of one tenant for the tests of the agent: past tickets, articles and assets of several kinds of trouble."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from aiops_core import Evidence, Ticket
from aiops_core.testing.fakes import FakeServices, InMemoryAssets, InMemoryHistory, InMemoryKnowledge


def past(ref: str, title: str, text: str, resolution: str | None, **facts: Any) -> Evidence:
    """Return a past ticket."""
    known = {"category": "Printing", "priority": "medium", "time": datetime(2026, 1, 5, 9, tzinfo=UTC), **facts}
    return Evidence(source="ticket", ref=ref, title=title, text=f"{title}\n{text}", resolution=resolution, **known)


SPOOLER = past(
    "T-101",
    "Label printer offline at the packing desk",
    "The label printer ZB-7 shows offline and labels pile up in the queue.",
    "The spooler on PRT02 had stopped after the patch. Restarted the spooler service and cleared the stuck labels.",
)
CABLE = past(
    "T-102",
    "Printer ZB-7 offline again, labels queue grows",
    "Packing desk printer is offline, the queue grows, no labels come out.",
    "The network cable behind the packing desk was crushed. Replaced the patch cable, the printer came back.",
)
DRIVER = past(
    "T-103",
    "Labels from the packing desk printer cut in half",
    "The label printer at the packing desk prints labels cut in half, queue is fine.",
    "We set the label size in the driver to 100x150 and printed a test label.",
)
VPN = past(
    "T-201",
    "VPN does not connect from home",
    "The tunnel stops at 98 percent since the update.",
    "Reinstalled the client.",
    category="Network",
)
DRUCKER = past(
    "T-301",
    "Etikettendrucker am Packtisch druckt nicht",
    "Der Etikettendrucker am Packtisch ist offline, Etiketten bleiben in der Warteschlange.",
    "Die Warteschlange auf PRT02 war angehalten. Wir haben den Spooler neu gestartet und die Etiketten gelöscht.",
)
ARTICLE = Evidence(
    source="article",
    ref="KB-7",
    title="Label printers at the packing desk",
    text="""# Label printers

Label printers print through the queue on PRT02. A printer that shows offline is nearly always the spooler.

1. Look at the queue on PRT02.
2. Restart the spooler:

```
Restart-Service Spooler
```

3. Print a test label.
""",
)
SERVER = Evidence(
    source="asset", ref="PRT02", title="PRT02", text="Print server 10.8.0.12 for all packing desks, owner Warehouse IT."
)
TICKETS = (SPOOLER, CABLE, DRIVER, VPN, DRUCKER)

TICKET = Ticket(
    id="900",
    title="Printer at packing desk offline",
    description="The label printer ZB-7 at the packing desk is offline, the queue on PRT02 (10.8.0.12) grows and no labels come out.",
)
GERMAN = Ticket(
    id="901",
    title="Etikettendrucker offline",
    description="Am Packtisch kommen keine Etiketten mehr, der Etikettendrucker ist offline und die Warteschlange voll.",
)
STRANGER = Ticket(id="902", title="Fish in the aquarium", description="Two neon tetras float belly up, who feeds them?")


def services(*tickets: Evidence, articles: tuple[Evidence, ...] = (ARTICLE,)) -> FakeServices:
    """Return a tenant's services over these tickets, or over all of them."""
    return FakeServices(
        history=InMemoryHistory(tickets or TICKETS),
        knowledge=InMemoryKnowledge(articles),
        assets=InMemoryAssets([SERVER]),
    )


def changed(item: Evidence, **facts: Any) -> Evidence:
    """Return a record with some fields changed."""
    return msgspec.structs.replace(item, **facts)
