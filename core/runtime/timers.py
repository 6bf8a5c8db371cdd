"""The timers of a shard: a heap of due times over the timers that its actors' states hold."""

import heapq


class TimerHeap:
    """When what is due; cancelled and replaced timers stay in the heap and are skipped by generation when they come up."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, str, str, int]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_us: int, actor: str, name: str, generation: int) -> None:
        """Remember a timer."""
        heapq.heappush(self._heap, (due_us, actor, name, generation))

    def next_due_us(self) -> int | None:
        """Return the earliest due time (of a timer that may have been cancelled since), or None."""
        return self._heap[0][0] if self._heap else None

    def pop_due(self, until_us: int) -> tuple[int, str, str, int] | None:
        """Take the earliest timer out, (due, actor, name, generation), if it is due by then."""
        if self._heap and self._heap[0][0] <= until_us:
            return heapq.heappop(self._heap)
        return None
