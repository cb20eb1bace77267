"""A secret's plaintext is shown by nothing but opening it."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import pprint
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from aiops_core import PluginConfig, Secret

PLAINTEXT = "pl4intext"
SECRET = Secret.of(PLAINTEXT)


class Config(PluginConfig, frozen=True, kw_only=True):
    """A configuration with a secret."""

    token: Secret


@dataclasses.dataclass
class Holder:
    """Something that has a secret."""

    token: Secret


def logged(secret: Secret) -> str:
    """Return what a log line with the secret says, in every way of formatting it."""
    stream = io.StringIO()
    logger = logging.Logger("test")
    logger.addHandler(logging.StreamHandler(stream))
    logger.warning("%s %r %s", secret, secret, {"token": secret})
    return stream.getvalue()


def raised(secret: Secret) -> str:
    """Return the text of an error about the secret."""
    return repr(ValueError(secret)) + str(ValueError(secret))


SHOWN: dict[str, Callable[[Secret], Any]] = {
    "repr": repr,
    "str": str,
    "format": lambda s: f"{s} {s!r} {s!s}",
    "percent": lambda s: "%s %r" % (s, s),  # noqa: UP031 - one of the ways
    "in a list": lambda s: str([s]),
    "in a dataclass": lambda s: repr(Holder(s)),
    "in a configuration": lambda s: repr(Config(token=s)),
    "pprint": lambda s: pprint.pformat(Config(token=s)),
    "json with str": lambda s: json.dumps(s, default=str),
    "msgspec with str": lambda s: msgspec.json.encode(Config(token=s), enc_hook=str).decode(),
    "log": logged,
    "error": raised,
    "state": lambda s: str(s.__getstate__()) if hasattr(s, "__getstate__") else "",
    "dir": lambda s: str([(name, getattr(s, name)) for name in dir(s)]),
}

REFUSED: dict[str, Callable[[Secret], Any]] = {
    "pickle": pickle.dumps,
    "old pickle": lambda s: pickle.dumps(s, 0),
    "pickle inside": lambda s: pickle.dumps({"a": [Config(token=s)]}),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": lambda s: dataclasses.asdict(Holder(s)),
    "json": json.dumps,
    "json inside": lambda s: json.dumps({"token": s}),
    "msgspec": msgspec.json.encode,
    "msgspec inside": lambda s: msgspec.json.encode(Config(token=s)),
    "msgpack": lambda s: msgspec.msgpack.encode(Config(token=s)),
    "builtins": lambda s: msgspec.to_builtins(Config(token=s)),
    "vars": vars,
}


@pytest.mark.promise("secrets-nowhere-else")
@pytest.mark.parametrize("way", SHOWN)
@pytest.mark.attack(22)
def test_printing_shows_no_plaintext(way: str) -> None:
    """However a secret is printed, logged or put into a text, its plaintext is not in it."""
    assert PLAINTEXT not in str(SHOWN[way](SECRET))


@pytest.mark.promise("secrets-nowhere-else")
@pytest.mark.parametrize("way", REFUSED)
@pytest.mark.attack(22)
def test_carrying_it_off_is_refused(way: str) -> None:
    """A secret is neither pickled, copied nor encoded, alone or inside of something."""
    with pytest.raises(TypeError):
        REFUSED[way](SECRET)
