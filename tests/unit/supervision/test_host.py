"""A host's actor: what it compares, and when it judges that a host is silent."""

from datetime import timedelta

from hms.actors.hosts import host
from hms.core.address import Address, participant
from hms.core.decision import send, timer
from hms.core.testing.given import EPOCH, given
from hms.schemas.host import (
    BindComponent,
    ComponentBound,
    ComponentUnbound,
    HostConnected,
    HostReturned,
    HostWentSilent,
    JudgeSilence,
    LeaseWithdrawn,
    RenewLease,
    ReportDifference,
    ReportInventory,
    ReportLeaseWithdrawn,
    ReportSilence,
    UnbindComponent,
    WithdrawLease,
)

CONNECTED = HostConnected(fleet="shop", session=1, boot_id="b1", at=EPOCH)
WEB = ComponentBound(component="web", incarnation=3, up=True)
SPAN_MS = 15_000
DUE = EPOCH + timedelta(milliseconds=SPAN_MS)
JUDGE = JudgeSilence(session=1, span_ms=SPAN_MS, due_us=round(DUE.timestamp() * 1_000_000))


def inventory(session: int = 1, boot_id: str = "b1", **running: int) -> ReportInventory:
    """Return an inventory that shows these incarnations."""
    return ReportInventory(fleet="shop", session=session, sequence=9, boot_id=boot_id, running=running)


def difference(component: str, running: int, session: int = 1, boot_id: str = "b1") -> object:
    """Return what the component is told."""
    told = ReportDifference(host="test", session=session, sequence=9, boot_id=boot_id, running=running)
    return send(Address(f"component/{component}"), told, priority="high")


def test_an_inventory_that_shows_what_should_be_changes_nothing_but_the_timer() -> None:
    given(host, CONNECTED, WEB).when(inventory(web=3)).then().then_sent().then_timers(timer("silence", SPAN_MS, JUDGE))


def test_every_difference_is_told_to_its_component() -> None:
    down = ComponentBound(component="old", incarnation=5, up=False)
    outcome = given(host, CONNECTED, WEB, down).when(inventory(old=5, ghost=2))
    outcome.then().then_sent(difference("web", 0), difference("old", 5), difference("ghost", 2))


def test_an_agent_that_comes_anew_is_recorded_with_its_boot() -> None:
    anew = HostConnected(fleet="shop", session=2, boot_id="b2", at=EPOCH)
    given(host, CONNECTED).when(inventory(2, "b2")).then(anew)


def test_an_agent_of_an_earlier_session_is_not_listened_to() -> None:
    later = HostConnected(fleet="shop", session=5, boot_id="b1", at=EPOCH)
    given(host, later, WEB).when(inventory(4)).then().then_sent().then_timers()


def test_three_periods_without_a_word_are_silence() -> None:
    told = send(Address("component/web"), ReportSilence(host="test", silent=True), priority="high")
    outcome = given(host, CONNECTED, WEB).at(DUE).when(JUDGE)
    outcome.then(HostWentSilent(session=1, at=DUE)).then_sent(told)


def test_a_watcher_that_was_away_itself_listens_once_more_before_it_judges() -> None:
    late = DUE + timedelta(minutes=5)
    again = JUDGE.model_copy(update={"due_us": round(late.timestamp() * 1_000_000) + SPAN_MS * 1_000})
    outcome = given(host, CONNECTED, WEB).at(late).when(JUDGE)
    outcome.then().then_sent().then_timers(timer("silence", SPAN_MS, again))


def test_a_silent_host_that_speaks_again_is_believed_at_once() -> None:
    silent = HostWentSilent(session=1, at=EPOCH)
    told = send(Address("component/web"), ReportSilence(host="test", silent=False), priority="high")
    outcome = given(host, CONNECTED, WEB, silent).when(inventory(web=3))
    outcome.then(HostReturned(session=1, at=EPOCH)).then_sent(told)


def test_a_binding_is_recorded_once() -> None:
    bind = BindComponent(component="web", incarnation=3, up=True)
    given(host, CONNECTED).when(bind).then(WEB).then_timers()
    given(host, CONNECTED, WEB).when(bind).then()


def test_a_host_that_was_never_heard_is_missed_too() -> None:
    bind = BindComponent(component="web", incarnation=3, up=True)
    never = JUDGE.model_copy(update={"session": 0})
    given(host).when(bind).then(WEB).then_timers(timer("silence", SPAN_MS, never))
    given(host, WEB).at(DUE).when(never).then(HostWentSilent(session=0, at=DUE))


def test_a_component_that_leaves_is_forgotten() -> None:
    unbind = UnbindComponent(component="web")
    given(host, CONNECTED, WEB).when(unbind).then(ComponentUnbound(component="web"))
    given(host, CONNECTED).when(unbind).then()


LEASED = ComponentBound(component="web", incarnation=3, up=True, leased=True)
WITHDRAWN = LeaseWithdrawn(component="web", incarnation=3, at=EPOCH)


def renewal(lease_ms: int = 30_000, **components: int) -> object:
    """Return what the agent is answered."""
    told = RenewLease(session=1, sequence=9, lease_ms=lease_ms, components=components)
    return send(participant("agent/test"), told, priority="high")


def withdrawn(incarnation: int = 3, lease_ms: int = 30_000) -> object:
    """Return what the component is answered."""
    told = ReportLeaseWithdrawn(host="test", incarnation=incarnation, lease_ms=lease_ms)
    return send(Address("component/web"), told, priority="high")


def test_an_inventory_is_answered_with_the_leases_that_are_due() -> None:
    plain = ComponentBound(component="db", incarnation=1, up=True)
    given(host, CONNECTED, LEASED, plain).when(inventory(web=3, db=1)).then().then_sent(renewal(web=3))


def test_an_agent_of_an_earlier_session_gets_no_lease() -> None:
    later = HostConnected(fleet="shop", session=5, boot_id="b1", at=EPOCH)
    given(host, later, LEASED).when(inventory(4, web=3)).then().then_sent()


def test_a_lease_that_was_withdrawn_is_renewed_never_again() -> None:
    withdraw = WithdrawLease(component="web", incarnation=3)
    given(host, CONNECTED, LEASED).when(withdraw).then(WITHDRAWN).then_sent(withdrawn())
    given(host, CONNECTED, LEASED, WITHDRAWN).when(inventory(web=3)).then().then_sent()
    given(host, CONNECTED, LEASED, WITHDRAWN).when(withdraw).then().then_sent(withdrawn())


def test_a_withdrawal_of_an_older_incarnation_leaves_the_newer_its_lease() -> None:
    newer = ComponentBound(component="web", incarnation=4, up=True, leased=True)
    withdraw = WithdrawLease(component="web", incarnation=3)
    given(host, CONNECTED, newer).when(withdraw).then().then_sent(withdrawn())
    given(host, CONNECTED, newer).when(inventory(web=4)).then().then_sent(renewal(web=4))


def test_what_is_stopping_keeps_its_lease_until_it_is_down() -> None:
    stopping = BindComponent(component="web", incarnation=3, up=False, leased=True)
    bound = ComponentBound(component="web", incarnation=3, up=False, leased=True)
    given(host, CONNECTED, LEASED).when(stopping).then(bound)
    given(host, CONNECTED, LEASED, bound).when(inventory()).then().then_sent(renewal(web=3))


def test_the_longest_lease_of_this_boot_is_what_a_withdrawal_waits_for() -> None:
    slow = HostConnected(fleet="shop", session=1, boot_id="b1", period_ms=5_000, at=EPOCH)
    quick = HostConnected(fleet="shop", session=2, boot_id="b1", period_ms=500, at=EPOCH)
    rebooted = HostConnected(fleet="shop", session=3, boot_id="b2", period_ms=500, at=EPOCH)
    withdraw = WithdrawLease(component="web", incarnation=3)
    given(host, slow, quick, LEASED).when(withdraw).then(WITHDRAWN).then_sent(withdrawn(lease_ms=30_000))
    given(host, slow, quick, rebooted, LEASED).when(withdraw).then(WITHDRAWN).then_sent(withdrawn(lease_ms=3_000))
