"""The host's HTTP application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Annotated, Any

from litestar import Litestar, Request, Router
from litestar.config.app import AppConfig
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.params import QueryParameter
from litestar.plugins import InitPluginProtocol
from litestar.types import Message, Scope

from aiops_core.plugins import PluginManager
from aiops_host.data.session import Database
from aiops_host.data.wakeup import Waker
from aiops_host.settings import Settings
from aiops_host.trust.attempts import Attempts
from aiops_host.trust.links import Links
from aiops_host.trust.mail import make_mailer
from aiops_host.trust.oidc import make_oidc
from aiops_host.trust.opening import in_use
from aiops_host.trust.sessions import Sessions
from aiops_host.trust.tokens import Tokens
from aiops_host.trust.totp import SecondFactors, issuer_of
from aiops_host.trust.vault import Vault
from aiops_host.watch.metrics import Metrics
from aiops_host.web import (
    account,
    audit,
    budgets,
    connections,
    deliveries,
    directory,
    docs,
    factors,
    figures,
    health,
    installation,
    intake,
    links,
    members,
    oidc,
    people,
    privacy,
    providers,
    runs,
    tenants,
    usage,
    webhooks,
)
from aiops_host.web.access import COOKIE, Access, ChosenTenant, tenant_of
from aiops_host.web.departures import Departures
from aiops_host.web.limits import Limits
from aiops_host.web.parts import Parts
from aiops_host.web.peer import Peers
from aiops_host.web.probes import show_probe
from aiops_host.web.problems import EXCEPTION_HANDLERS
from aiops_host.web.receiving import Receiver
from aiops_host.web.waking import Wakes

SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
LITESTAR_DOCS = "/litestar-docs"
DESCRIPTION = (
    "Log in at /api/v1/login and send the token as Bearer. Every error is application/problem+json. "
    "What belongs to a tenant is found only inside that tenant: name it with ?tenant=<slug> when you have several."
)
API_ROUTES = (
    people.log_out,
    people.who_am_i,
    deliveries.list_deliveries,
    deliveries.show_delivery,
    deliveries.replay_delivery,
    runs.list_runs,
    runs.show_run,
    show_probe,
    *providers.ROUTES,
    *budgets.ROUTES,
    *usage.ROUTES,
    figures.tenant_figures,
    figures.connections_health,
    figures.installation_figures,
    connections.list_connections,
    connections.add_connection,
    connections.change_connection,
    connections.pause_connection,
    connections.resume_connection,
    connections.list_ticketing_tools,
    connections.test_connection,
    connections.delete_connection,
    webhooks.show_endpoint,
    webhooks.rotate_secret,
    webhooks.end_overlap,
    webhooks.set_networks,
    webhooks.explain_refusals,
    tenants.create_tenant,
    tenants.show_tenant,
    tenants.change_tenant,
    tenants.suspend_tenant,
    tenants.resume_tenant,
    tenants.export_tenant,
    tenants.delete_tenant,
    installation.list_plugins,
    installation.list_tenants,
    health.parts_health,
    *account.ROUTES,
    *factors.ROUTES,
    links.accept_as_me,
    *members.ROUTES,
    *directory.ROUTES,
    audit.tenant_audit,
    audit.platform_audit,
    privacy.show_privacy,
    privacy.choose_privacy,
)
DOORS = (people.log_in, *oidc.DOORS, *links.DOORS)
"""What people come in by, who are not logged in yet."""
PUBLIC_ROUTES = (intake.receive_webhook, health.live, health.ready, docs.openapi_json, docs.docs)


def create_app(
    settings: Settings,
    plugins: PluginManager,
    database: Database,
    vault: Vault,
    waker: Waker,
    metrics: Metrics | None = None,
) -> Litestar:
    """Make the application; the database and the waker are closed with it.

    Raises:
        PluginConflict: Two plugins provide one name.
    """
    parts = _make_parts(settings, plugins, database, vault, waker, metrics or Metrics())
    limits = Limits(settings, Peers(settings.trusted_proxies))
    api = _OwnRouter("/api/v1", route_handlers=list(API_ROUTES), security=[{"bearer": []}, {"cookie": []}])
    doors = _OwnRouter("/api/v1", route_handlers=list(DOORS))
    app = Litestar(
        route_handlers=[api, doors, *PUBLIC_ROUTES],
        dependencies={
            "parts": Provide(lambda: parts, sync_to_thread=False),
            "chosen": Provide(_chosen, sync_to_thread=False),
        },
        guards=[limits.check_address, parts.access.check, limits.check_tenant],
        exception_handlers=EXCEPTION_HANDLERS,
        before_send=[_add_headers],
        request_max_body_size=intake.MAX_BODY_BYTES,
        lifespan=[_closing(parts)],
        openapi_config=_openapi(),
        on_app_init=[_with_own_docs],
        logging_config=None,
        # Said here, so that no variable of the environment makes an error show its values.
        debug=False,
        pdb_on_exception=False,
    )
    app.asgi_handler = intake.WebhookDoor(app.asgi_handler, parts)
    return app


def _make_parts(
    settings: Settings, plugins: PluginManager, database: Database, vault: Vault, waker: Waker, metrics: Metrics
) -> Parts:
    peers = Peers(settings.trusted_proxies)
    factors_ = SecondFactors(database, vault, issuer_of(settings.installation))
    sessions = Sessions(
        database,
        hours=settings.session_hours,
        idle_minutes=settings.session_idle_minutes,
        attempts=Attempts(settings.login_failures, exempt=peers.believes),
        factors=factors_,
    )
    tokens = Tokens(database)
    links_ = Links(database, sessions, settings.dashboard_url, make_mailer(settings))
    return Parts(
        settings=settings,
        plugins=plugins,
        registry=plugins.registry,
        database=database,
        vault=vault,
        wakes=Wakes(waker),
        sessions=sessions,
        tokens=tokens,
        factors=factors_,
        links=links_,
        oidc=make_oidc(settings, database, sessions, links_),
        peers=peers,
        access=Access(sessions, tokens, database, settings),
        receiver=Receiver(database, plugins.registry, vault, metrics),
        departures=Departures(database, vault),
    )


class _OwnRouter(Router):
    """A router made for one application, which may have it as it is: a copy of it takes a third of the start."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _OwnRouter:
        return self


class _OwnDocs(InitPluginProtocol):
    """Takes out the documentation routes Litestar adds: their pages load scripts from the internet."""

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Keep every route but Litestar's documentation."""
        app_config.route_handlers = [
            r for r in app_config.route_handlers if not (isinstance(r, Router) and r.path == LITESTAR_DOCS)
        ]
        return app_config


def _with_own_docs(app_config: AppConfig) -> AppConfig:
    # At the end, so that it comes after Litestar's plugin that adds the routes.
    app_config.plugins.append(_OwnDocs())
    return app_config


def _chosen(
    request: Request[Any, Any, Any],
    tenant: Annotated[
        str | None, QueryParameter(description="The tenant's slug; needed by people who have several.", max_length=63)
    ] = None,
) -> ChosenTenant:
    # The guard has read the parameter; it stands here to be documented and bounded.
    return tenant_of(request)


def _closing(parts: Parts) -> Any:
    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        try:
            async with (
                in_use(parts.vault, parts.database, "host"),
                parts.departures.working(),
                parts.sessions.refused.writing(parts.database),
            ):
                yield
        finally:
            await parts.receiver.remarks.close()
            await parts.links.aclose()
            if parts.oidc:
                await parts.oidc.aclose()
            await parts.wakes.close()
            await parts.database.close()

    return lifespan


async def _add_headers(message: Message, _: Scope) -> None:
    if message["type"] == "http.response.start":
        headers = list(message["headers"])
        given = {name.lower() for name, _value in headers}
        message["headers"] = headers + [pair for pair in SAFE_HEADERS if pair[0] not in given]


def _openapi() -> OpenAPIConfig:
    schemes: dict[str, Any] = {
        "bearer": SecurityScheme(type="http", scheme="bearer"),
        "cookie": SecurityScheme(type="apiKey", name=COOKIE, security_scheme_in="cookie"),
    }
    return OpenAPIConfig(
        title="AI Ops",
        version=version("aiops-host"),
        description=DESCRIPTION,
        path=LITESTAR_DOCS,
        components=Components(security_schemes=schemes),
    )
