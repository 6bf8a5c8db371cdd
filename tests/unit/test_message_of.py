"""Messages made of what somebody typed."""

import pytest

from hms.console.cli.exit_codes import Exit, Stop
from hms.console.cli.message_of import message_of
from hms.schemas.analysis import SilenceAlerts


def test_fields_within_their_bounds_make_the_message() -> None:
    assert message_of(SilenceAlerts, component="web", for_ms=60_000) == SilenceAlerts(component="web", for_ms=60_000)


def test_each_field_out_of_bounds_is_named_as_a_mistake_in_the_command() -> None:
    with pytest.raises(Stop, match=r"^for_ms: .*, got 0; reason: .*, got 'x{59}$") as stopped:
        message_of(SilenceAlerts, for_ms=0, reason="x" * 2_000)
    assert stopped.value.code == Exit.USAGE
