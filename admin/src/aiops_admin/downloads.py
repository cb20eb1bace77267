"""Files the host makes, handed to the browser while they arrive."""

from __future__ import annotations

import logging
import re
from typing import Any

from tornado.iostream import StreamClosedError

from aiops_admin.auth import read_token
from aiops_admin.client import ApiAway, ApiError, NotLoggedIn
from aiops_admin.login import PlainPage, answer_away

log = logging.getLogger(__name__)

SLUG = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")


class ExportHandler(PlainPage):
    """``/export?tenant=slug``: the tenant's archive, with the rights of who is logged in."""

    async def get(self) -> None:
        """Stream the archive."""
        token, tenant = read_token(self, self.parts.cookie), self.get_query_argument("tenant", "")
        if not token:
            self.redirect("/login?next=/tenants")
            return
        if not SLUG.fullmatch(tenant):
            self.show("message.html", 404, title="No such tenant", text="The address names no tenant.", refresh=0)
            return
        try:
            async with self.parts.api.download("/tenant/export", token, tenant) as answer:
                for name in ("Content-Type", "Content-Disposition"):
                    self.set_header(name, answer.headers[name])
                self.set_header("Cache-Control", "no-store")
                async for part in answer.aiter_raw():
                    self.write(part)
                    await self.flush()
        except NotLoggedIn:
            self.redirect("/login?next=/tenants")
        except ApiError as error:
            self.show("message.html", error.status, title="No export", text=str(error), refresh=0)
        except ApiAway as error:
            log.warning("an export broke off: %s", error)
            if self._headers_written:
                connection: Any = self.request.connection
                connection.close()
            else:
                answer_away(self)
        except StreamClosedError:
            log.info("somebody left while an export was sent")
