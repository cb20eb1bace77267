"""A real Prometheus that scrapes what a test tells it to."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.support.system import require_program
from tests.support.waiting import wait_for

from aiops_host.cli.installation import free_port

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "aiops.rules.yml"
STOP_SECONDS = 30


class Prometheus:
    """A running Prometheus with the rules of ``deploy/``."""

    def __init__(self, url: str, log: Path) -> None:
        """Take its address."""
        self._http = httpx.Client(base_url=url, trust_env=False, timeout=30)
        self._log = log

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        answer = self._http.get(f"/api/v1/{path}", params=parameters)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()["data"]

    def ask(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return what an expression yields now: a number for each set of labels, the metric's name left out."""
        found = self.get("query", query=expression)["result"]
        return {
            tuple(sorted((k, v) for k, v in entry["metric"].items() if k != "__name__")): float(entry["value"][1])
            for entry in found
        }

    def await_answer(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Wait until an expression yields something, and return it."""
        return wait_for(lambda: self.ask(expression), expression, logs=lambda: [self._log])

    def await_target(self, job: str) -> None:
        """Wait until a job was scraped."""
        wait_for(lambda: self.ask(f'up{{job="{job}"}} == 1'), f"a scrape of {job}", logs=lambda: [self._log])

    def answers(self) -> bool:
        """Tell whether it is ready."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()


@contextmanager
def prometheus(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """Run Prometheus inside the block; ``targets`` are addresses by the name of their job."""
    program = require_program("prometheus")
    shutil.copy(RULES, folder)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES.name],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address]}]} for job, address in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))
    address, log = f"127.0.0.1:{free_port()}", folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    running = Prometheus(f"http://{address}", log)
    try:
        wait_for(running.answers, "Prometheus to be ready", logs=lambda: [log])
        yield running
    finally:
        running.close()
        process.terminate()
        process.wait(STOP_SECONDS)
