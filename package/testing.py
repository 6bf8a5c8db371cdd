"""Test without a log: `given(behaviour, *events).when(message).then(*events)`; or whole apps in virtual time: `play(scenario)`."""

from .core.testing.given import Given as Given
from .core.testing.given import Outcome as Outcome
from .core.testing.given import given as given
from .core.testing.virtual_clock import VirtualClock as VirtualClock
from .core.testing.virtual_loop import VirtualLoop as VirtualLoop
from .core.testing.virtual_world import NodeProcess as NodeProcess
from .core.testing.virtual_world import VirtualWorld as VirtualWorld
from .core.testing.virtual_world import play as play
