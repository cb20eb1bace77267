"""``python -m aiops_demo.simulators jira --port 8081 --token secret``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from aiops_demo.simulators import SIMULATORS, simulator_class


def main(argv: Sequence[str] | None = None) -> int:
    """Serve one simulator until SIGINT or SIGTERM; print its address once it accepts connections."""
    parser = argparse.ArgumentParser(prog="python -m aiops_demo.simulators", description=__doc__)
    parser.add_argument("simulator", choices=sorted(SIMULATORS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--token", required=True, help="the API token or key that is accepted")
    parser.add_argument("--account", help="the name that goes with the token, where the product asks for one")
    parser.add_argument("--edition", help="edition of the product; the vendor's cloud or first one by default")
    parser.add_argument("--seed", type=Path, help="JSON or CSV file with seed tickets")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end when standard input closes")
    options = parser.parse_args(argv)
    from aiops_demo.simulators.serving import listen, serve  # noqa: PLC0415 - Litestar is slow to import, --help is not

    try:
        simulator = simulator_class(options.simulator)(
            token=options.token, edition=options.edition, account=options.account
        )
        if options.seed:
            simulator.load_seed(options.seed)
        listener = listen(simulator, options.host, options.port)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(simulator.url, flush=True)
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    serve(simulator, listener)
    return 0


def _end_with_stdin() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
