"""The embedded servers of an installation kept running while its parts use them."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiops_host.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServerFailed, last_words

MOST_ENDS = 5
ENDS_SPAN_SECONDS = 60.0


class KeptServer:
    """An embedded server that is started again, at its old address, when it ends."""

    def __init__(self, name: str, server: EmbeddedPostgres | EmbeddedRedis, say: Callable[[str], None]) -> None:
        """Take a running server, and whom to tell of its ends."""
        self.name = name
        self._server = server
        self._say = say
        self._ends: list[float] = []

    def look_after(self) -> None:
        """Start the server again if it has ended. One that something else killed is started however often.

        Raises:
            EmbeddedServerFailed: It does not start, or ended by itself too often within a minute.
        """
        if self._server.is_running:
            return
        log, words = self._server.log, last_words(self._server.log)
        if not self._server.was_killed:
            self._ends = [at for at in self._ends if time.monotonic() - at < ENDS_SPAN_SECONDS]
            self._ends.append(time.monotonic())
        if len(self._ends) >= MOST_ENDS:
            often = f"{self.name} ended {len(self._ends)} times within a minute"
            raise EmbeddedServerFailed(f"{often}. The end of {log}: {words}")
        self._say(f"{self.name} ended; starting it again")
        try:
            self._server = self._server.started_again()
        except EmbeddedServerFailed as error:
            raise EmbeddedServerFailed(
                f"{self.name} ended and cannot be started again; its log is {log}. {error}"
            ) from None
        self._say(f"{self.name} runs again")

    def stop(self) -> None:
        """End the server."""
        self._server.stop()
