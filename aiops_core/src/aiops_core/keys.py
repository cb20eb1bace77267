"""Key providers: who holds the keys that wrap each tenant's data keys."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from aiops_core.ticketing import Health

_FORMAT = b"aiops data key 1"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyContext:
    """Which data key is wrapped: bound into the wrapping, so that it unwraps in no other place.

    ``tenant`` is all zeros for the installation's own keys; ``version`` counts from 1.
    """

    installation: UUID
    tenant: UUID
    purpose: str
    version: int

    def encoded(self) -> bytes:
        """Return all parts, each after its length."""
        return length_prefixed(
            _FORMAT, self.installation.bytes, self.tenant.bytes, self.purpose.encode(), str(self.version).encode()
        )


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A data key as it is stored. ``key_id`` names the provider's key that wraps it; ``data`` is the provider's own."""

    key_id: str
    data: bytes = field(repr=False)


class KeyProvider(ABC):
    """Wraps and unwraps data keys with keys that it does not give away.

    What one tenant's key wrapped must be lost for good once :meth:`destroy` returned, whatever backup of the database
    there is. Each call is bounded in time by the provider itself.
    """

    @abstractmethod
    async def wrap(self, key: bytes, context: KeyContext) -> WrappedKey:
        """Wrap a data key of 32 bytes with the newest key.

        Raises:
            KeyProviderUnavailable: No answer; try again later.
            KeyProviderRefused: The provider does not wrap for this tenant, or not with this configuration.
        """

    @abstractmethod
    async def unwrap(self, wrapped: WrappedKey, context: KeyContext) -> bytes:
        """Return the data key.

        Raises:
            KeyProviderUnavailable: No answer; try again later.
            KeyProviderRefused: It was wrapped elsewhere or for another context, was changed, or its key is gone.
        """

    @abstractmethod
    async def current(self, tenant: UUID) -> str:
        """Return the id of the key that would wrap for the tenant now.

        Raises:
            KeyProviderUnavailable: No answer; try again later.
            KeyProviderRefused: The tenant's keys were destroyed, or the configuration is not accepted.
        """

    @abstractmethod
    async def rotate(self, tenants: Sequence[UUID]) -> None:
        """Make new keys for the tenants; the old ones go on unwrapping until :meth:`retire`.

        Raises:
            KeyProviderUnavailable: No answer; repeating it does no harm.
            KeyProviderRefused: A person has to rotate elsewhere; the message says where.
        """

    @abstractmethod
    async def retire(self, in_use: Mapping[UUID, Collection[str]]) -> int:
        """Forget older keys that wrap nothing any more, and return how many.

        Args:
            in_use: The ids of the keys that still wrap something, by tenant; every tenant there is.

        Raises:
            KeyProviderUnavailable: No answer; repeating it does no harm.
            KeyProviderRefused: A person has to do it elsewhere; the message says where.
        """

    @abstractmethod
    async def destroy(self, tenant: UUID) -> None:
        """Make everything wrapped for the tenant unreadable for good; one that is destroyed already is fine.

        Raises:
            KeyProviderUnavailable: No answer; the keys may still be there.
            KeyProviderRefused: A person has to do it elsewhere; the message says where.
        """

    @abstractmethod
    async def check_health(self) -> Health:
        """Say whether wrapping and unwrapping work now; raises nothing."""

    async def aclose(self) -> None:  # noqa: B027 - most providers hold nothing
        """Release what the provider holds."""


def length_prefixed(*parts: bytes) -> bytes:
    """Join parts so that no two different lists of them give the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
