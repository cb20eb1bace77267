"""Configuration of plugins: one Struct gives validation, JSON schema, form, help and documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, get_args

import msgspec

from aiops_core.errors import ConfigInvalid

HIDDEN = "[secret]"


class Secret:
    """A handle on a secret; the plaintext exists only inside ``with secret.open() as value``.

    The host hands plugins handles whose opener decrypts at use. A handle cannot be printed, pickled,
    compared by content or encoded.
    """

    __slots__ = ("_opener",)

    def __init__(self, opener: Callable[[], str]) -> None:
        """Take the function that returns the plaintext."""
        self._opener = opener

    @classmethod
    def of(cls, value: str) -> Secret:
        """Return a handle on a plaintext that the caller already holds."""
        return cls(lambda: value)

    @contextmanager
    def open(self) -> Iterator[str]:
        """Give the plaintext for the length of the block.

        Raises:
            AiopsError: The secret cannot be opened here, for instance because this process has no right to it.
        """
        yield self._opener()

    def __repr__(self) -> str:
        return HIDDEN

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every plugin's configuration for one tenant; its repr shows no value of a ``Secret``."""


ConfigT = TypeVar("ConfigT", bound=PluginConfig)


class NoConfig(PluginConfig, frozen=True, kw_only=True):
    """The configuration of a plugin that needs none."""


def load_config(
    config_type: type[ConfigT], values: Mapping[str, Any], secrets: Mapping[str, Secret] | None = None
) -> ConfigT:
    """Make a validated configuration.

    Args:
        config_type: The plugin's Struct.
        values: JSON-like values by field name; a plain string under a secret field is taken as its plaintext.
        secrets: Handles by field name; they take precedence over ``values``.

    Raises:
        ConfigInvalid: A field is missing, unknown or of the wrong kind; the message names it and shows no value.
    """
    merged = {**values, **(secrets or {})}
    try:
        return msgspec.convert(merged, config_type, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(f"{config_type.__name__}: {error}") from None


def secret_fields(config_type: type[PluginConfig]) -> tuple[str, ...]:
    """Return the names of the fields that hold secrets, in declaration order."""
    return tuple(f.name for f in msgspec.structs.fields(config_type) if _mentions_secret(f.type))


def split_secrets(config_type: type[PluginConfig], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part JSON-like ``values`` into the open ones and the plaintexts of the secret fields."""
    names = secret_fields(config_type)
    plain = {k: v for k, v in values.items() if k not in names}
    return plain, {k: str(values[k]) for k in names if values.get(k) is not None}


def config_schema(config_type: type[PluginConfig]) -> dict[str, Any]:
    """Return the JSON schema of a configuration; secret fields are ``writeOnly`` strings."""
    (schema,), components = msgspec.json.schema_components([config_type], schema_hook=_schema)
    definition = components[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    others = {k: v for k, v in components.items() if v is not definition}
    return {**definition, **({"$defs": others} if others else {})}


def _decode(target: type, value: Any) -> Any:
    if target is Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str) and value:
            return Secret.of(value)
        raise TypeError("expected a non-empty secret text")
    raise NotImplementedError(f"no decoder for {target.__name__}")


def _schema(target: type) -> dict[str, Any]:
    if target is Secret:
        return {"type": "string", "format": "password", "writeOnly": True, "minLength": 1}
    raise NotImplementedError(f"no schema for {target.__name__}")


def _mentions_secret(field_type: Any) -> bool:
    return field_type is Secret or any(_mentions_secret(part) for part in get_args(field_type))
