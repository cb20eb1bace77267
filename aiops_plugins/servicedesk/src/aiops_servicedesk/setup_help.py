"""What to enter in ServiceDesk Plus, for the person who connects it."""

from __future__ import annotations

from typing import Final

TEMPLATE: Final = """{
  "event": "created",
  "ticket_id": "$RequestId",
  "last_updated": "$LastUpdatedTime",
  "actor_id": "$UpdatedById"
}"""
"""The recommended body: no free text, which the product does not escape for JSON."""

SETUP_HELP: Final = f"""\
1. Make a technician for AI Ops who may view requests and add notes. On-premises and MSP: generate its API key
   (Admin > Technicians). Cloud: make a self client in the Zoho API console with the scope SDPOnDemand.requests.ALL
   and exchange its code for a refresh token. Enter the technician's id as technician_id.
2. Admin > Integrations > Webhooks (cloud: Setup > Developer Space): one webhook per event, method POST, to the
   webhook address of this connection, with the custom headers shown there and Content-Type: application/json.
   Body (type $ to choose your portal's variables; leave out lines it has none for, but keep the first two):

{TEMPLATE}

   Write resolved in place of created in the webhook for solved tickets, updated in the one for changes. Put neither
   the subject nor other free text in the body: a quotation mark in it breaks the JSON, and AI Ops fetches the ticket.
3. Fire each webhook from a business rule or custom trigger of the requests module: on creation, on resolution.
4. If your body has other field names or event words, map them in the connection (ticket_id_field, event_words, …).
   Forms and URL parameters are read as well.
5. Cloud, optional: a custom function can sign each webhook (Standard Webhooks); choose proof: signed. A script for it
   is in the README of aiops-servicedesk.
"""
