"""Files that stand under their name only when they are whole."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from aiops_core.errors import AiopsError


class FileBroken(AiopsError):
    """A file cannot be written to its end."""


@contextmanager
def whole(target: Path) -> Iterator[BinaryIO]:
    """Give a new file that only its owner reads; it has its name once the block has ended well, and is gone otherwise.

    ``-`` is stdout, from which nothing can be taken back. A process that is killed leaves a file whose name begins with
    a dot and ends in ``.partial``.

    Raises:
        click.BadParameter: There is such a file already, or its folder cannot be written to.
        FileBroken: The file system took no more, or the reader of stdout left.
    """
    if str(target) == "-":
        try:
            with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as file:
                yield file
        except BrokenPipeError:
            raise FileBroken("Nobody reads stdout any more; what was written is not whole.") from None
        return
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    try:
        if target.exists():
            raise FileExistsError(0, "File exists")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _unusable(target, error) from None
    try:
        with _failures_told(target), os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(partial, target)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _failures_told(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileBroken(
            f"{target} cannot be written to its end, and nothing is left of it: {error.strerror}."
        ) from error


def _name(partial: Path, target: Path) -> None:
    """Give the file its name, unless there is another of that name by now."""
    try:
        os.link(partial, target)
    except FileExistsError as error:
        raise _unusable(target, error) from None
    except OSError:  # a file system without hard links
        if target.exists():
            raise _unusable(target, FileExistsError(0, "File exists")) from None
        partial.rename(target)


def _unusable(target: Path, error: OSError) -> click.BadParameter:
    return click.BadParameter(f"{target}: {error.strerror}; name a new file with --to.")
