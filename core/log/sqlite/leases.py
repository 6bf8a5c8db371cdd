"""Membership inside a transaction: leases, who owns what, and taking over from the dead.

A lease is counted on the boot clock, which all processes of one machine share and nobody sets; a lease of another boot
is over. A session tells a node from an earlier process of the same name, which the newer one replaces.
"""

import contextlib
import subprocess
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from ..assignment import Placement, share_out
from .sessions import is_over
from .transaction import Transaction

FORGET_US: Final = 3_600_000_000


class Lease(NamedTuple):
    """Who asks: its name, its session, and how long it lives without a heartbeat."""

    node: str
    session: str
    lease_us: int


@cache
def boot_id() -> str:
    """Return what tells this boot of the machine from others; empty where the system does not say."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    with contextlib.suppress(OSError):
        command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
    return ""


def join(transaction: Transaction, lease: Lease) -> None:
    """Become a member; an older session of that name is one no more."""
    _renew(transaction, lease)
    rebalance(transaction)


def heartbeat(transaction: Transaction, lease: Lease) -> None:
    """Renew the lease, if no newer session has taken the name; take over from those whose lease is over."""
    rows = transaction.connection.execute("SELECT session FROM nodes WHERE node = ?", (lease.node,)).fetchall()
    if not rows or rows[0][0] == lease.session:
        _renew(transaction, lease)
    rebalance(transaction)


def release(transaction: Transaction, lease: Lease, shard: int) -> None:
    """Hand a shard that was taken from this node to its next owner."""
    statement = "UPDATE shards SET holder = target WHERE shard = ? AND holder = ? AND target IS NOT holder"
    if transaction.execute(statement, shard, lease.node).rowcount:
        transaction.generation += 1


def leave(transaction: Transaction, lease: Lease) -> None:
    """End the lease now; the row stays for `nodes` to show."""
    statement = "UPDATE nodes SET expires_us = 0 WHERE node = ? AND session = ?"
    transaction.execute(statement, lease.node, lease.session)
    rebalance(transaction)


def rebalance(transaction: Transaction) -> None:
    """Share the shards out among the live members, if that changes anything."""
    connection = transaction.connection
    live = _live(transaction)
    before = [
        Placement(*row) for row in connection.execute("SELECT holder, target FROM shards ORDER BY shard").fetchall()
    ]
    after = share_out(before, live)
    for shard, (old, new) in enumerate(zip(before, after, strict=True)):
        if new != old:
            transaction.execute(
                "UPDATE shards SET holder = ?, target = ? WHERE shard = ?", new.holder, new.target, shard
            )
    if after != before:
        transaction.generation += 1


def _live(transaction: Transaction) -> list[str]:
    """Return the nodes whose lease holds; the lease of one whose process is gone ends here."""
    statement = "SELECT node, session FROM nodes WHERE boot = ? AND expires_us > ?"
    leased = transaction.connection.execute(statement, (boot_id(), transaction.monotonic_us)).fetchall()
    dead = [node for node, session in leased if is_over(session)]
    for node in dead:
        transaction.execute("UPDATE nodes SET expires_us = 0 WHERE node = ?", node)
    return [node for node, _ in leased if node not in dead]


def _renew(transaction: Transaction, lease: Lease) -> None:
    expires_us = transaction.monotonic_us + lease.lease_us
    row = (lease.node, lease.session, boot_id(), expires_us, transaction.at_us)
    transaction.execute("INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, ?, ?)", *row)
    forgotten = (transaction.at_us - FORGET_US, transaction.monotonic_us)
    transaction.execute("DELETE FROM nodes WHERE seen_us < ? AND (expires_us <= ? OR boot != ?)", *forgotten, boot_id())
