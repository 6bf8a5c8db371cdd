"""One actor of the past: its state at a moment, and what lies between two."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ...core.address import is_participant
from ...core.app import App
from ...core.errors import DestinationNotFound, ValidationFailed
from ...core.log.port import Stored
from ...core.runtime.installed import Behaviours
from ...schemas import partition_of
from ..history import History
from ..schemas import learn_schemas
from .folding import PastActor, walk_of
from .moment import Moment

BEGINNING: Final = Moment(0)
"""Before the first event of every actor."""


class Difference(NamedTuple):
    """An actor at two moments (None: it had no event yet), and its events between them, oldest first."""

    before: PastActor | None
    after: PastActor | None
    events: list[Stored]


class Past:
    """The actors of a history, folded by these apps' code."""

    def __init__(self, history: History, apps: Sequence[App]) -> None:
        self.history = history
        self.behaviours = Behaviours(apps)

    async def learn(self) -> None:
        """Read the schemas; before anything else."""
        await learn_schemas(self.history, self.behaviours.contract)

    def shard_of(self, address: str) -> int:
        """Return an actor's shard. Raises `DestinationNotFound` for what is no actor of these apps."""
        behaviour, _, key = address.partition("/")
        if not key or is_participant(address):
            raise ValidationFailed(f"expected an actor such as component/web, got {address!r}")
        if self.behaviours.of(address) is None:
            known = ", ".join(sorted(one.behaviour.name for one in self.behaviours))
            raise DestinationNotFound(
                f"no behaviour {behaviour!r} here; there are: {known}. For your own add --app MODULE:APP"
            )
        return partition_of(address, self.history.partitions)

    async def actor(self, address: str, moment: Moment) -> PastActor | None:
        """Return an actor as it was; None if it had no event by then."""
        self.shard_of(address)
        walk = walk_of(self.history, self.behaviours, address)
        await walk.go(moment.end, last_offset=moment.last_offset)
        return walk.actor(address)

    async def difference(self, address: str, before: Moment, after: Moment) -> Difference:
        """Return an actor at two moments and what happened to it between. Raises `ValidationFailed` for the wrong order."""
        if before.limit > after.limit:
            raise ValidationFailed("expected --from before --to; the events of a difference go forward")
        first = await self.actor(address, before)
        walk = walk_of(self.history, self.behaviours, address)
        steps = walk.to(after.end, last_offset=after.last_offset)
        events = [stored async for stored in steps if stored.offset >= before.limit]
        return Difference(first, walk.actor(address), events)
