"""The ``aiops`` program: finds the commands of all plugins and runs one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from aiops_core.errors import AiopsError, ConfigInvalid, PluginConflict
from aiops_core.plugins import PluginManager, explain, load_plugins
from aiops_core.specs import CommandSpec
from aiops_host.cli.program import EXIT_MISUSE, EXIT_PROBLEM, each_warning_once
from aiops_host.settings import Settings, read_settings


class Commands(click.Group):
    """The commands that plugins contribute; each is imported when it is called."""

    def __init__(self, plugins: PluginManager) -> None:
        """Take the loaded plugins."""
        super().__init__(
            name="aiops",
            help="AI Ops puts an AI colleague beside every technician of a managed service provider.",
            epilog="Exit codes: 0 ok, 1 a problem was found, 2 misuse or a refused start; 130 after Ctrl-C.",
            context_settings={"help_option_names": ["-h", "--help"]},
            params=[click.Option(["--version"], is_flag=True, help="Show the version and exit")],
            invoke_without_command=True,
            no_args_is_help=True,
            callback=_version,
        )
        self._plugins = plugins

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of their plugins."""
        return sorted(self._plugins.registry.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command that hands everything after its name to its target."""
        spec = self._plugins.registry.commands.get(cmd_name)
        return None if spec is None else _command(spec)


def _command(spec: CommandSpec) -> click.Command:
    def call(arguments: tuple[str, ...]) -> None:
        raise SystemExit(_target(spec)(list(arguments)))

    return click.Command(
        spec.name,
        callback=call,
        short_help=spec.help,
        help=spec.help,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
    )


def _target(spec: CommandSpec):  # type: ignore[no-untyped-def]
    module, _, function = spec.target.partition(":")
    return getattr(import_module(module), function)


def _version(version: bool) -> None:
    if version:
        from importlib.metadata import version as of  # noqa: PLC0415 - for this option only

        click.echo(f"aiops {of('aiops-host')}")
        raise SystemExit(0)


def _blocked() -> frozenset[str]:
    """Return which plugins not to load; a wrong setting is refused by the command that needs it, not by `--help`."""
    try:
        return read_settings().blocked
    except ConfigInvalid:
        return Settings(blocked_plugins=os.environ.get("AIOPS_BLOCKED_PLUGINS", "")).blocked


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``aiops`` with the arguments; return 0 for ok, 1 for a problem found, 2 for misuse or a refused start."""
    with each_warning_once():
        return _main(argv)


def _main(argv: Sequence[str] | None) -> int:
    try:
        plugins = load_plugins(blocked=_blocked())
        _ = plugins.registry
        return Commands(plugins).main(args=argv, prog_name="aiops", standalone_mode=False) or 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    except click.ClickException as error:
        error.show()
        return EXIT_MISUSE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except (PluginConflict, ConfigInvalid) as error:
        click.echo(f"aiops refuses to start: {error}", err=True)
        return EXIT_MISUSE
    except AiopsError as error:
        click.echo(f"aiops: {explain(error)}", err=True)
        return EXIT_PROBLEM


if __name__ == "__main__":
    sys.exit(main())
