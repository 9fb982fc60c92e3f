"""Signers and what they own: addresses of people are told apart and linked (accounting §5.2).

A signer (EOA) is no trading wallet: what it trades with is a proxy, a Safe or a deposit wallet whose address follows
from its own. Of those four addresses the ones that the store or the registry knows are linked; the signer itself is
kept as an attribute and registered only if it trades itself. Links are shown, wallets are never merged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from polyhouse.domain.contracts import INFRA
from polyhouse.domain.ids import wallet_deposit_beacon, wallet_deposit_uups, wallet_proxy, wallet_safe
from polyhouse.sync import discovery_catalog as catalog
from polyhouse.sync.context import RunContext
from polyhouse.tables import Columns

EOA = "eoa"
STATED = "stated"
_KINDS = (
    ("proxy", wallet_proxy), ("safe", wallet_safe), ("deposit", wallet_deposit_uups),
    ("deposit", wallet_deposit_beacon),
)  # fmt: skip
Link = tuple[bytes, bytes, str]
"""(owner, wallet, kind)"""


def derived(owner: bytes) -> list[Link]:
    """The wallets that follow from a signer, whether they exist or not."""
    return [(owner, derive(owner), kind) for kind, derive in _KINDS]


@dataclass(slots=True)
class Sorted:
    """Addresses told apart: ``wallets`` to register, ``links`` to keep."""

    wallets: list[bytes] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


def sort_addresses(
    ctx: RunContext,
    *,
    wallets: Sequence[bytes] = (),
    either: Sequence[bytes] = (),
    owners: Sequence[bytes] = (),
    pairs: Sequence[tuple[bytes, bytes]] = (),
) -> Sorted:
    """Tell wallets and signers apart; reads only.

    Args:
        ctx: the run.
        wallets: trading wallets.
        either: addresses of unknown kind: signers if a wallet that follows from them is known, else wallets.
        owners: signers.
        pairs: (signer, wallet) that a source names together.
    """
    stated = {(owner, wallet) for owner, wallet in pairs if not {owner, wallet} & INFRA}
    families = {owner: derived(owner) for owner in {*either, *owners} - INFRA}
    candidates = {wallet for links in families.values() for _, wallet, _ in links}
    known = known_wallets(ctx, candidates | set(families)) | set(wallets) | {wallet for _, wallet in stated}
    found = Sorted(list(wallets))
    named = set(owners)
    for address, family in families.items():
        links = [link for link in family if link[1] in known]
        if address in named or links:
            found.links += [(address, address, EOA), *links]
            linked = {link[1] for link in family}
            found.links += [(one, wallet, STATED) for one, wallet in stated if one == address and wallet not in linked]
            if address in known:
                found.wallets.append(address)
        else:
            found.wallets.append(address)
    found.wallets += sorted({*either, *owners} & INFRA)  # refused and counted by the registry
    return found


def known_wallets(ctx: RunContext, addresses: Collection[bytes]) -> set[bytes]:
    """Those of the addresses that are registered, or that the ledger speaks of."""
    registered = ctx.state.known_wallets(addresses)
    rest = sorted(set(addresses) - registered)
    return registered | (catalog.traded(ctx.warehouse, rest) if rest else set())


def write_links(ctx: RunContext, links: Iterable[Link], source: str) -> int:
    """Keep the links that are new and return how many; runs in the writer's thread. A link keeps its first time."""
    wanted = {(*link, source) for link in links}
    if not wanted:
        return 0
    there = catalog.links_of(ctx.warehouse, sorted({link[0] for link in wanted}))
    rows = sorted(wanted - there)
    if rows:
        columns: Columns = {
            "owner": [row[0] for row in rows],
            "wallet": [row[1] for row in rows],
            "kind": [row[2] for row in rows],
            "source": [row[3] for row in rows],
            "seen_at": [int(ctx.clock.time())] * len(rows),
        }
        token = f"links:{source}:{rows[0][0].hex()}:{len(rows)}"
        ctx.warehouse.write("wallet_links", columns, run=ctx.run, token=token)
    return len(rows)


async def link_again(ctx: RunContext) -> int:
    """Link signers that are known for long with wallets that became known since; returns how many links are new."""
    from polyhouse.sync.markets import in_thread

    new = 0
    async for chunk in in_thread(catalog.owner_chunks(ctx.warehouse)):
        by_source: dict[str, list[bytes]] = {}
        for owner, source in chunk:
            by_source.setdefault(source, []).append(owner)
        for source, owners in by_source.items():
            new += await ctx.writer.call(_link_owners, ctx, owners, source)
        if ctx.stop.is_set():
            break
    return new


def _link_owners(ctx: RunContext, owners: Sequence[bytes], source: str) -> int:
    families = [link for owner in owners for link in derived(owner)]
    known = known_wallets(ctx, {link[1] for link in families})
    return write_links(ctx, [link for link in families if link[1] in known], source)
