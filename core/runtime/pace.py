"""How long one shard may keep the processor: the busy shards of a node share one thread, and a critical message waits for all."""

URGENT_US = 5_000_000
"""How long after a critical message the next ones are expected."""
ROUND_MS, ROUND_OF_BROKERS_MS = 40.0, 200.0
"""Where a commit is a transaction of its own on brokers (it leaves a marker), it costs ten times what it does in a file, so it
must hold more.
"""


class Pace:
    """Slices get shorter as more shards are busy, so that a round of all of them stays under `round_ms`.

    Short rounds cost throughput: each ends in a commit of every shard. So they are kept for when somebody waits: while
    critical messages come, a round stays under `urgent_round_ms`.
    """

    def __init__(
        self,
        round_ms: float = ROUND_MS,
        urgent_round_ms: float = 16.0,
        slice_ms_min: float = 2.0,
        urgent_slice_ms_min: float = 0.5,
    ) -> None:
        self._round_ms = round_ms
        self._urgent_round_ms = urgent_round_ms
        self._slice_ms_min = slice_ms_min
        self._urgent_slice_ms_min = urgent_slice_ms_min
        self._urgent_until_us = -1
        self._busy: set[int] = set()

    def work(self, shard: int) -> None:
        """Note that a shard has work."""
        self._busy.add(shard)

    def rest(self, shard: int) -> None:
        """Note that a shard has none."""
        self._busy.discard(shard)

    def hurry(self, now_us: int) -> None:
        """Note that a critical message came at an instant of the monotonic clock."""
        self._urgent_until_us = now_us + URGENT_US

    def slice_s(self, most_ms: float, now_us: int) -> float:
        """Return the length of a slice in seconds."""
        urgent = now_us < self._urgent_until_us
        round_ms, least_ms = (
            (self._urgent_round_ms, self._urgent_slice_ms_min) if urgent else (self._round_ms, self._slice_ms_min)
        )
        return max(least_ms, min(most_ms, round_ms / max(1, len(self._busy)))) / 1_000
