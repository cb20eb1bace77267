"""Discovery and isolation of plugins: what is installed, what loaded, what failed and why."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Literal, get_args

import msgspec
import pluggy

from aiops_core import hookspecs
from aiops_core.agents import RunFinished
from aiops_core.errors import AiopsError, PluginConflict
from aiops_core.registry import Registry
from aiops_core.specs import AgentSpec, CommandSpec, KeyProviderSpec, LLMBackendSpec, Spec, TicketingToolSpec, ToolSpec
from aiops_core.tools import ToolEffect

log = logging.getLogger(__name__)

CONTRIBUTIONS: dict[str, type[Spec]] = {
    "aiops_register_ticketing_tools": TicketingToolSpec,
    "aiops_register_tools": ToolSpec,
    "aiops_register_llm_backends": LLMBackendSpec,
    "aiops_register_agents": AgentSpec,
    "aiops_register_key_providers": KeyProviderSpec,
    "aiops_register_commands": CommandSpec,
}
"""Contribution hooks and the record each returns, in call order."""

OBSERVER = "aiops_on_run_finished"
"""The one other hook."""

MAX_EXPLANATION = 500
"""Characters of an error's message that are kept."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

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
    runs_by_itself: str | None = None


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
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # isolation: a plugin that does not load is a fact to show, not an outage
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

    def refuse(self, name: str, why: str, *, distribution: str, version: str) -> PluginRecord:
        """Record a plugin that is not to be imported, because of what its distribution brings."""
        log.warning("plugin %s (%s %s) is refused: %s", name, distribution, version, why)
        return self._record(name, distribution, version, status="failed", error=f"Refused: {why}. Uninstall it.")

    def notify_run_finished(self, event: RunFinished) -> tuple[tuple[str, str], ...]:
        """Call each observer alone; return ``(plugin name, error)`` of those that failed."""
        failures: list[tuple[str, str]] = []
        for name, record in self._records.items():
            if record.status != "loaded":
                continue
            try:
                for result in self._only(name, OBSERVER)(event=event):
                    _refuse_coroutine(result, OBSERVER)
            except (Exception, SystemExit) as error:  # isolation: an observer's failure is its own
                log.warning("plugin %s failed on aiops_on_run_finished: %s", name, explain(error))
                failures.append((name, explain(error)))
        return tuple(failures)

    def _collect(self, name: str, load: Callable[[], object]) -> list[Spec]:
        plugin = load()
        if plugin is None:
            raise TypeError("the entry point must name a module or an object with hook implementations, not None")
        self._pluggy.register(plugin, name=name)
        self._refuse_unknown_hooks()
        specs: list[Spec] = []
        for hook, spec_type in CONTRIBUTIONS.items():
            caller = self._only(name, hook)
            results = caller()
            if caller.get_hookimpls() and not results:  # pluggy leaves a result of None out
                results = [None]
            for result in results:
                specs += _materialise(result, hook, spec_type)
        Registry((name, spec) for spec in specs)
        return specs

    def _refuse_unknown_hooks(self) -> None:
        try:
            self._pluggy.check_pending()
        except pluggy.PluginValidationError as error:
            wrong = str(error).partition(" in plugin ")[0]
            raise TypeError(f"{wrong}; the hooks are {', '.join(CONTRIBUTIONS)} and {OBSERVER}") from error

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
        elif plugin.runs_by_itself:
            manager.refuse(name, f"it brings {plugin.runs_by_itself}, which Python runs at every start", **facts)
        else:
            manager.load(name, plugin.entry_point.load, **facts)
    return manager


def explain(error: BaseException) -> str:
    """Return an error as one line: its type unless it is ours, and its message."""
    try:
        text = " ".join(str(error).split())[:MAX_EXPLANATION]
    except Exception:  # isolation: an error of a plugin may fail to print
        text = ""
    if isinstance(error, AiopsError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _discover(found: Iterable[Distribution] | None) -> list[_Found]:
    by_name: dict[str, _Found] = {}
    conflicts: list[str] = []
    for distribution in found if found is not None else distributions():
        for plugin in _plugins_of(distribution):
            other = by_name.setdefault(plugin.entry_point.name, plugin)
            if _normalised(other.distribution) != _normalised(plugin.distribution):
                conflicts.append(
                    f"plugin {plugin.entry_point.name!r} comes from both {other.distribution} {other.version} "
                    f"and {plugin.distribution} {plugin.version}"
                )
    if conflicts:
        raise PluginConflict("; ".join(conflicts) + ". Uninstall one of them.")
    return [by_name[name] for name in sorted(by_name)]


def _plugins_of(distribution: Distribution) -> list[_Found]:
    try:
        points = [point for point in distribution.entry_points if point.group == hookspecs.PROJECT]
        if points and not distribution.name:
            raise ValueError("it has no name")
        starter = _starter(distribution) if points else None
        return [_Found(point, distribution.name, distribution.version, starter) for point in points]
    except Exception as error:  # isolation: any installed distribution may have broken metadata
        log.warning("passing over a distribution whose metadata cannot be read (%s)", explain(error))
        return []


def _starter(distribution: Distribution) -> str | None:
    """Return a file of the distribution that Python runs at every start; an editable install is one by nature."""
    if re.search(r'"editable"\s*:\s*true', distribution.read_text("direct_url.json") or ""):
        return None
    return next((str(file) for file in distribution.files or () if file.suffix == ".pth"), None)


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _materialise(result: object, hook: str, spec_type: type[Spec]) -> list[Spec]:
    _refuse_coroutine(result, hook)
    if not isinstance(result, Iterable) or isinstance(result, str | bytes):
        raise TypeError(f"{hook} must return an iterable of {spec_type.__name__}, not {type(result).__name__}")
    specs = list(result)
    for spec in specs:
        if not isinstance(spec, spec_type):
            raise TypeError(f"{hook} must yield {spec_type.__name__}, not {type(spec).__name__}")
        name: object = spec.name
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise TypeError(f"{hook}: {name!r} is not a name; use letters, digits, '-', '_' and '.'")
        if misfit := _misfit(spec):
            raise TypeError(f"{hook}: {spec.kind} {name!r} has {misfit}")
    return specs


def _misfit(spec: Spec) -> str | None:
    """Return what of a record can never work, and what to give instead."""
    if not isinstance(spec, CommandSpec):
        factory: object = spec.factory
        if not callable(factory):
            return f"the factory {factory!r}; give the class, or a function that takes configuration and services"
    if not isinstance(spec, ToolSpec):
        return None
    args: object = spec.args
    description: object = spec.description
    if not (isinstance(args, type) and issubclass(args, msgspec.Struct)):
        return f"the args {args!r}; give a class that inherits from msgspec.Struct"
    if not isinstance(description, str) or not description.strip():
        return "no description; say what the tool finds, for the person and the model that choose it"
    if spec.effect not in get_args(ToolEffect):
        return f"the effect {spec.effect!r}; give {' or '.join(map(repr, get_args(ToolEffect)))}"
    return None


def _refuse_coroutine(result: object, hook: str) -> None:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{hook} must be a plain function, not async")
