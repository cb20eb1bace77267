"""A plugin's wheel judged before it is installed: what would run by itself, or overwrite somebody else's code.

It is read first. Only where nothing was found its modules are imported on trial, in a child process.
This finds known tricks and accidents. It is no sandbox: a plugin that is installed runs with the host's rights.
"""

from __future__ import annotations

import ast
import base64
import configparser
import csv
import hashlib
import importlib.util
import io
import re
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path, PurePosixPath

from aiops_host.trust.trial import LIMITS, Limits, try_imports

GROUP = "aiops"
STARTS_BY_ITSELF = frozenset({"sitecustomize.py", "usercustomize.py"})
DECLARATIONS = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
    ast.Pass,
)
MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_WHEEL_BYTES = 256 * 1024 * 1024
IMPORTED = ("purelib", "platlib")
"""Folders of a wheel's ``.data`` that are installed beside its packages."""


def judge(path: Path, limits: Limits | None = LIMITS) -> list[str]:
    """Return why the wheel must not be installed, one sentence each; empty if nothing was found.

    Args:
        path: The wheel.
        limits: What an import on trial may take; ``None`` where nothing is to be imported.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            if found := [*_places(wheel), *_names(wheel)]:
                return found
            files = {str(_installed(i.filename)): wheel.read(i) for i in wheel.infolist() if not i.is_dir()}
            modules = _entry_modules(wheel)
            if found := [*_records(wheel), *_imports(files, modules)]:
                return found
    except (
        OSError,
        zipfile.BadZipFile,
        zlib.error,
        UnicodeDecodeError,
        KeyError,
        csv.Error,
        configparser.Error,
    ) as error:
        return [f"It cannot be read as a wheel: {error}."]
    return try_imports(files, modules, limits) if limits else []


def _installed(name: str) -> PurePosixPath:
    """Return where a file of a wheel is installed, from the folder of packages."""
    first, second, *rest = (*PurePosixPath(name).parts, "", "")
    if first.endswith(".data") and second in IMPORTED and any(rest):
        return PurePosixPath(*rest)
    return PurePosixPath(name)


def _places(wheel: zipfile.ZipFile) -> Iterator[str]:
    for info in wheel.infolist():
        place = PurePosixPath(info.filename)
        if place.is_absolute() or ".." in place.parts or "\\" in info.filename:
            yield f"{info.filename} would be written outside the environment."
        if place.suffix == ".pth":
            yield f"{info.filename} is run by Python at every start, whether or not the plugin is used."
        if place.name in STARTS_BY_ITSELF:
            yield f"{info.filename} is run by Python at every start."
        if (
            len(place.parts) > 1
            and place.parts[0].endswith(".data")
            and place.parts[1] in ("data", "headers", "scripts")
        ):
            yield f"{info.filename} would be written beside the plugin's own package."
        if info.file_size > MAX_FILE_BYTES:
            yield f"{info.filename} unpacks to {info.file_size} bytes."
    if (size := sum(info.file_size for info in wheel.infolist())) > MAX_WHEEL_BYTES:
        yield f"It unpacks to {size} bytes."


def _names(wheel: zipfile.ZipFile) -> Iterator[str]:
    places = Counter(str(_installed(info.filename)) for info in wheel.infolist() if not info.is_dir())
    for place in sorted(place for place, times in places.items() if times > 1):
        yield f"{place} is in it more than once."
    for name in sorted({part.removesuffix(".py") for n in wheel.namelist() for part in _installed(n).parts[:1]}):
        if name in sys.stdlib_module_names:
            yield f"{name} stands in the place of a module of Python itself."
        elif others := _owners(name) - {_distribution(wheel)}:
            yield f"{name} stands in the place of a package of {', '.join(sorted(others))}."


def _owners(package: str) -> set[str]:
    """Return the installed distributions a package belongs to; a namespace belongs to nobody."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or spec.origin is None:
        return set()
    # Where a package is installed as a link to its sources, nothing but its name tells.
    return {_canonical(name) for name in packages_distributions().get(package, [package])}


def _distribution(wheel: zipfile.ZipFile) -> str:
    folder = next((PurePosixPath(n).parts[0] for n in wheel.namelist() if ".dist-info/" in n), "")
    return _canonical(folder.partition("-")[0])


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _records(wheel: zipfile.ZipFile) -> Iterator[str]:
    name = next((n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/RECORD", n)), None)
    if name is None:
        yield "It has no RECORD of its files."
        return
    listed = {row[0]: row[1] for row in csv.reader(io.StringIO(wheel.read(name).decode())) if len(row) > 1}
    for file in wheel.namelist():
        if file.endswith("/") or file == name or file.startswith(f"{name}."):
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(wheel.read(file)).digest()).decode().rstrip("=")
        if listed.get(file) != f"sha256={digest}":
            yield f"{file} is not what the wheel's RECORD says."


def _imports(files: Mapping[str, bytes], modules: list[str]) -> Iterator[str]:
    """Judge the modules the host imports to find the plugin: they are to declare, and do nothing yet."""
    for module in modules:
        parts = module.split(".")
        packages = ["/".join((*parts[:n], "__init__.py")) for n in range(1, len(parts) + 1)]
        for file in (*packages, "/".join(parts) + ".py"):
            if file in files:
                yield from _doings(file, files[file])


def _entry_modules(wheel: zipfile.ZipFile) -> list[str]:
    name = next((n for n in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/entry_points\.txt", n)), None)
    if name is None:
        return []
    points = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    points.read_string(wheel.read(name).decode())
    return [v.partition(":")[0].strip() for _, v in points.items(GROUP)] if points.has_section(GROUP) else []


def _doings(file: str, source: bytes) -> Iterator[str]:
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError):
        yield f"{file} is no Python."
        return
    for statement in statements:
        text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        typing_only = isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING")
        if not (text or typing_only or isinstance(statement, DECLARATIONS)):
            yield f"{file}, line {statement.lineno}, does something when it is imported; a plugin's module declares only."
