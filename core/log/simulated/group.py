"""The authority on membership: who is alive, who owns what, and since which generation."""

from dataclasses import dataclass

from ..assignment import Placement, share_out
from ..port import Assignment, NodeInfo

FORGET_US = 3_600_000_000


@dataclass(slots=True)
class Member:
    """A member is alive until `expires_us`; None: its heartbeats come."""

    session: int
    seen_us: int
    expires_us: int | None = None


class SimulatedGroup:
    """Leases end lazily: whoever asks brings the instant along."""

    def __init__(self, shards: int, lease_us: int) -> None:
        self._lease_us = lease_us
        self.generation = 0
        self._members: dict[str, Member] = {}
        self._placements = [Placement(None, None)] * shards
        self._sessions = 0

    def join(self, node: str, wall_us: int) -> int:
        """Make it a member, instead of an older session of that name; return the session."""
        self._sessions += 1
        self._members[node] = Member(self._sessions, wall_us)
        self._share()
        return self._sessions

    def leave(self, node: str, session: int) -> None:
        """End that session's membership at once."""
        if self._is(node, session):
            self._members[node].expires_us = 0
            self._share()

    def silence(self, node: str, monotonic_us: int) -> None:
        """Stop its heartbeats: the lease runs out."""
        if node in self._members and self._members[node].expires_us is None:
            self._members[node].expires_us = monotonic_us + self._lease_us

    def revive(self, node: str, wall_us: int) -> None:
        """Let its heartbeats come again, from a lease that may long be over."""
        if node in self._members:
            self._members[node].expires_us = None
            self._members[node].seen_us = wall_us
            self._share()

    def settle(self, monotonic_us: int, wall_us: int) -> None:
        """Take over from those whose lease is over; note who is alive."""
        for node, member in list(self._members.items()):
            if member.expires_us is None:
                member.seen_us = wall_us
            elif 0 < member.expires_us <= monotonic_us:
                member.expires_us = 0
                self._share()
            elif member.expires_us == 0 and member.seen_us < wall_us - FORGET_US:
                del self._members[node]

    def next_expiry_us(self) -> int | None:
        """Return when the next lease ends, on the monotonic clock."""
        return min((member.expires_us for member in self._members.values() if member.expires_us), default=None)

    def assignment(self, node: str, session: int) -> Assignment:
        """Return what that session owns now."""
        return Assignment(self.generation, self._owned(node) if self._is(node, session) else frozenset())

    def owns(self, node: str, session: int, shard: int, generation: int) -> bool:
        """Say whether it owns the shard, and in that generation."""
        return self.generation == generation and shard in self.assignment(node, session).shards

    def release(self, node: str, session: int, shard: int) -> None:
        """Pass a shard that was taken from the node to its next owner."""
        holder, target = self._placements[shard]
        if self._is(node, session) and holder == node != target:
            self._placements[shard] = Placement(target, target)
            self.generation += 1

    def take_away(self, shard: int) -> None:
        """Give the shard to another live member at once, as after a session that timed out wrongly."""
        holder = self._placements[shard].holder
        live = self._live()
        others = [node for node in live if node != holder] or live
        if others:
            new = others[self.generation % len(others)]
            self._placements[shard] = Placement(new, new)
            self.generation += 1

    def forget(self) -> None:
        """Forget who owned what: everything is assigned anew."""
        self._placements = [Placement(None, None)] * len(self._placements)
        self.generation += 1
        self._share()

    def nodes(self) -> list[NodeInfo]:
        """Return all members, by name."""
        return [
            NodeInfo(node, self._held(node), member.seen_us, member.expires_us != 0)
            for node, member in sorted(self._members.items())
        ]

    def _is(self, node: str, session: int) -> bool:
        return node in self._members and self._members[node].session == session

    def _live(self) -> list[str]:
        return [node for node, member in self._members.items() if member.expires_us != 0]

    def _share(self) -> None:
        placements = share_out(self._placements, self._live())
        if placements != self._placements:
            self._placements = placements
            self.generation += 1

    def _owned(self, node: str) -> frozenset[int]:
        return frozenset(shard for shard, (holder, target) in enumerate(self._placements) if holder == target == node)

    def _held(self, node: str) -> frozenset[int]:
        return frozenset(shard for shard, (holder, _) in enumerate(self._placements) if holder == node)
