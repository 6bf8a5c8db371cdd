"""Connections that end just when an answer is due: the end of a transaction, a produce; the outcome is unknown."""

import asyncio
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ..proxy import Api, Proxy
from .intensity import SEED, drawn, many
from .trial import Trial, trial

CUTS = many(12, 60)
SILENCES = many(1, 4)
SILENT_S = 11.0
"""Longer than anybody waits for the end of a commit."""
WHERE = (
    (Api.END_TXN, "answer"),
    (Api.END_TXN, "answer"),
    (Api.END_TXN, "request"),
    (Api.PRODUCE, "answer"),
    (Api.PRODUCE, "request"),
    (Api.INIT_PRODUCER_ID, "answer"),
)


@pytest.mark.timeout(400)
def test_connections_cut_in_mid_commit_leave_no_commit_half_done_or_done_twice(
    proxy: Proxy, tmp_path: Path, saw: Callable[[str], None]
) -> None:
    random = drawn()

    unknown: list[int] = []

    async def cutting(run: Trial) -> None:
        for number in range(CUTS):
            await run.load.wait_answered(random.randint(5, 40))
            api, at = random.choice(WHERE)
            if number % 4 == 3:
                await asyncio.to_thread(proxy.cut)  # everybody's, at once
            else:
                proxy.expect(api, at, "cut")
        for _ in range(SILENCES):
            await run.load.wait_answered(random.randint(20, 60))
            proxy.expect(Api.END_TXN, "answer", "drop")
            proxy.silence()
            await asyncio.sleep(SILENT_S)
            proxy.speak()
        await run.load.wait_answered(50)
        unknown.append(sum(len(run.nodes.said(name, "no answer to the end")) for name in run.nodes.running))

    # Nodes and clients are both behind the proxy: a produce that is cut may be either's.
    seen = asyncio.run(trial(tmp_path, proxy.bootstrap, SEED, cutting, pause_s=0.02))
    cut = Counter(f"{fault.at} of {Api(fault.api).name.lower()}" for fault in proxy.done)
    assert cut, "expected some of the cuts to happen"
    told = ", ".join(f"{count} {what}" for what, count in sorted(cut.items()))
    saw(
        f"cut or dropped: {told}; {CUTS // 4} times all at once, {SILENCES} times silence for {SILENT_S:g} s; "
        f"{unknown[0]} commits of unknown outcome; {seen}"
    )
