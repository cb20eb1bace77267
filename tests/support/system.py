"""Programs of the operating system that some tests need."""

import shutil

import pytest

# Debian's package and the names its program goes by, there and elsewhere.
PROGRAMS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "prometheus": ("prometheus",),
    "wrk": ("wrk",),
}


def require_program(package: str) -> str:
    """Return the path of ``package``'s program; skip the running test, naming the package, where it is missing."""
    for name in PROGRAMS[package]:
        if path := shutil.which(name):
            return path
    pytest.skip(f"needs the system package {package}")
