"""Python's garbage collector, tuned for a process that does nothing but run a node."""

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 50)


def relax() -> None:
    """Collect seldom, and leave alone what is there already.

    A node keeps hundreds of thousands of small objects alive (states, remembered answers) and makes millions that are
    free of cycles. With the defaults (700, 10, 10) a third of a busy node's time went into full collections that found
    nothing. A process that embeds a node decides for itself.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
