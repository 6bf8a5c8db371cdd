"""Where a component is started, and when it may be started elsewhere although its host is silent.

Its host's lease is withdrawn first, by the one actor that renews it. From then on the host has at most one lease more,
which its own clock ends; the next host waits as long, and a bit, from when it is told. No two clocks are compared.
"""

from typing import Final

from ...core.address import Address
from ...core.behaviour import Context
from ...core.decision import Send, send
from ...schemas.component import Exit
from ...schemas.component_events import ComponentExited, ComponentFenced, FencingBegan
from ...schemas.host import ReportLeaseWithdrawn, WithdrawLease
from .evolve import ComponentEvent
from .state import ComponentState, Stopping

MARGIN_MS: Final = 1_000
MARGIN_SHARE: Final = 5
"""The margin is a fifth of the lease, at least a second: to kill a tree, and for clocks of which one runs slow."""


def host_for(state: ComponentState, *, healing: bool) -> str:
    """Return where to start next: healing stays where it is, a start that somebody asked for goes to the best place.

    Both leave out the silent ones, unless all are: then it waits for its home.
    """
    spoken = [host for host in state.placement if host not in state.silent]
    if healing and state.host in spoken:
        return state.host
    return spoken[0] if spoken else state.home


def hold_ms(state: ComponentState, host: str) -> int:
    """Return how long a start there has to wait for what may still run elsewhere; the same host ends it first."""
    return max((span for other, span in state.fences.items() if other != host), default=0)


def begin_fencing(state: ComponentState, context: Context) -> tuple[ComponentEvent, ...]:
    """Record that the lease of what runs on a silent host is being withdrawn, if it is wanted and can run elsewhere."""
    healable = state.wished_up and not (state.paused or state.given_up or state.halted)
    held = state.live and state.leased and not state.fencing
    elsewhere = any(host not in (state.host, *state.silent) for host in state.placement)
    if not (healable and held and elsewhere and state.host in state.silent):
        return ()
    return (FencingBegan(incarnation=state.incarnation, host=state.host, at=context.now),)


def withdrawal(state: ComponentState, component: str) -> Send:
    """Ask the silent host's actor to renew the lease never again."""
    message = WithdrawLease(component=component, incarnation=state.incarnation)
    return send(Address(f"host/{state.host}"), message, priority="high")


def fenced(state: ComponentState, report: ReportLeaseWithdrawn, context: Context) -> tuple[ComponentEvent, ...]:
    """Count the incarnation as ended: by the time that another one starts, it is."""
    asked = state.fencing and state.live
    if not asked or (report.host, report.incarnation) != (state.host, state.incarnation):
        return ()
    span_ms = report.lease_ms + max(MARGIN_MS, report.lease_ms // MARGIN_SHARE)
    end = Exit(
        incarnation=state.incarnation,
        attempt=state.attempt,
        at=context.now,
        cause="unknown",
        expected=isinstance(state.phase, Stopping),
        counted=False,
        reason=f"its host {report.host} is silent and stops it within {span_ms} ms",
    )
    return (
        ComponentFenced(incarnation=state.incarnation, host=report.host, hold_ms=span_ms, at=context.now),
        ComponentExited(exit=end, session=state.session, sequence=state.sequence),
    )
