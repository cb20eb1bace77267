"""Keys and addresses of providers that the process may have inherited: none of them is a tenant's."""

from __future__ import annotations

import os

PREFIXES = ("OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_", "AZURE_API_", "AZURE_AD_TOKEN", "CLAUDE_")


def forget() -> None:
    """Take them out of the environment, where LiteLLM and the clients below it look for what they are not given."""
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        del os.environ[name]
