"""Contract tests and test doubles for authors of plugins; needs the extra ``testing``.

Subclass a contract in a test module, name its subject in fixtures and methods, and pytest runs the standard tests:

- :class:`~aiops_core.testing.ticketing.TicketingToolContract`, and
  :class:`~aiops_core.testing.ticketing.TicketingFaultsContract` where the other side can misbehave on request
- :class:`~aiops_core.testing.tools.ToolContract`
- :class:`~aiops_core.testing.llm.LLMBackendContract`, and
  :class:`~aiops_core.testing.llm.LLMBackendFaultsContract` for a backend that reaches a service

The standard tests are coroutines: run them with pytest-asyncio (``asyncio_mode = "auto"``) or anyio.
"""

import pytest

# Before the modules are imported, so that a failed standard test shows the values it compared.
pytest.register_assert_rewrite(
    "aiops_core.testing.ticketing", "aiops_core.testing.tools", "aiops_core.testing.llm", "aiops_core.testing.checks"
)
