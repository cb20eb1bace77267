"""The Prometheus files in ``deploy/``: valid, tested by Prometheus' own tool, and about metrics that exist."""

import re
import subprocess
from pathlib import Path

from tests.support.system import require_program

from aiops_host.watch.metrics import Metrics

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
RULES = FOLDER / "aiops.rules.yml"
METRIC = re.compile(r"(?<![\w:\"])([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?=[{\[) ]|$)")
SUFFIXES = ("", "_total", "_bucket", "_sum", "_count")
OF_PROMETHEUS = {"histogram_quantile"}


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run promtool, which comes with Prometheus."""
    program = Path(require_program("prometheus")).with_name("promtool")
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False, cwd=FOLDER)


def test_rules_and_configuration_are_valid() -> None:
    """Prometheus accepts the rules, and the example configuration that loads them."""
    for arguments in (("check", "rules", RULES.name), ("check", "config", "prometheus.yml")):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_rules_fire_when_they_should() -> None:
    """No alert fires while the goals are met, each does when its goal is missed, and each when nothing is scraped."""
    done = promtool("test", "rules", "aiops.rules.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_about_metrics_that_exist() -> None:
    """Each metric a rule reads is shown by host and worker: a misspelt one would be missing for ever."""
    shown = {family.name + suffix for family in Metrics().registry.collect() for suffix in SUFFIXES}
    expressions = re.findall(r"expr: (.+)", RULES.read_text())
    read = {name for line in expressions for name in METRIC.findall(re.sub(r"\{[^}]*\}|by \([^)]*\)", "", line))}
    assert {"queue_depth", "enhancement_requests_total", "aiops_intake_seconds_bucket"} <= read
    assert read - shown - OF_PROMETHEUS == set()


def test_what_the_security_page_asks_to_alert_on_has_a_rule() -> None:
    """Nobody has to write the alerts that the page leaves to the operator."""
    (sentence,) = re.findall(r"Alerts on ([^.]+)\.", (FOLDER.parents[1] / "docs" / "security.md").read_text())
    names = re.findall(r"`([a-z_]+)`", sentence)
    assert "rls_self_check" in names
    expressions = " ".join(re.findall(r"expr: (.+)", RULES.read_text()))
    assert [name for name in names if not re.search(rf"\b{name}\b", expressions)] == []
