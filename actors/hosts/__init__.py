"""A host as the log sees it: what its agent says is there, against what should be. Its processes: `hms.actors.host`."""

from .behaviour import host as host
