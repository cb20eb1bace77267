"""Where the built-in key provider finds its key."""

from __future__ import annotations

from aiops_core.config import PluginConfig


class FileKeyConfig(PluginConfig, frozen=True, kw_only=True):
    """Where the key file is; empty for the systemd credential ``aiops-key``."""

    path: str = ""
