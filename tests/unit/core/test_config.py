"""Configuration of plugins: validation, schema and secrets that cannot print."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from aiops_core import (
    ConfigInvalid,
    NoConfig,
    PluginConfig,
    Secret,
    config_schema,
    is_secret_path,
    load_config,
    secret_fields,
    split_secrets,
)

CANARY = "canary-7f3e9a"


class DeskConfig(PluginConfig, frozen=True, kw_only=True):
    """A plugin's configuration with every way to write a secret."""

    url: Annotated[str, msgspec.Meta(title="Address", pattern="^https://")]
    token: Annotated[Secret, msgspec.Meta(title="Token", description="From the profile page.")]
    spare: Secret | None = None
    titled: Annotated[Secret | None, msgspec.Meta(title="Second token")] = None
    pages: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


GOOD: dict[str, Any] = {"url": "https://desk.example", "token": CANARY}


def test_values_become_a_configuration() -> None:
    """Valid values become the Struct; a plaintext under a secret field becomes a handle."""
    config = load_config(DeskConfig, {**GOOD, "spare": "other"})
    assert config.url == "https://desk.example"
    assert config.pages == 10
    with config.token.open() as value:
        assert value == CANARY


class FormConfig(PluginConfig, frozen=True, kw_only=True):
    """A configuration with every kind of bound."""

    colour: Literal["red", "blue"] | None = None
    region: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", examples=["DE"])] = "DE"
    names: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=3, max_length=5)], ...], msgspec.Meta(min_length=1)
    ] = ("any",)
    share: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    since: datetime | None = None
    owner: UUID | None = None


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"colour": "green"}, "colour: must be one of: blue, red."),
        ({"region": "de"}, "region: must look like DE."),
        ({"names": []}, "names: must not be empty."),
        ({"names": ["abc", "ab"]}, "names[1]: must have at least 3 characters."),
        ({"names": ["abcdef"]}, "names[0]: must have at most 5 characters."),
        ({"names": "abc"}, "names: must be a list, not a text."),
        ({"share": 0}, "share: must be more than 0."),
        ({"share": 1.5}, "share: must be at most 1."),
        ({"share": "half"}, "share: must be a number, not a text."),
        ({"since": "soon"}, "since: must be a time such as 2026-11-20T10:00:00Z."),
        ({"owner": "me"}, "owner: must be an id such as 3f0c2a52-7d0e-4f0e-9b53-0c5a1f6a2d11."),
    ],
)
def test_what_is_wrong_is_said_in_words(values: dict[str, Any], told: str) -> None:
    """A refusal says what the field must be, and never what msgspec calls it."""
    with pytest.raises(ConfigInvalid) as refused:
        load_config(FormConfig, values)
    assert str(refused.value) == told


def test_handles_take_precedence() -> None:
    """A handle given by the host wins over a value of the same field."""
    config = load_config(DeskConfig, GOOD, {"token": Secret.of("from the vault")})
    with config.token.open() as value:
        assert value == "from the vault"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"url": "ftp://desk.example"}, "url: "),
        ({"url": None}, "url: "),
        ({"pages": 0}, "pages: "),
        ({"pages": "many"}, "pages: "),
        ({"tokn": CANARY}, "tokn"),
        ({"token": ""}, "token: "),
        ({"token": None}, "token: "),
        ({"token": [CANARY]}, "token: "),
        ({"spare": {"x": CANARY}}, "spare: "),
        ({"titled": 7}, "titled: "),
    ],
)
def test_wrong_field_is_named_without_its_value(change: dict[str, Any], named: str) -> None:
    """A wrong or unknown field is refused with its path, and the error shows no secret, not even its traceback."""
    with pytest.raises(ConfigInvalid) as error:
        load_config(DeskConfig, {**GOOD, **change})
    assert str(error.value).startswith(named)
    assert "DeskConfig" not in str(error.value)
    assert CANARY not in "".join(traceback.format_exception(error.value))


def test_missing_field_is_named() -> None:
    """A missing field is refused by its name."""
    with pytest.raises(ConfigInvalid, match="token"):
        load_config(DeskConfig, {"url": "https://desk.example"})


def test_secret_handle_for_an_unknown_field_is_refused() -> None:
    """A handle under a name that is no field is refused like any unknown field."""
    with pytest.raises(ConfigInvalid, match="tokn"):
        load_config(DeskConfig, GOOD, {"tokn": Secret.of(CANARY)})


def test_secret_cannot_print() -> None:
    """Neither the handle nor the configuration that holds it shows the plaintext, however they are printed."""
    config = load_config(DeskConfig, GOOD)
    shown = [repr(config), str(config), f"{config}", repr(config.token), str(config.token), f"{config.token}"]
    shown += ["%s %r" % (config.token, config), repr({"x": [config]}), ascii(config)]  # noqa: UP031 - as logging does
    assert not [text for text in shown if CANARY in text]
    assert "[secret]" in repr(config)
    assert not hasattr(config.token, "__dict__")


def test_secret_cannot_be_serialised() -> None:
    """A handle, and a configuration that holds one, can be neither pickled nor copied nor encoded."""
    config = load_config(DeskConfig, GOOD)
    for value in (config, config.token):
        for attempt in (pickle.dumps, copy.deepcopy, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
            with pytest.raises(TypeError) as error:
                attempt(value)
            assert CANARY not in str(error.value)
        with pytest.raises(TypeError):
            json.dumps(value)
    with pytest.raises(TypeError):
        copy.copy(config.token)


def test_secrets_are_not_compared_by_content() -> None:
    """Two handles on one plaintext are not equal, so that equality tells nothing about it."""
    assert Secret.of(CANARY) != Secret.of(CANARY)


def test_secret_is_opened_at_use() -> None:
    """The opener runs at each use, not before."""
    calls: list[int] = []
    secret = Secret(lambda: calls.append(1) or CANARY)  # type: ignore[func-returns-value]
    assert calls == []
    for _ in range(2):
        with secret.open() as value:
            assert value == CANARY
    assert calls == [1, 1]


def test_secret_fields_are_found_however_written() -> None:
    """A secret is one whether plain, optional, annotated or both."""
    assert secret_fields(DeskConfig) == ("token", "spare", "titled")
    assert secret_fields(NoConfig) == ()


def test_secrets_part_from_open_values() -> None:
    """Plaintexts of secret fields leave the values that may be stored openly; absent ones are left out."""
    plain, secrets = split_secrets(DeskConfig, {**GOOD, "spare": None, "titled": "t", "pages": 3})
    assert plain == {"url": "https://desk.example", "pages": 3}
    assert secrets == {"token": CANARY, "titled": "t"}


def test_schema_describes_the_form() -> None:
    """The JSON schema carries titles, bounds and required fields; secrets are write-only, unknown fields refused."""
    schema = config_schema(DeskConfig)
    token = schema["properties"]["token"]
    assert token["writeOnly"] is True
    assert token["format"] == "password"
    assert (token["title"], token["description"]) == ("Token", "From the profile page.")
    assert schema["properties"]["titled"]["anyOf"][0]["writeOnly"] is True
    assert schema["properties"]["url"]["pattern"] == "^https://"
    assert schema["properties"]["pages"]["maximum"] == 100
    assert schema["required"] == ["url", "token"]
    assert schema["additionalProperties"] is False
    assert json.dumps(schema)


def test_unknown_field_is_refused_even_without_any() -> None:
    """A plugin without configuration refuses every field."""
    assert load_config(NoConfig, {}) == NoConfig()
    with pytest.raises(ConfigInvalid, match=r"colour: there is no such field; there are: none\."):
        load_config(NoConfig, {"colour": "red"})


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several models, each with a secret of its own."""

    name: str
    key: Annotated[Secret | None, msgspec.Meta(title="Key")] = None


class NestedConfig(PluginConfig, frozen=True, kw_only=True):
    """Secrets below the first level."""

    models: tuple[Model, ...] = ()
    main: Model | None = None
    tokens: tuple[Secret, ...] = ()
    headers: dict[str, Secret] = msgspec.field(default_factory=dict)
    pair: tuple[str, Secret] | None = None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"colour": 1}, "colour: there is no such field; there are: models, main, tokens, headers, pair."),
        ({"models": [{"name": "a"}, {"nam": "b"}]}, "models[1].nam: there is no such field; there are: name, key."),
        ({"main": {"name": "a", "x.y": 1}}, "main.x.y: there is no such field; there are: name, key."),
        ({"models": [{}]}, "models[0].name: this field is needed."),
    ],
)
def test_unknown_and_missing_fields_say_what_there_is(values: dict[str, Any], says: str) -> None:
    """The message has the field's whole path, and for an unknown field the names there are at its place."""
    with pytest.raises(ConfigInvalid) as error:
        load_config(NestedConfig, values)
    assert str(error.value) == says


NESTED: dict[str, Any] = {
    "models": [{"name": "a", "key": f"{CANARY}-0"}, {"name": "b"}, {"name": "c", "key": f"{CANARY}-2"}],
    "main": {"name": "m", "key": f"{CANARY}-m"},
    "tokens": [f"{CANARY}-t0", f"{CANARY}-t1"],
    "headers": {"x-key": f"{CANARY}-h"},
    "pair": ["user", f"{CANARY}-p"],
}


def test_nested_secrets_part_and_come_back() -> None:
    """Secrets in lists, mappings and Structs are parted from the open values by path and put back by it."""
    plain, secrets = split_secrets(NestedConfig, NESTED)
    assert CANARY not in json.dumps(plain)
    assert secrets == {
        "models.0.key": f"{CANARY}-0",
        "models.2.key": f"{CANARY}-2",
        "main.key": f"{CANARY}-m",
        "tokens.0": f"{CANARY}-t0",
        "tokens.1": f"{CANARY}-t1",
        "headers.x-key": f"{CANARY}-h",
        "pair.1": f"{CANARY}-p",
    }
    assert all(is_secret_path(NestedConfig, path) for path in secrets)
    assert secret_fields(NestedConfig) == ("models.*.key", "main.key", "tokens.*", "headers.*", "pair.1")
    config = load_config(NestedConfig, plain, {path: Secret.of(value) for path, value in secrets.items()})
    opened = [config.models[2].key, config.tokens[1], config.headers["x-key"], config.pair and config.pair[1]]
    for secret, end in zip(opened, ("2", "t1", "h", "p"), strict=True):
        assert secret is not None
        with secret.open() as value:
            assert value == f"{CANARY}-{end}"
    assert config.models[1].key is None
    assert CANARY not in repr(config)


def test_secret_never_stays_among_open_values() -> None:
    """A secret under a key with dots, or in the place of another kind of value, does not stay in the open ones."""
    plain, _ = split_secrets(NestedConfig, {"headers": {"a.b": CANARY}})
    assert CANARY not in json.dumps(plain)
    assert not is_secret_path(NestedConfig, "models.0.name")
    assert not is_secret_path(NestedConfig, "models.key")
    assert not is_secret_path(NestedConfig, "")


def test_secret_without_its_place_is_left_out() -> None:
    """A handle whose place has gone from the values, such as a removed list item, does no harm."""
    config = load_config(NestedConfig, {"models": [{"name": "a"}]}, {"models.3.key": Secret.of(CANARY)})
    assert [model.name for model in config.models] == ["a"]
    assert config.models[0].key is None
