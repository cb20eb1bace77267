"""PostgreSQL and Redis as child processes, from wheels, on private unix sockets.

A server is started, its address handed out, and it ends with its owner, however the owner ends. Servers that run
elsewhere are reached through the same URLs, so no other module knows the difference.
"""

from aiops_host.embedded.child import EmbeddedServerFailed, FolderRefused, last_words
from aiops_host.embedded.postgres import EmbeddedPostgres, unavailable_reason
from aiops_host.embedded.redis import EmbeddedRedis

__all__ = [
    "EmbeddedPostgres",
    "EmbeddedRedis",
    "EmbeddedServerFailed",
    "FolderRefused",
    "last_words",
    "unavailable_reason",
]
