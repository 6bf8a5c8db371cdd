"""A node: one process's share of the shards, opened, run, and given up as the membership says."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Self

import structlog

from ..app import App
from ..clock import Clock, SystemClock
from ..errors import HistoryBroken, NodeOutdated, NodeUnfit, OutsideError, PositionTrimmed, WriterFenced
from ..log.port import Assignment, Log, Membership
from .duty import Duties, Duty
from .fitness import LOOK_EVERY_S, Fitness
from .history import History, LogHistory
from .installed import Behaviours, code_version_of
from .pace import ROUND_MS, ROUND_OF_BROKERS_MS, Pace
from .schema_store import SchemaStore
from .shard import Shard, ShardStatistics
from .shard_options import ShardOptions
from .surroundings import Surroundings

logger = structlog.get_logger("hms.node")
BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 2.0


class NodeStatistics(NamedTuple):
    """What a node has and does."""

    node: str
    shards: tuple[ShardStatistics, ...]
    broken: tuple[str, ...]
    """Shards whose history does not hold; they are not opened again without a new start."""
    unfit: str = ""
    """Why it owns nothing: its clock is off, or its code older than the log."""
    outdated: bool = False
    """Whether that is for good: only a new start, with newer code, helps."""
    failing_duties: tuple[str, ...] = ()
    """What is done beside the shards and fails now: duty, shard and why."""


class Node:
    """Runs apps on a log. Use it as `async with Node(...) as node`, or `start` and `stop` it."""

    def __init__(
        self,
        log: Log,
        apps: Sequence[App] | Behaviours,
        *,
        name: str,
        clock: Clock | None = None,
        options: ShardOptions | None = None,
        history: History | None = None,
        code_version: str = "",
        duties: Sequence[Duty] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.behaviours = apps if isinstance(apps, Behaviours) else Behaviours(apps)
        self._clock = clock or SystemClock()
        self._around = Surroundings(
            log,
            self.behaviours,
            SchemaStore(log, self.behaviours.contract),
            self._clock,
            options or ShardOptions(),
            Fitness(log, self.behaviours, self._clock),
            history or LogHistory(log),
            Pace(ROUND_OF_BROKERS_MS if log.capabilities.markers else ROUND_MS),
            name,
            code_version or code_version_of(self.behaviours),
        )
        self._duties = Duties(duties)
        self._membership: Membership
        self._generation = -2
        self._owned: dict[int, asyncio.Task[None]] = {}
        self._shards: dict[int, Shard] = {}
        self._broken: dict[int, str] = {}
        self._unreleased: dict[int, None] = {}
        """Shards that may still count as held by this node although it does not run them."""
        self._stopping = asyncio.Event()
        self._unfit: NodeUnfit | None = None
        self._background: list[asyncio.Task[None]] = []

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Publish the schemas, become a member, and begin to own shards.

        Raises `ValidationFailed` if an app is missing, `ClockOff` if the clock is wrong.
        """
        await self._around.fitness.record_apps()
        await self._around.fitness.check_clock()
        await self._around.schemas.publish()
        self._membership = await self.log.join(self.name)
        self._background = [asyncio.create_task(self._follow(), name=f"node {self.name}")]
        self._background.append(asyncio.create_task(self._watch(), name=f"clock of {self.name}"))

    async def stop(self) -> None:
        """Drain: let every shard finish its commit, then leave, so that others take over at once."""
        self._stopping.set()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(self._give_up(shard) for shard in list(self._owned)))
        if hasattr(self, "_membership"):
            try:
                await self._membership.leave()
            except OutsideError as error:
                logger.warning("leave_failed", node=self.name, error=str(error))

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop."""
        await self.stop()

    def statistics(self) -> NodeStatistics:
        """Return what runs now."""
        shards = tuple(shard.statistics() for _, shard in sorted(self._shards.items()))
        broken = tuple(self._broken.values())
        unfit = self._unfit
        failing = tuple(f"{name} of shard {shard}: {why}" for (name, shard), why in self._duties.failures.items())
        return NodeStatistics(self.name, shards, broken, str(unfit or ""), isinstance(unfit, NodeOutdated), failing)

    def open_shards(self) -> dict[int, Shard]:
        """Return the shards that are open here now, by number."""
        return dict(self._shards)

    async def wait_owning(self, shards: int) -> None:
        """Wait until this node has so many shards open."""
        while len(self._shards) < shards:  # noqa: ASYNC110 - two lines at start-up, not worth an event each shard
            await asyncio.sleep(0.005)

    # --- fitness ------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Look at the clock now and then; shards look for themselves when they are opened."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._around.fitness.check_clock()
            except NodeUnfit as error:
                self._is_unfit(error)
            except OutsideError as error:
                logger.warning("clock_not_compared", node=self.name, error=str(error))

    def _is_unfit(self, error: NodeUnfit) -> None:
        if self._unfit is None or self._unfit.retryable:
            self._unfit = error

    async def _stand_back(self) -> Assignment:
        """Leave all shards to others for as long as this process must own none; return what it is given afterwards."""
        await asyncio.gather(*(self._give_up(shard) for shard in list(self._owned)))
        await self._membership.leave()
        while not await self._is_fit():
            logger.critical("node_unfit", node=self.name, error=str(self._unfit), owns="nothing")
            await asyncio.sleep(LOOK_EVERY_S)
        self._membership = await self.log.join(self.name)
        self._generation = -2
        self._unfit = None
        logger.warning("node_fit_again", node=self.name)
        return await self._assignment()

    async def _is_fit(self) -> bool:
        """Tell whether it may join again; code that is too old becomes no newer."""
        if self._unfit is not None and not self._unfit.retryable:
            return False
        try:
            await self._around.fitness.check()
        except NodeUnfit as error:
            self._unfit = error
            return False
        except OutsideError as error:
            logger.warning("fitness_not_known", node=self.name, error=str(error))
            return False
        return True

    # --- shards -------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        assignment = await self._assignment()
        while True:
            try:
                if self._unfit is not None:
                    assignment = await self._stand_back()
                await self._take_over(assignment)
                assignment = await self._membership.wait_changed(assignment.generation, 1_000)
            except OutsideError as error:
                logger.warning("membership_unreachable", node=self.name, error=str(error))
                await asyncio.sleep(BACKOFF_FIRST_S)
            except Exception:  # a node that is alive and follows no more would keep its shards from everybody
                logger.exception("membership_failed", node=self.name)
                await asyncio.sleep(BACKOFF_MAX_S)

    async def _take_over(self, assignment: Assignment) -> None:
        """Give up what was taken away, then begin to own what is new."""
        missed = assignment.generation > self._generation + 1
        self._generation = assignment.generation
        taken_away = [shard for shard in self._owned if shard not in assignment.shards]
        if taken_away:
            logger.warning("shards_taken_away", node=self.name, shards=taken_away, left=len(assignment.shards))
        await asyncio.gather(*(self._give_up(shard) for shard in taken_away))
        if missed:  # a shard may have been given to this node and taken away again without its knowing
            self._unreleased.update(dict.fromkeys(range(self.log.partitions)))
            for staying in self._shards.values():  # or taken away and given back
                staying.prove()
        for shard in [shard for shard in self._unreleased if shard not in self._owned]:
            await self._release(shard, assignment)
        for shard in sorted(assignment.shards - self._owned.keys() - self._broken.keys()):
            self._owned[shard] = asyncio.create_task(self._own(shard), name=f"shard {shard}")

    async def _assignment(self) -> Assignment:
        while True:
            try:
                return await self._membership.assignment()
            except OutsideError as error:
                logger.warning("membership_unreachable", node=self.name, error=str(error))
                await asyncio.sleep(BACKOFF_FIRST_S)

    async def _give_up(self, number: int) -> None:
        task = self._owned[number]
        shard = self._shards.get(number)
        if shard is not None:
            shard.stop()
            await asyncio.wait([task], timeout=15)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        self._owned.pop(number, None)  # only now: who is cancelled here, as `stop` may do, has given up nothing
        self._unreleased[number] = None
        if self._stopping.is_set():
            return
        await self._release(number)

    async def _release(self, number: int, assignment: Assignment | None = None) -> None:
        """Let the next owner have a shard that this node does not run; tried again with the next look at the assignment."""
        try:
            if assignment is None or number not in assignment.shards:
                await self._membership.release(number)
            self._unreleased.pop(number, None)
        except OutsideError as error:
            logger.warning("release_failed", node=self.name, shard=number, error=str(error))

    async def _own(self, number: int) -> None:
        """Keep a shard open for as long as it is ours; open it anew, with backoff, after whatever went wrong."""
        delay_s = BACKOFF_FIRST_S
        excused = False
        while True:
            shard = Shard(number, self._around, excused=excused)
            excused = False
            try:
                if await self._confirmed(number):
                    await shard.open()
                    if await self._confirmed(number):
                        self._shards[number] = shard
                        async with self._duties.beside(number, shard.statistics().epoch):
                            await shard.run()
                        return
            except NodeUnfit as error:
                self._is_unfit(error)
                return
            except (HistoryBroken, PositionTrimmed) as error:  # the latter: what is needed was deleted
                logger.critical("shard_broken", node=self.name, shard=number, error=str(error))
                self._broken[number] = str(error)
                return
            except WriterFenced as error:
                excused = shard.announced
                logger.warning("shard_fenced", node=self.name, shard=number, error=str(error), written="nothing")
            except OutsideError as error:
                excused = shard.announced
                logger.warning("shard_interrupted", node=self.name, shard=number, error=str(error))
            except Exception:
                logger.exception("shard_failed", node=self.name, shard=number)
            finally:
                self._shards.pop(number, None)
                await shard.close()
            delay_s = BACKOFF_FIRST_S if shard.progressed else delay_s
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, BACKOFF_MAX_S)

    async def _confirmed(self, number: int) -> bool:
        """Ask whether the shard is this node's; a newer generation that left it here is no reason to open it again."""
        generation = self._generation
        while not await self._membership.confirm(number, generation):
            newest = await self._membership.assignment()
            if newest.generation == generation or number not in newest.shards:
                return False
            generation = newest.generation
        return True
