"""The host as a process of its own, with its own plugin and the postbox: ``python -m tests.support.host_process``."""

import json
import os
import sys

from tests.support.postbox import postbox_plugins

import aiops_host.plugin
from aiops_core.errors import AiopsError
from aiops_host.settings import read_settings
from aiops_host.watch.logs import configure
from aiops_host.web import server
from aiops_host.web.server import serve

HEAVY = ("litellm", "langgraph", "panel", "arq", "bokeh", "openai")


def listening(host: str, port: int) -> None:
    """Say where the host listens, and what of the heavy libraries it has loaded."""
    print(json.dumps({"host": host, "port": port, "heavy": [n for n in HEAVY if n in sys.modules]}), flush=True)


def main() -> int:
    """Run the host, and answer a refused start as the program does."""
    server.KEEP_ALIVE_SECONDS = int(os.environ.get("TEST_KEEP_ALIVE_SECONDS", server.KEEP_ALIVE_SECONDS))
    settings = read_settings()
    configure(settings.log_level)
    plugins = postbox_plugins()
    plugins.load("host", lambda: aiops_host.plugin, distribution="aiops-host", version="1")
    try:
        return serve(settings, plugins, listening=listening, read_seconds=float(os.environ["TEST_READ_SECONDS"]))
    except AiopsError as error:
        print(f"refused: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
