"""From a URL to a log."""

from pathlib import Path

from ..clock import Clock, SystemClock
from ..errors import ValidationFailed
from .port import Log


async def open_log(url: str, *, clock: Clock | None = None) -> Log:
    """Open the log that a URL names.

    `sqlite:PATH` is a file, created with its folder if it is not there; `kafka://HOST:PORT[,...][/PREFIX]` one that
    `hms log init` has made; `simulated:` a fresh one in memory. Raises `ValidationFailed` for another URL or what is not a
    log, `LogUnreachable` when it cannot be opened.
    """
    scheme, colon, rest = url.partition(":")
    clock = clock or SystemClock()
    if scheme == "sqlite" and rest:
        from .sqlite import SqliteLog  # noqa: PLC0415 - a command line pays for the backend that it uses

        return await SqliteLog.open(Path(rest), clock=clock)
    if scheme == "simulated" and colon and not rest:
        from .simulated import SimulatedBroker  # noqa: PLC0415

        return SimulatedBroker(clock=clock).connect("local")
    if scheme == "kafka":
        from .kafka import KafkaLog  # noqa: PLC0415

        return await KafkaLog.open(url, clock=clock)
    raise ValidationFailed(
        f"{url!r} is not the URL of a log; expected sqlite:PATH (a file), kafka://HOST:PORT[,...][/PREFIX] or simulated: "
        "(in memory)"
    )
