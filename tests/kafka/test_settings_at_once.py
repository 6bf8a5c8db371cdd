"""Facts that several nodes record at the same instant, as those do that are started together."""

import asyncio

from .fixtures import Server
from .handles import make, opened

ROUNDS = 25


def test_who_sets_a_fact_at_once_with_others_sets_it_or_is_told_that_another_did(kafka: Server) -> None:
    """The broker stumbles now and then over a transaction that is ended while another one opens its id."""

    async def main() -> None:
        prefix = await make(kafka.bootstrap, 1)
        async with opened(kafka.bootstrap, prefix, 4) as logs:
            for number in range(ROUNDS):
                name = f"fact-{number}"
                told = await asyncio.gather(
                    *[log.put_setting(name, f"by {who}", expected=None) for who, log in enumerate(logs)]
                )
                assert told.count(True) == 1
                assert {await log.get_setting(name) for log in logs} == {f"by {told.index(True)}"}

    asyncio.run(main())
