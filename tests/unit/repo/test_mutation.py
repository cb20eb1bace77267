"""What the mutation run changes, and that its list of explained changes is one of changes."""

import tomllib
from collections import Counter
from pathlib import Path

import pytest
from benchmarks.mutants import mutants
from benchmarks.mutation import NAME, figures

ROOT = Path(__file__).parents[3]
PLAN = tomllib.loads((ROOT / "benchmarks" / "mutation.toml").read_text())

SOURCE = '''"""A docstring."""

import re

LIMIT: int = 8
ADDRESS = re.compile(r"\\bv{2,}(a|bb)")
SQL = "select 1 where not a and exists(select 2)"


def check(given, *, names=("x", "y")):
    """Another docstring."""
    try:
        if given is not None and len(given) > LIMIT:
            raise KeyError(given)
    except (KeyError, ValueError):
        return given[1:] + "z"
    log(given)
'''

CHANGED = [
    ("LIMIT: int = 8", "LIMIT: int = 9"),
    ("LIMIT: int = 8", "LIMIT: int = 7"),
    ("bv{2,}", "bv{3,}"),
    ("bv{2,}", "bv{1,}"),
    ("compile('\\\\bv{2", "compile('v{2"),
    ("(a|bb)", "(a|~)"),
    ("not a and", "not a or"),
    ("where not a", "where a"),
    ("and exists(", "and not exists("),
    ("('x', 'y')", "('y',)"),
    ("('x', 'y')", "('x',)"),
    ("is not None and", "is not None or"),
    ("is not None and len", "is None and len"),
    ("if given is not None and len(given) > LIMIT", "if len(given) > LIMIT"),
    ("if given is not None and len(given) > LIMIT", "if given is not None:"),
    ("if given is not None and len(given) > LIMIT", "if not (given is not None and len(given) > LIMIT)"),
    ("> LIMIT", ">= LIMIT"),
    ("> LIMIT", "<= LIMIT"),
    ("raise KeyError(given)", "pass"),
    ("except (KeyError, ValueError):", "except (ValueError,):"),
    ("except (KeyError, ValueError):", "except (KeyError,):"),
    ("return given[1:] + 'z'", "return None"),
    ("given[1:] + 'z'", "given[1:] - 'z'"),
    ("given[1:]", "given[:]"),
    ("given[1:]", "given[2:]"),
    ("given[1:]", "given[0:]"),
    ("+ 'z'", "+ ''"),
    ("log(given)", "pass"),
]


def test_each_kind_of_change_is_made_once() -> None:
    """Of a small module these changes are made, each in a source of its own that still compiles, and no others."""
    made = list(mutants("m.py", SOURCE))
    for before, after in CHANGED:
        assert any(before in m.before and after in m.after for m in made), (before, after)
    assert len(made) == len(CHANGED)
    assert len({m.source for m in made}) == len({m.name for m in made}) == len(CHANGED)
    for mutant in made:
        compile(mutant.source, "m.py", "exec")
        assert "A docstring" in mutant.source


def test_a_change_keeps_its_name_when_lines_move() -> None:
    """What was explained stays explained while other lines of its module change."""
    moved = SOURCE.replace("import re", "import re\n\nOTHER = 1")
    assert {m.name for m in mutants("m.py", SOURCE)} <= {m.name for m in mutants("m.py", moved)}


@pytest.mark.parametrize("module", sorted({one["module"] for one in PLAN["equivalent"]}))
def test_every_explained_change_is_one_and_has_a_reason(module: str) -> None:
    """The list of changes that change nothing names changes of modules as they are, once each, and says why."""
    known = {mutant.name for mutant in mutants(module, (ROOT / module).read_text())}
    explained = [one for one in PLAN["equivalent"] if one["module"] == module]
    names = [tuple(one[part] for part in NAME) for one in explained]
    assert [name for name in names if name not in known] == []
    assert len(set(names)) == len(names)
    assert all(len(one["why"]) > 20 for one in explained)


def test_modules_and_tests_of_the_plan_are_there() -> None:
    """Each area names files that exist."""
    assert {part["area"] for part in PLAN["part"]} == {"signing", "vault", "tenancy", "egress", "redaction"}
    for part in PLAN["part"]:
        named = [*part["modules"], *part["first"], *part.get("then", [])]
        for file in named:
            assert (ROOT / file.removeprefix("--deselect=").partition("::")[0]).is_file(), file


def test_the_score_leaves_out_what_changes_nothing() -> None:
    """Equivalent changes count neither way; one that did not end, or was wrongly explained, is killed."""
    found = figures(Counter(killed=90, survived=10, equivalent=7, timeout=8, **{"not equivalent": 2}))
    assert (found["mutants"], found["killed"], found["survived"], found["equivalent"]) == (117, 100, 10, 7)
    assert (found["score"], found["timeouts"], found["not_equivalent"]) == (90.9, 8, 2)
