"""``aiops admin``: the dashboard."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from aiops_admin.settings import AdminSettings, read_settings
from aiops_core.errors import AiopsError

EXIT_REFUSED = 2


@click.command()
@click.option("--host", help="Address to listen on (AIOPS_ADMIN_HOST; 127.0.0.1)")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 for any free one (AIOPS_ADMIN_PORT; 8001)"
)
def admin(host: str | None, port: int | None) -> None:
    """Run the dashboard until SIGTERM or Ctrl-C.

    Prints one line of JSON with its address, {"admin_url": ...}, as soon as it answers. It speaks to the host at
    AIOPS_API_URL and keeps nothing itself.
    """
    options = {"AIOPS_ADMIN_HOST": host, "AIOPS_ADMIN_PORT": None if port is None else str(port)}
    settings = read_settings({**os.environ, **{name: value for name, value in options.items() if value is not None}})
    prepare_environment(settings)
    from aiops_admin.app import run  # noqa: PLC0415 - panel takes seconds to import, and reads the environment then

    run(settings)


def prepare_environment(settings: AdminSettings) -> None:
    """Set what bokeh reads once, when it is imported: page tokens are signed, nothing is fetched from elsewhere."""
    os.environ["BOKEH_SIGN_SESSIONS"] = "yes"
    os.environ["BOKEH_SECRET_KEY"] = settings.signing_secret
    os.environ["BOKEH_RESOURCES"] = "server"


def main(argv: Sequence[str]) -> int:
    """Run the command; return 0 for a clean end, 2 for misuse or a refused start."""
    try:
        admin.main(args=list(argv), prog_name="aiops admin", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return EXIT_REFUSED
    except (AiopsError, OSError) as error:
        click.echo(f"aiops admin: {error}", err=True)
        return EXIT_REFUSED
    except (click.Abort, KeyboardInterrupt):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
