"""Where Vault is and how we prove who we are."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from aiops_core.config import PluginConfig, Secret


class VaultTransitConfig(PluginConfig, frozen=True, kw_only=True):
    """The operator's settings for Vault."""

    address: Annotated[
        str,
        Meta(title="Address", description="Vault's address, without a path", pattern=r"^https?://[^/?#@\s]+$"),
    ]
    token_file: Annotated[str, Meta(title="Token file", description="A file with the token, read at each call")] = ""
    token: Annotated[Secret | None, Meta(title="Token", description="The token, in place of the file")] = None
    mount: Annotated[str, Meta(title="Mount", description="Where Transit is enabled", pattern=r"^[\w./-]+$")] = (
        "transit"
    )
    namespace: Annotated[str, Meta(title="Namespace", description="The namespace, where Vault has them")] = ""
    key_prefix: Annotated[
        str, Meta(title="Key prefix", description="What Transit keys' names begin with", pattern=r"^\w[\w.-]{0,31}$")
    ] = "aiops"

    def __post_init__(self) -> None:
        """Refuse a configuration without a token."""
        if not self.token_file and self.token is None:
            raise ValueError("token_file or token: one of them is needed")
