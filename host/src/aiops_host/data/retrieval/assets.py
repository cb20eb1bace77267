"""The tenant's assets, found by what a ticket calls them: a name, a hostname, an address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from aiops_core.errors import AiopsError
from aiops_core.tickets import Evidence
from aiops_host.data.retrieval.history import UpsertCount
from aiops_host.data.retrieval.lexemes import Connection
from aiops_host.data.retrieval.words import clean

MAX_FIELD = 500
MAX_NOTES = 5_000
MAX_KEYS = 200
MAX_FOUND = 50
EXACT = 1.0
BY_FIRST_LABEL = 0.5


class AssetInvalid(AiopsError):
    """An asset's address cannot be read."""


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, device or service. ``name`` names it within the tenant; ``ips`` in any spelling, networks too."""

    name: str
    kind: str | None = None
    owner: str | None = None
    site: str | None = None
    notes: str | None = None
    hostnames: tuple[str, ...] = ()
    ips: tuple[str, ...] = ()


async def upsert(con: Connection, assets: Sequence[Asset]) -> UpsertCount:
    """Store the assets; one of a known name is brought up to date. The last of several with one name counts.

    Raises:
        AssetInvalid: An address cannot be read; nothing was stored.
    """
    rows = {row["name"]: row for row in map(_row, assets)}
    await _lock(con)
    known = await con.fetch(
        "select name, kind, owner, site, notes, hostnames, ips from asset where name = any($1::text[])", list(rows)
    )
    stored = {row["name"]: dict(row) for row in known}
    new = [row for name, row in rows.items() if name not in stored]
    changed = [row for name, row in rows.items() if name in stored and row != stored[name]]
    await con.executemany(
        """
        insert into asset (name, kind, owner, site, notes, hostnames, ips) values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (tenant_id, name) do update set kind = excluded.kind, owner = excluded.owner, site = excluded.site,
            notes = excluded.notes, hostnames = excluded.hostnames, ips = excluded.ips, updated_at = now()
        """,
        [tuple(row.values()) for row in new + changed],
    )
    await _replace_keys(con, new + changed)
    return UpsertCount(added=len(new), changed=len(changed), unchanged=len(rows) - len(new) - len(changed))


async def find(con: Connection, keys: Sequence[str]) -> list[Evidence]:
    """Return the assets called by one of the names, hostnames or addresses, in the order asked, each once.

    A full hostname that no asset has finds the asset of its first label, at half the score.
    """
    asked = list(dict.fromkeys(canonical(key) for key in keys[:MAX_KEYS]))
    wanted = [key for key in dict.fromkeys([*asked, *map(_first_label, asked)]) if key]
    rows = await con.fetch(
        "select k.key, a.* from asset_key k join asset a on a.asset_id = k.asset_id where k.key = any($1::text[])",
        wanted,
    )
    by_key: dict[str, list[Any]] = {}
    for row in sorted(rows, key=lambda row: row["name"]):
        by_key.setdefault(row["key"], []).append(row)
    found: dict[str, Evidence] = {}
    for key in asked:
        for row in by_key.get(key, ()):
            found.setdefault(row["name"], _evidence(row, EXACT))
    for key in asked:
        for row in () if key in by_key else by_key.get(_first_label(key), ()):
            found.setdefault(row["name"], _evidence(row, BY_FIRST_LABEL))
    return list(found.values())[:MAX_FOUND]


async def delete(con: Connection, names: Iterable[str]) -> int:
    """Forget assets and return how many there were."""
    await _lock(con)
    rows = await con.fetch("delete from asset where name = any($1::text[]) returning asset_id", list(names))
    return len(rows)


def canonical(key: str) -> str:
    """Return the one spelling under which a name, hostname or address is kept; lower case.

    IPv6 is compressed, its zone dropped, an IPv4 address mapped into it unwrapped; a hostname loses its final dot.
    """
    text = clean(key, MAX_FIELD).strip().lower()
    try:
        address = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return text.rstrip(".")
    return str(getattr(address, "ipv4_mapped", None) or address)


def _first_label(key: str) -> str:
    """Return the host part of a full hostname; empty for an address, a bare name and anything with spaces."""
    label, dot, _ = key.partition(".")
    return label if dot and label and not label.isdigit() and not set(key) & set(" :@/") else ""


def _keys_of(row: dict[str, Any]) -> set[str]:
    names = {canonical(row["name"]), *map(canonical, row["hostnames"])}
    return (names | set(map(_first_label, names)) | set(map(str, row["ips"]))) - {""}


async def _replace_keys(con: Connection, rows: Sequence[dict[str, Any]]) -> None:
    names = [row["name"] for row in rows]
    await con.execute(
        "delete from asset_key k using asset a where a.name = any($1::text[]) and k.asset_id = a.asset_id", names
    )
    await con.executemany(
        "insert into asset_key (key, asset_id) select $2, asset_id from asset where name = $1",
        [(row["name"], key) for row in rows for key in sorted(_keys_of(row))],
    )


async def _lock(con: Connection) -> None:
    await con.execute(
        "select pg_advisory_xact_lock(hashtextextended('asset' || current_setting('app.current_tenant_id'), 0))"
    )


def _row(asset: Asset) -> dict[str, Any]:
    return {
        "name": clean(asset.name, MAX_FIELD).strip(),
        "kind": _field(asset.kind),
        "owner": _field(asset.owner),
        "site": _field(asset.site),
        "notes": clean(asset.notes, MAX_NOTES) if asset.notes else None,
        "hostnames": [canonical(name) for name in asset.hostnames],
        "ips": [_address(asset.name, ip) for ip in asset.ips],
    }


def _address(name: str, text: str) -> Any:
    """Read an address, or a network with its prefix, as asyncpg will read it back."""
    try:
        interface = ipaddress.ip_interface(canonical(text))
        return interface.ip if interface.network.num_addresses == 1 else interface
    except ValueError:
        raise AssetInvalid(f"Asset {name}: {text!r} is no IP address; correct it or move it to the notes.") from None


def _field(value: str | None) -> str | None:
    return clean(value, MAX_FIELD) if value else None


def _evidence(row: Any, score: float) -> Evidence:
    about = [("Kind", row["kind"]), ("Owner", row["owner"]), ("Site", row["site"])]
    about += [("Hostnames", ", ".join(row["hostnames"])), ("Addresses", ", ".join(map(str, row["ips"])))]
    lines = [f"{label}: {value}" for label, value in about if value]
    return Evidence(
        source="asset",
        ref=row["name"],
        title=row["name"],
        text="\n".join([*lines, row["notes"]] if row["notes"] else lines),
        time=row["updated_at"],
        score=score,
    )
