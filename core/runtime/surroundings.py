"""What the shards of a node share."""

from typing import NamedTuple

from ..clock import Clock
from ..log.port import Log
from .fitness import Fitness
from .history import History
from .installed import Behaviours
from .pace import Pace
from .schema_store import SchemaStore
from .shard_options import ShardOptions


class Surroundings(NamedTuple):
    """What all shards of a node share."""

    log: Log
    behaviours: Behaviours
    schemas: SchemaStore
    clock: Clock
    options: ShardOptions
    fitness: Fitness
    history: History
    pace: Pace
    owner: str
    code_version: str
