"""The table of a delivery's states has each under both its names."""

import re

from tests.docs.pages import ROOT, sections

from aiops_admin.words import STATES


def test_the_table_names_states_as_the_dashboard_does() -> None:
    """Every state stands there once, with the word the dashboard has for it."""
    table = sections(ROOT / "docs" / "operating.md")["States of a delivery"]
    rows = re.findall(r"^\| (\w+) \| ([\w ]*\w) ?[,|]", table, re.MULTILINE)
    assert rows[1:] == [(state, name) for state, (name, _, _) in STATES.items()]
