"""Test behaviours without a log: `given(behaviour, *events).when(message).then(*events)`."""

from .core.testing.given import Given as Given
from .core.testing.given import Outcome as Outcome
from .core.testing.given import given as given
