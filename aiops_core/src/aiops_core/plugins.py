"""Discovery and isolation of plugins: what is installed, what loaded, what failed and why."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Literal

import pluggy

from aiops_core import hookspecs
from aiops_core.agents import RunFinished
from aiops_core.errors import PluginConflict
from aiops_core.registry import Registry
from aiops_core.specs import AgentSpec, CommandSpec, LLMBackendSpec, Spec, TicketingToolSpec, ToolSpec

log = logging.getLogger(__name__)

CONTRIBUTIONS: dict[str, type[Spec]] = {
    "aiops_register_ticketing_tools": TicketingToolSpec,
    "aiops_register_tools": ToolSpec,
    "aiops_register_llm_backends": LLMBackendSpec,
    "aiops_register_agents": AgentSpec,
    "aiops_register_commands": CommandSpec,
}
"""Contribution hooks and the record each returns, in call order."""

PluginStatus = Literal["loaded", "blocked", "failed"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PluginRecord:
    """What is known of one installed plugin. ``contributes`` lists ``kind name`` pairs such as ``tool weather``."""

    name: str
    distribution: str
    version: str
    status: PluginStatus
    error: str | None = None
    contributes: tuple[str, ...] = ()

    @property
    def provenance(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True, slots=True)
class _Found:
    entry_point: EntryPoint
    distribution: str
    version: str


class PluginManager:
    """The plugins of one process. Made by :func:`load_plugins`, passed to whoever needs it."""

    def __init__(self) -> None:
        """Start with no plugin."""
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}
        self._contributions: list[tuple[str, Spec]] = []
        self._registry: Registry | None = None

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """All installed plugins, loaded or not, by name."""
        return tuple(self._records[name] for name in sorted(self._records))

    @property
    def registry(self) -> Registry:
        """The contributions of the loaded plugins.

        Raises:
            PluginConflict: Two plugins provide one name of one kind.
        """
        if self._registry is None:
            self._registry = Registry(self._contributions)
        return self._registry

    def load(self, name: str, load: Callable[[], object], *, distribution: str, version: str) -> PluginRecord:
        """Import, register, verify and collect one plugin; a failure is recorded, not raised.

        Args:
            name: The plugin's name, unique in this process.
            load: Imports and returns the plugin: a module or an object with hook implementations.
            distribution: The installed distribution's name.
            version: Its version.
        """
        provenance = f"{distribution} {version}"
        try:
            specs = self._collect(name, load)
        except (Exception, SystemExit) as error:  # isolation: a plugin that does not load is a fact to show, not an outage
            if self._pluggy.has_plugin(name):
                self._pluggy.unregister(name=name)
            log.warning("plugin %s (%s) failed to load: %s", name, provenance, explain(error))
            return self._record(name, distribution, version, status="failed", error=explain(error))
        self._contributions += [(provenance, spec) for spec in specs]
        self._registry = None
        contributes = tuple(f"{spec.kind} {spec.name}" for spec in specs)
        return self._record(name, distribution, version, status="loaded", contributes=contributes)

    def block(self, name: str, *, distribution: str, version: str) -> PluginRecord:
        """Record a plugin the operator does not want; it is not imported."""
        return self._record(name, distribution, version, status="blocked", error="blocked by the operator")

    def notify_run_finished(self, event: RunFinished) -> tuple[tuple[str, str], ...]:
        """Call each observer alone; return ``(plugin name, error)`` of those that failed."""
        failures: list[tuple[str, str]] = []
        for name, record in self._records.items():
            if record.status != "loaded":
                continue
            try:
                self._only(name, "aiops_on_run_finished")(event=event)
            except Exception as error:  # isolation: an observer's failure is its own
                log.warning("plugin %s failed on aiops_on_run_finished: %s", name, explain(error))
                failures.append((name, explain(error)))
        return tuple(failures)

    def _collect(self, name: str, load: Callable[[], object]) -> list[Spec]:
        self._pluggy.register(load(), name=name)
        self._pluggy.check_pending()
        specs: list[Spec] = []
        for hook, spec_type in CONTRIBUTIONS.items():
            for result in self._only(name, hook)():
                specs += _materialise(result, hook, spec_type)
        Registry((name, spec) for spec in specs)
        return specs

    def _only(self, name: str, hook: str) -> pluggy.HookCaller:
        others = [plugin for other, plugin in self._pluggy.list_name_plugin() if other != name]
        return self._pluggy.subset_hook_caller(hook, others)

    def _record(self, name: str, distribution: str, version: str, **facts: object) -> PluginRecord:
        record = PluginRecord(name=name, distribution=distribution, version=version, **facts)  # type: ignore[arg-type]
        self._records[name] = record
        return record


def load_plugins(blocked: Collection[str] = (), found: Iterable[Distribution] | None = None) -> PluginManager:
    """Load every installed plugin in name order.

    Args:
        blocked: Names of plugins that are recorded but not imported.
        found: The distributions to look through; all installed ones by default.

    Raises:
        PluginConflict: Two distributions register one plugin name; both are named.
    """
    manager = PluginManager()
    for plugin in _discover(found):
        name, facts = plugin.entry_point.name, {"distribution": plugin.distribution, "version": plugin.version}
        if name in blocked:
            manager.block(name, **facts)
        else:
            manager.load(name, plugin.entry_point.load, **facts)
    return manager


def explain(error: BaseException) -> str:
    """Return an error as one line: its type unless it is ours, and its message."""
    text = " ".join(str(error).split())
    if type(error).__module__.startswith("aiops_core"):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _discover(found: Iterable[Distribution] | None) -> list[_Found]:
    by_name: dict[str, _Found] = {}
    conflicts: list[str] = []
    for distribution in found if found is not None else distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group != hookspecs.PROJECT:
                continue
            plugin = _Found(entry_point, distribution.name, distribution.version)
            other = by_name.setdefault(entry_point.name, plugin)
            if other is not plugin and other.distribution != plugin.distribution:
                conflicts.append(
                    f"plugin {entry_point.name!r} comes from both {other.distribution} {other.version} "
                    f"and {plugin.distribution} {plugin.version}"
                )
    if conflicts:
        raise PluginConflict("; ".join(conflicts) + ". Uninstall one of them.")
    return [by_name[name] for name in sorted(by_name)]


def _materialise(result: object, hook: str, spec_type: type[Spec]) -> list[Spec]:
    if not isinstance(result, Iterable) or isinstance(result, str | bytes):
        raise TypeError(f"{hook} must return an iterable of {spec_type.__name__}, not {type(result).__name__}")
    specs = list(result)
    for spec in specs:
        if not isinstance(spec, spec_type):
            raise TypeError(f"{hook} must yield {spec_type.__name__}, not {type(spec).__name__}")
    return specs
