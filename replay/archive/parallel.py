"""Archiving a log with several processes: one of Python uses one core, and shards are independent."""

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from ...core.log.open import open_log
from ...core.log.port import Log
from .archiver import Archiver, Progress
from .binding import bind_anew
from .folder import Folder, folder_of


async def archive_once(
    url: str, log: Log, *, owner: str, accept_gaps: bool = False, workers: int = 1, anew: bool = False
) -> list[Progress]:
    """Archive a whole log to its end, in this process or in so many others; `anew`: into another archive than it had.

    Errors: see `bind`, `bind_anew` and `ShardWriter.flush`.
    """
    if anew:
        await bind_anew(log, Folder(folder_of(url)))
    archiver = await Archiver.open(url, log, owner=owner, accept_gaps=accept_gaps)
    if workers == 1:
        return await archiver.run()
    shares = [range(first, log.partitions, workers) for first in range(min(workers, log.partitions))]
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(shares), mp_context=multiprocessing.get_context("spawn")) as pool:
        tasks = [
            loop.run_in_executor(pool, _share, url, log.url, f"{owner}.{number}", tuple(share), accept_gaps)
            for number, share in enumerate(shares, 1)
        ]
        found = await asyncio.gather(*tasks)
    return sorted((one for some in found for one in some), key=lambda one: one.shard)


def _share(url: str, log_url: str, owner: str, shards: tuple[int, ...], accept_gaps: bool) -> list[Progress]:  # noqa: FBT001
    return asyncio.run(_archive(url, log_url, owner, shards, accept_gaps=accept_gaps))


async def _archive(url: str, log_url: str, owner: str, shards: tuple[int, ...], *, accept_gaps: bool) -> list[Progress]:
    log = await open_log(log_url)
    try:
        archiver = await Archiver.open(url, log, owner=owner, accept_gaps=accept_gaps)
        return await archiver.run(shards)
    finally:
        await log.close()
