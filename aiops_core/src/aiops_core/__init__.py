"""The contract between AI Ops and its plugins: hooks, records, base classes, errors and the plugin manager."""

from aiops_core.agents import Agent, RunBudget, RunContext, RunFinished, RunLLM, RunTool, Step
from aiops_core.compose import compose, plain_text
from aiops_core.config import NoConfig, PluginConfig, Secret, config_schema, load_config, secret_fields, split_secrets
from aiops_core.drafts import check_draft, draft_schema, read_draft
from aiops_core.errors import (
    AiopsError,
    AuthenticationFailed,
    BudgetExceeded,
    ConfigInvalid,
    EffectUnknown,
    EffectUnverifiable,
    HttpFailed,
    LLMRefused,
    LLMUnavailable,
    PayloadInvalid,
    PluginConflict,
    TicketingError,
    TicketingRefused,
    TicketingUnavailable,
    TicketNotFound,
    ToolFailed,
    WebhookRejected,
)
from aiops_core.hookspecs import hookimpl
from aiops_core.llm import Completion, CompletionRequest, LLMAttempt, LLMBackend, Message, Usage
from aiops_core.plugins import PluginManager, PluginRecord, load_plugins
from aiops_core.registry import Registry, UnknownContribution, lookup
from aiops_core.services import (
    AgentServices,
    AssetInventory,
    BackendServices,
    Clock,
    HttpClient,
    HttpResponse,
    KnowledgeBase,
    Log,
    TicketHistory,
    TicketingServices,
    ToolServices,
)
from aiops_core.specs import AgentSpec, CommandSpec, LLMBackendSpec, TicketingToolSpec, ToolSpec
from aiops_core.ticketing import EffectMarker, Health, RemoteRef, TicketingToolPlugin, WebhookProof, WebhookRequest
from aiops_core.tickets import (
    Block,
    Claim,
    Code,
    Enhancement,
    Evidence,
    Heading,
    Link,
    ListBlock,
    NoteDraft,
    NoteSection,
    Paragraph,
    Person,
    Ticket,
    TicketComment,
    TicketMetadata,
    TicketQuery,
    Triage,
)
from aiops_core.tools import Tool, ToolContext, ToolResult

__all__ = [name for name in dir() if not name.startswith("_") and name != "annotations"]
