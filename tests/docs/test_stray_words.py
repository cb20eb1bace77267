"""Words of one vendor stop at that vendor's plugin."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from tests.docs.pages import ROOT

MEMBERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]
KEY_PROVIDERS = {"aiops_plugins/vault_transit"}  # plugins, but of no ticketing tool's vendor
VENDORS = [m for m in MEMBERS if m.startswith("aiops_plugins/") and m not in KEY_PROVIDERS]
NEUTRAL = [member for member in MEMBERS if member not in {*VENDORS, "demo"}]  # the demo simulates the vendors
STRAY = re.compile(
    # Found inside other words too: JiraConfig, aiops_jira.
    r"jira|atlassian|servicedesk|service desk plus|manageengine|zoho|sdpondemand|issuetype|customfield|x-hub-signature"
    # Whole words, in names_with_underscores too. Plain "issue" is an English word; these are not.
    r"|(?<![a-z0-9])(?:sdp|adf|jql|jsm|assignee|reporter|issue[_-]?(?:id|key|fields|url)|issueid|issuekey"
    r"|show_to_requester|input_data|request_notes?|sd\.public\.comment)(?![a-z0-9])"
    r"|/rest/(?:api|servicedeskapi)|/issue/",
    re.I,
)


def stray_words(member: str) -> list[str]:
    """Return file, line and word of each vendor's word in a distribution."""
    found: list[str] = []
    for path in sorted(p for p in (ROOT / member).rglob("*") if p.is_file() and "__pycache__" not in p.parts):
        found += [f"{path.relative_to(ROOT)}:{line}: {word}" for line, word in _in_file(path)]
    return found


def _in_file(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:  # an image or a font
        return []
    return [(number, match[0]) for number, line in enumerate(lines, 1) for match in STRAY.finditer(line)]


@pytest.mark.parametrize("member", NEUTRAL)
def test_no_vendor_word_strays(member: str) -> None:
    """No distribution but the vendor's own plugin says a vendor's word."""
    assert stray_words(member) == []


@pytest.mark.parametrize("member", VENDORS)
def test_vendors_are_found_where_they_belong(member: str) -> None:
    """The search finds the vendor's words in its own plugin, so it would find them elsewhere."""
    assert len(stray_words(member)) > 20


@pytest.mark.parametrize(
    "text",
    [
        "class JiraConfig:",
        "from aiops_jira import x",
        "the SDP note",
        "to_adf(",
        "issue_key",
        "build_adf_doc",
        "fields.assignee",
    ],
)
def test_strays_are_recognised(text: str) -> None:
    """Vendors' words are found in names of any spelling."""
    assert STRAY.search(text)


@pytest.mark.parametrize(
    "text",
    ["issue a token", "the issues", "input data", "service desk", "cadfile", "read from 3adf9c", "request", "a tissue"],
)
def test_plain_words_are_not_strays(text: str) -> None:
    """Ordinary words that look alike are none."""
    assert not STRAY.search(text)
