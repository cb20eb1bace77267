"""Configuration of plugins: one Struct gives validation, JSON schema, form, help and documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec.inspect import (
    CustomType,
    DictType,
    ListType,
    Metadata,
    StructType,
    TupleType,
    UnionType,
    VarTupleType,
    type_info,
)

from aiops_core.errors import ConfigInvalid
from aiops_core.wording import explained

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
        secrets: Handles by path as :func:`split_secrets` names them; they take precedence over ``values``, and one
            whose place is not in ``values`` is left out.

    Raises:
        ConfigInvalid: A field is missing, unknown or of the wrong kind; the message begins with its path, names the
            fields there are in place of an unknown one, and shows no value.
    """
    merged: Any = dict(values)
    for path, secret in (secrets or {}).items():
        merged = _put(merged, path.split("."), secret)
    try:
        return msgspec.convert(merged, config_type, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigInvalid(_explained(config_type, str(error))) from None


def secret_fields(config_type: type[PluginConfig]) -> tuple[str, ...]:
    """Return the paths of the fields that hold secrets, in declaration order; ``*`` stands for any item of a list."""
    return tuple(".".join(path) for path in _declared_secrets(type_info(config_type)))


def is_secret_path(config_type: type[PluginConfig], path: str) -> bool:
    """Return whether a path such as ``models.0.api_key`` is the place of a secret."""
    return _is_declared(tuple(_declared_secrets(type_info(config_type))), tuple(path.split(".")))


def split_secrets(config_type: type[PluginConfig], values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Part JSON-like ``values`` into the open ones and the plaintexts of the secret fields by path.

    The path of a nested field has dots: ``models.0.api_key``. Only plain strings count as plaintexts; what else
    stands in a secret's place is refused when the configuration is loaded.
    """
    found: dict[str, str] = {}
    declared = tuple(_declared_secrets(type_info(config_type)))

    def without(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, Mapping):
            return {k: v for k, v in ((k, without(v, (*path, str(k)))) for k, v in value.items()) if v is not _TAKEN}
        if isinstance(value, list | tuple):
            items = [without(v, (*path, str(i))) for i, v in enumerate(value)]
            return [None if item is _TAKEN else item for item in items]
        if _is_declared(declared, path):
            if isinstance(value, str):
                found[".".join(path)] = value
            return _TAKEN if value is None or isinstance(value, str) else value
        return value

    return without(dict(values), ()), found


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


_TAKEN = object()


def _explained(config_type: type[PluginConfig], error: str) -> str:
    what, _, at = error.partition(" - at `$")
    path, told = explained(what, at.removesuffix("`").lstrip("."), type_info(config_type))
    return f"{path}: {told}" if path else told


def _put(container: Any, path: list[str], secret: Secret) -> Any:
    """Return a copy of ``container`` with the secret at its place; the same one where there is no such place."""
    head, *rest = path
    if isinstance(container, Mapping):
        if not rest:
            return {**container, head: secret}
        return {**container, head: _put(container[head], rest, secret)} if head in container else container
    if isinstance(container, list | tuple) and head.isdigit() and int(head) < len(container):
        items = list(container)
        items[int(head)] = _put(items[int(head)], rest, secret) if rest else secret
        return items
    return container


def _is_declared(declared: tuple[tuple[str, ...], ...], path: tuple[str, ...]) -> bool:
    return any(
        len(places) == len(path) and all(place in ("*", part) for place, part in zip(places, path, strict=True))
        for places in declared
    )


def _declared_secrets(info: Any) -> Iterator[tuple[str, ...]]:
    """Walk a type as :mod:`msgspec.inspect` describes it."""
    match info:
        case CustomType(cls=cls) if cls is Secret:
            yield ()
        case StructType(fields=fields):
            for field in fields:
                yield from ((field.encode_name, *path) for path in _declared_secrets(field.type))
        case UnionType(types=types):
            for inner in types:
                yield from _declared_secrets(inner)
        case ListType(item_type=item) | VarTupleType(item_type=item) | DictType(value_type=item):
            yield from (("*", *path) for path in _declared_secrets(item))
        case TupleType(item_types=items):
            for index, item in enumerate(items):
                yield from ((str(index), *path) for path in _declared_secrets(item))
        case Metadata(type=inner):
            yield from _declared_secrets(inner)
