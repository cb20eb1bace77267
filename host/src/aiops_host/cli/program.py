"""What every command shares: how it is run, how it prints, what it works with."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from aiops_core.errors import AiopsError, ConfigInvalid, PluginConflict
from aiops_core.plugins import PluginManager, explain

if TYPE_CHECKING:
    from aiops_host.settings import Settings
    from aiops_host.watch.metrics import Metrics

EXIT_PROBLEM = 1
EXIT_MISUSE = 2
REFUSALS = frozenset(
    {
        *("RoleRefused", "KeyRefused", "FolderRefused", "CannotListen"),
        *("SlugInvalid", "PasswordRefused", "CursorInvalid", "FileUnreadable"),
    }
)
"""What to change before anything can be done, by name: their modules are heavy."""
T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs")


def run(command: click.Command, argv: Sequence[str], name: str) -> int:
    """Run a click command; an explained error is printed without a traceback.

    Returns:
        0 for ok, 1 for a problem found, 2 for misuse or a refused start.
    """
    try:
        return int(command.main(args=list(argv), prog_name=f"aiops {name}", standalone_mode=False) or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EXIT_MISUSE
    except click.ClickException as error:
        error.show()
        return EXIT_MISUSE
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except AiopsError as error:
        click.echo(f"aiops {name}: {explain(error)}", err=True)
        return EXIT_MISUSE if _is_refusal(error) else EXIT_PROBLEM


@contextmanager
def each_warning_once() -> Iterator[None]:
    """Print a log line that was printed already no second time, as long as no log is set up.

    The program loads the plugins to find its commands, and many a command loads them again: a failed one is told once.
    """
    printed: set[str] = set()

    def is_new(record: logging.LogRecord) -> bool:
        known = len(printed)
        printed.add(record.getMessage())
        return len(printed) > known

    printer = logging.lastResort
    if printer is None:
        yield
        return
    printer.addFilter(is_new)
    try:
        yield
    finally:
        printer.removeFilter(is_new)


class NothingDeleted(AiopsError):
    """Nothing was deleted."""


def typed_again(question: str) -> str:
    """Ask for a name that confirms a deletion.

    Raises:
        NothingDeleted: Standard input ended instead.
    """
    try:
        return str(click.prompt(question))
    except click.Abort as aborted:
        if not isinstance(aborted.__context__, EOFError):  # Ctrl-C
            raise
        click.echo()
        raise NothingDeleted from None


def run_async(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end on an event loop of its own."""
    return asyncio.run(work())


def print_json(value: object) -> None:
    """Print one line of JSON."""
    click.echo(msgspec.json.encode(value, enc_hook=str).decode())
    sys.stdout.flush()


def print_table(rows: Sequence[Sequence[object]], headings: Sequence[str]) -> None:
    """Print rows in columns under headings; the last column is not padded."""
    texts = [[("" if v is None else str(v)) for v in row] for row in (headings, *rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(headings))]
    for row in texts:
        click.echo("  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip())


def blocked_in_vain(settings: Settings, plugins: PluginManager) -> str | None:
    """Return in a sentence which names are blocked that no installed plugin has; ``None`` when there are none."""
    installed = sorted(record.name for record in plugins.records)
    unknown = sorted(settings.blocked.difference(installed))
    if not unknown:
        return None
    return (
        f"AIOPS_BLOCKED_PLUGINS names {', '.join(unknown)}, which no installed plugin is called, so that blocks nothing; "
        f"installed are: {', '.join(installed)}."
    )


@asynccontextmanager
async def opened() -> AsyncIterator[Any]:
    """Give the database of the settings for one command."""
    from aiops_host.data.session import Database, DatabaseDown  # noqa: PLC0415 - piccolo is not needed for --help
    from aiops_host.settings import read_settings  # noqa: PLC0415

    settings = read_settings()
    settings.require("database_url")
    try:
        database = await Database.open({"app": settings.database_url}, {"app": 4})
    except DatabaseDown as error:
        if "host=/" not in settings.database_url:  # no socket of this machine, which is how `aiops up` is reached
            raise
        raise DatabaseDown(f"{str(error).rstrip('.')}. Is `aiops up` running?") from None
    try:
        yield database
    finally:
        await database.close()


@contextmanager
def measured(settings: Settings, metrics: Metrics) -> Iterator[dict[str, str]]:
    """Serve ``/metrics`` while the block runs, where the settings ask for it; give what to add to the ready line."""
    from aiops_host.watch.metrics import serve_metrics  # noqa: PLC0415 - not needed for --help

    if not settings.metrics_port:
        yield {}
        return
    try:
        port, stop = serve_metrics(metrics, settings.metrics_host, settings.metrics_port)
    except OSError as error:
        raise ConfigInvalid(f"AIOPS_METRICS_PORT {settings.metrics_port}: {error.strerror}.") from None
    try:
        yield {"metrics_url": f"http://{settings.metrics_host}:{port}/metrics"}
    finally:
        stop()


def _is_refusal(error: AiopsError) -> bool:
    return isinstance(error, ConfigInvalid | PluginConflict) or type(error).__name__ in REFUSALS
