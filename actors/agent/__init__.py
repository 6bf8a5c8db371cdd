"""The agent: binds the processes of one fleet on this host to the log, as the participant `agent/HOSTID`."""

from .agent import HostAgent
from .binding import LogBoundElsewhere, bind, binding_of, claim_name, name_of_home

__all__ = ["HostAgent", "LogBoundElsewhere", "bind", "binding_of", "claim_name", "name_of_home"]
