"""Forms made from the schemas of plugins' configurations."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from aiops_admin import words
from aiops_admin.pages.forms import Field, changes_of, entered, fields_of, form_fields, values_of
from aiops_core import PluginConfig, Secret
from aiops_core.config import config_schema


class Inner(PluginConfig, frozen=True, kw_only=True):
    """A part of it."""

    path: str = "key"


class Config(PluginConfig, frozen=True, kw_only=True):
    """One of each kind."""

    base_url: Annotated[str, Meta(title="Address", description="Where it is.")]
    edition: Literal["cloud", "server"] = "cloud"
    api_token: Secret | None = None
    pages: int = 3
    strict: bool = False
    projects: tuple[str, ...] = ()
    inner: Inner = Inner()
    note: str | None = None


FIELDS = fields_of(msgspec.json.decode(msgspec.json.encode(config_schema(Config))))


def test_each_kind_of_value_has_its_field() -> None:
    """Texts, secrets, choices, flags, numbers and lists are known, with words and defaults; parts have dotted paths."""
    assert {f.path: f.kind for f in FIELDS} == {
        "base_url": "text",
        "edition": "choice",
        "api_token": "secret",
        "pages": "number",
        "strict": "flag",
        "projects": "list",
        "inner.path": "text",
        "note": "text",
    }
    first = FIELDS[0]
    assert first == Field("base_url", "Address", "Where it is.", "text", required=True)


def test_what_was_entered_becomes_values_of_the_schema() -> None:
    """Only what differs from the defaults is sent, each in its kind; what is no number goes as it is, to be refused."""
    given = {
        "base_url": " https://x.example ",
        "edition": "server",
        "api_token": "t",
        "pages": "7",
        "strict": "on",
        "projects": "A\n\n B ",
        "inner.path": "id",
        "note": "",
    }
    assert values_of(FIELDS, given) == {
        "base_url": "https://x.example",
        "edition": "server",
        "api_token": "t",
        "pages": 7,
        "strict": True,
        "projects": ["A", "B"],
        "inner": {"path": "id"},
    }
    untouched = {"base_url": "", "edition": "cloud", "pages": "3", "projects": "", "inner.path": "key"}
    assert values_of(FIELDS, untouched) == {}
    assert values_of(FIELDS, {"pages": "many"}) == {"pages": "many"}


def test_only_changes_are_sent_and_a_secret_left_empty_stays() -> None:
    """A value set back to its default is sent, one taken away is null, and an empty secret is not there."""
    now: dict[str, Any] = {"base_url": "https://x.example", "pages": 7, "inner": {"path": "id"}, "note": "old"}
    same = {"base_url": "https://x.example", "edition": "cloud", "pages": "7", "inner.path": "id", "note": "old"}
    assert changes_of(FIELDS, same, now) == {}
    assert changes_of(FIELDS, same | {"pages": "3", "note": ""}, now) == {"pages": 3, "note": None}
    assert changes_of(FIELDS, same | {"api_token": "n", "inner.path": "key"}, now) == {
        "api_token": "n",
        "inner": {"path": "key"},
    }


def test_a_form_shows_no_secret_and_names_what_is_wrong() -> None:
    """A present configuration fills the form but for its secrets; an error stands beside its field."""
    now = {"base_url": "https://x.example", "api_token": "never", "pages": 7}
    text = str(form_fields(FIELDS, {"pages": "too many"}, now))
    assert "https://x.example" in text
    assert "never" not in text
    assert "Too many" in text
    assert "'value': 'key'" in text  # what the configuration leaves out stands there as its default
    assert "'open': ''" in text  # what is wrong is not folded away
    assert "'open'" not in str(form_fields(FIELDS, {}, now))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("base_url", "Address: is wrong."),
        ("link_hosts", "Hosts notes may link to: is wrong."),
        ("networks.0", "Networks that may post: is wrong."),
        ("other_field", "Other field: is wrong."),
    ],
)
def test_a_refusal_calls_a_field_as_its_form_does(field: str, said: str) -> None:
    """The title of the ticketing tool's schema, else the form's own label; one of a list is called as the list is."""
    assert words.refusal_of({field: "is wrong."}, {"base_url": "Address"}) == said


def test_what_the_browser_sends_may_be_anything() -> None:
    """Only an object of texts counts as a form."""
    assert entered(msgspec.json.encode({"a": "1"}).decode()) == {"a": "1"}
    for wrong in ("", "x", "[]", "1", '{"a": 1}', '{"a": {"b": "c"}}'):
        assert entered(wrong) == {}
