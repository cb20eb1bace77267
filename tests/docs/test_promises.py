"""The page of promises is made of tests, and every promise and attack has one."""

from pathlib import Path

from tests.support.promises import ATTACKS, PAGE, PROMISES, Mark, marks, page, unproven

# Attacks whose defence is being built.
PENDING: frozenset[str] = frozenset()


def test_every_promise_and_every_attack_has_a_test() -> None:
    """A promise, or one of the 35 attacks, that no test names fails here; so does a marker that names neither."""
    assert sorted(ATTACKS) == list(range(1, 36))
    assert [what for what in unproven(marks()) if what not in PENDING] == []


def test_the_page_is_made_from_the_markers() -> None:
    """The committed page is what the markers say now."""
    assert PAGE.read_text() == page(marks()), "run: python -m tests.support.promises"


def test_what_has_no_test_is_named() -> None:
    """Without its test a promise is reported, and so is an attack, and a marker of something unknown."""
    everything = [Mark("promise", name, "t", "b", "") for name in PROMISES]
    everything += [Mark("attack", str(number), "t", "b", "") for number in ATTACKS]
    assert unproven(everything) == []
    assert unproven(everything[1:]) == [f"no test proves the promise {next(iter(PROMISES))}"]
    assert unproven(everything[:-1]) == ["no test proves the attack 35"]
    assert unproven([*everything, Mark("attack", "36", "t.py::x", "b", "")]) == ["t.py::x names an unknown attack 36"]


def test_markers_are_read_wherever_they_stand(tmp_path: Path) -> None:
    """Functions, coroutines and methods are found with their figures; what is no test file is not."""
    source = '@pytest.mark.promise("x", figure="9 cases")\n@pytest.mark.attack(3)\nasync def test_a():\n    """It holds."""\n'
    (tmp_path / "test_one.py").write_text(source)
    (tmp_path / "helper.py").write_text(source)
    found = marks(tmp_path)
    assert [(m.of, m.id, m.behaviour, m.figure) for m in found] == [
        ("promise", "x", "It holds", "9 cases"),
        ("attack", "3", "It holds", ""),
    ]
