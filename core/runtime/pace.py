"""How long one shard may keep the processor: the busy shards of a node share one thread, and a critical message waits for all."""


class Pace:
    """Slices get shorter as more shards are busy, so that a round of all of them stays under `round_ms`."""

    def __init__(self, round_ms: float = 40.0, slice_ms_min: float = 2.0) -> None:
        self._round_ms = round_ms
        self._slice_ms_min = slice_ms_min
        self._busy: set[int] = set()

    def work(self, shard: int) -> None:
        """Note that a shard has work."""
        self._busy.add(shard)

    def rest(self, shard: int) -> None:
        """Note that a shard has none."""
        self._busy.discard(shard)

    def slice_s(self, most_ms: float) -> float:
        """Return the length of a slice in seconds."""
        share = self._round_ms / max(1, len(self._busy))
        return max(self._slice_ms_min, min(most_ms, share)) / 1_000
