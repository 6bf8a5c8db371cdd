"""How long `hms component list` takes to answer from a log on Kafka."""

import command_line
from figures import Figure, under
from session import Session

from .server import server_of

TITLE = "Command line on Kafka"
WHAT = f"""
The same as on the embedded log: beside `hms up` with a fleet of {command_line.COMPONENTS} components, the median of
{command_line.COUNT} calls a run.
"""


def run(session: Session) -> list[Figure]:
    with server_of(session).log() as url:
        took = command_line.listing(session, url)
    return [Figure("`hms component list` on a running fleet", "s", took, under(1.5))]
