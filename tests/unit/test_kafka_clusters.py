"""What a look at a Kafka cluster means: the doctor's words, and the lines that repair."""

from collections.abc import Mapping

import pytest

from hms.console.cli.doctor.check import Check
from hms.console.cli.doctor.kafka.brokers import broker_checks
from hms.console.cli.doctor.kafka.codecs import codec_check
from hms.console.cli.doctor.kafka.topics import topic_checks
from hms.console.cli.doctor.kafka.transactions import places_to_try, probe_checks
from hms.core.log.kafka.acls import WHAT, acl_lines
from hms.core.log.kafka.address import KafkaAddress
from hms.core.log.kafka.creation import Plan
from hms.core.log.kafka.deviation import Wanted, deviations
from hms.core.log.kafka.inspection import BrokerSeen, ClusterSeen, PartitionSeen, TopicSeen
from hms.core.log.kafka.probe import Probed

ADDRESS = KafkaAddress.parse("kafka://k1:9092,k2:9092/shop")
SETTINGS = {"retention.ms": "-1", "max.message.bytes": "2000000"}
HEALTHY = {
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "transaction.max.timeout.ms": "900000",
    "socket.request.max.bytes": "104857600",
    "transactional.id.expiration.ms": "604800000",
    "offsets.retention.minutes": "10080",
    "auto.create.topics.enable": "false",
    "transaction.partition.verification.enable": "true",
    "transaction.state.log.min.isr": "2",
    "transaction.state.log.replication.factor": "3",
    "offsets.topic.replication.factor": "3",
}


def brokers(count: int = 3, **more: str) -> tuple[BrokerSeen, ...]:
    settings = {**HEALTHY, **{name.replace("_", "."): value for name, value in more.items()}}
    return tuple(BrokerSeen(number, f"k{number}:9092", settings, "") for number in range(1, count + 1))


def topic(
    name: str = "shop.events",
    partitions: int = 4,
    replicas: tuple[int, ...] = (1, 2, 3),
    in_sync: tuple[int, ...] | None = None,
    leader: int = 1,
    own: frozenset[str] = frozenset({"retention.ms"}),
    more: Mapping[str, str] | None = None,
) -> TopicSeen:
    seen = PartitionSeen(leader, replicas, replicas if in_sync is None else in_sync)
    settings = {**SETTINGS, "min.insync.replicas": "2", "unclean.leader.election.enable": "false", **(more or {})}
    return TopicSeen(name, (seen,) * partitions, settings, own)


def plan(*topics: TopicSeen, missing: tuple[str, ...] = (), count: int = 3) -> Plan:
    cluster = ClusterSeen(brokers(count), {one.name: one for one in topics})
    wanted = {name: Wanted(4, 3, SETTINGS) for name in ("shop.events", *missing)}
    return Plan(cluster, wanted, missing, tuple(deviations(ADDRESS, cluster, wanted)), 4)


def outcomes(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.outcome for check in checks if check.outcome != "ok"}


def test_a_healthy_cluster_gives_no_word_of_warning() -> None:
    assert outcomes(list(broker_checks(ClusterSeen(brokers(), {})))) == {}
    assert outcomes(list(topic_checks(ADDRESS, plan(topic())))) == {}


@pytest.mark.parametrize(
    ("setting", "value", "name", "outcome"),
    [
        ("group.min.session.timeout.ms", "10000", "broker settings", "fail"),
        ("group.max.session.timeout.ms", "5000", "broker settings", "fail"),
        ("transaction.max.timeout.ms", "5000", "broker settings", "fail"),
        ("socket.request.max.bytes", "1000000", "broker settings", "fail"),
        ("transactional.id.expiration.ms", "3600000", "broker settings", "warn"),
        ("offsets.retention.minutes", "60", "broker settings", "warn"),
        ("auto.create.topics.enable", "true", "auto-created topics", "warn"),
        ("transaction.partition.verification.enable", "false", "hanging transactions", "warn"),
        ("transaction.state.log.min.isr", "4", "kafka's own topics", "fail"),
        ("transaction.state.log.replication.factor", "1", "kafka's own topics", "warn"),
        ("offsets.topic.replication.factor", "1", "kafka's own topics", "warn"),
    ],
)
def test_a_broker_setting_that_stops_hms_is_found(setting: str, value: str, name: str, outcome: str) -> None:
    wrong = brokers(2) + tuple(b._replace(number=3, place="k3:9092") for b in brokers(1, **{setting: value}))
    found = [check for check in broker_checks(ClusterSeen(wrong, {})) if check.outcome != "ok"]
    assert [(check.name, check.outcome) for check in found] == [(name, outcome)]
    assert f"{setting}={value}" in found[0].seen
    assert "k3:9092" in found[0].seen
    assert "k1:9092" not in found[0].seen
    assert found[0].todo


def test_a_broker_that_cannot_be_reached_is_named_with_what_its_address_may_be() -> None:
    away = (*brokers()[:2], BrokerSeen(3, "10.0.0.3:9092", {}, "ask broker 3 at 10.0.0.3:9092: no answer"))
    found = next(check for check in broker_checks(ClusterSeen(away, {})) if check.name == "brokers")
    assert (found.outcome, "10.0.0.3:9092" in found.seen) == ("fail", True)
    assert "advertised.listeners" in found.todo


def test_a_single_broker_with_single_copies_is_no_risk_that_could_be_less() -> None:
    alone = ClusterSeen(brokers(1, transaction_state_log_min_isr="1", offsets_topic_replication_factor="1"), {})
    assert outcomes(list(broker_checks(alone))) == {}


def test_a_log_that_is_not_there_is_made_by_one_line() -> None:
    (check,) = topic_checks(
        ADDRESS, plan(missing=("shop.schemas",))._replace(wanted={"shop.schemas": Wanted(1, 1, {})})
    )
    assert (check.name, check.outcome) == ("topics", "fail")
    assert check.todo == "hms log init --log kafka://k1:9092,k2:9092/shop"


def test_a_topic_that_was_deleted_is_a_failure_and_one_that_nobody_knows_a_warning() -> None:
    deleted = list(topic_checks(ADDRESS, plan(topic(), missing=("shop.schemas",))))
    assert next(check for check in deleted if check.name == "topics").seen == "missing: shop.schemas"
    assert outcomes(deleted)["topics"] == "fail"
    strange = list(topic_checks(ADDRESS, plan(topic(), topic("shop.inbox.nromal"))))
    assert outcomes(strange) == {"topics": "warn"}
    assert "shop.inbox.nromal" in next(check for check in strange if check.name == "topics").seen


def test_short_retention_fails_with_the_line_that_repairs_it() -> None:
    (check,) = [c for c in topic_checks(ADDRESS, plan(topic(more={"retention.ms": "604800000"}))) if c.outcome != "ok"]
    assert (check.name, check.outcome) == ("topic settings", "fail")
    assert check.seen == "shop.events: retention.ms is 604800000, expected -1"
    assert check.todo == (
        "kafka-configs.sh --bootstrap-server k1:9092,k2:9092 --alter --entity-type topics --entity-name shop.events "
        "--add-config retention.ms=-1"
    )


def test_a_topic_whose_settings_are_all_the_brokers_was_created_by_itself() -> None:
    made = topic(more={"retention.ms": "604800000"}, own=frozenset())
    (check,) = [check for check in topic_checks(ADDRESS, plan(made)) if check.outcome != "ok"]
    assert "was it created by itself?" in check.seen


def test_more_than_the_message_size_that_is_needed_is_fine_and_less_is_not() -> None:
    sizes = {"2000000": {}, "3000000": {}, "1048588": {"topic settings": "fail"}}
    for size, wrong in sizes.items():
        assert outcomes(list(topic_checks(ADDRESS, plan(topic(more={"max.message.bytes": size}))))) == wrong


@pytest.mark.parametrize(
    ("replicas", "needed", "grave"),
    [((1, 2, 3), "4", True), ((1, 2, 3), "3", False), ((1, 2, 3), "1", False), ((1, 2), "2", False), ((1,), "2", True)],
)
def test_too_many_or_too_few_copies_that_have_to_be_in_sync_are_found(
    replicas: tuple[int, ...], needed: str, *, grave: bool
) -> None:
    one = topic(replicas=replicas, more={"min.insync.replicas": needed})
    found = [d for d in plan(one).deviations if d.what == "min.insync.replicas"]
    assert [(d.got, d.grave) for d in found] == [(needed, grave)]
    assert f"--add-config min.insync.replicas={2 if len(replicas) > 2 else 1}" in found[0].repair


def test_fewer_partitions_are_added_to_and_more_lead_to_another_prefix() -> None:
    (fewer,) = plan(topic(partitions=3)).deviations
    assert fewer.repair == (
        "kafka-topics.sh --bootstrap-server k1:9092,k2:9092 --alter --topic shop.events --partitions 4"
    )
    (more,) = plan(topic(partitions=5)).deviations
    assert (more.expected, more.got, more.grave) == ("4", "5", True)
    assert more.repair == "hms log init --log kafka://k1:9092,k2:9092/shop-5 --partitions 5"


def test_too_few_copies_are_a_risk_and_the_plan_that_adds_some_keeps_the_leaders() -> None:
    (one,) = plan(topic(partitions=2, replicas=(2,), more={"min.insync.replicas": "1"}), count=3).deviations[1:]
    assert (one.what, one.grave) == ("the number of replicas", False)
    assert one.repair == (
        "kafka-reassign-partitions.sh --bootstrap-server k1:9092,k2:9092 --reassignment-json-file <(echo '"
        '{"version":1,"partitions":[{"topic":"shop.events","partition":0,"replicas":[2,1,3]},'
        '{"topic":"shop.events","partition":1,"replicas":[2,3,1]}]}'
        "') --execute"
    )


@pytest.mark.parametrize(
    ("in_sync", "leader", "outcome", "words"),
    [
        ((1, 2), 1, "warn", "4 of 4 partitions have copies that are not in sync"),
        ((1,), 1, "fail", "fewer copies in sync than min.insync.replicas asks for"),
        ((1, 2), -1, "fail", "4 of 4 partitions have no leader"),
    ],
)
def test_copies_that_are_not_where_they_should_be_are_counted(
    in_sync: tuple[int, ...], leader: int, outcome: str, words: str
) -> None:
    found = list(topic_checks(ADDRESS, plan(topic(in_sync=in_sync, leader=leader))))
    assert outcomes(found) == {"replication": outcome}
    assert words in next(check for check in found if check.name == "replication").seen


def test_every_broker_that_leads_a_partition_is_tried() -> None:
    outbox = TopicSeen("shop.outbox", tuple(PartitionSeen(n, (n,), (n,)) for n in (1, 1, 2, -1)), {}, frozenset())
    settings = TopicSeen("shop.settings", (PartitionSeen(3, (3,), (3,)),), {}, frozenset())
    cluster = ClusterSeen(brokers(), {one.name: one for one in (outbox, settings)})
    assert places_to_try(ADDRESS, cluster) == {1: ("shop.outbox", 0), 2: ("shop.outbox", 2), 3: ("shop.settings", 0)}


def test_a_transaction_that_a_broker_never_takes_points_at_its_own_listener() -> None:
    checks = probe_checks({"k1:9092": Probed(4, 1, ""), "k2:9092": Probed(5_000, None, "no answer within 5 s")})
    assert outcomes(checks) == {"transactions": "fail"}
    assert checks[0].seen == "k2:9092: no answer within 5 s"
    assert "inter.broker.listener.name" in checks[0].todo


def test_a_slow_transaction_and_a_clock_that_is_off_are_warned_of() -> None:
    slow = probe_checks({"k1:9092": Probed(1_500, 100, "")})
    assert outcomes(slow) == {"transactions": "warn"}
    off = probe_checks({"k1:9092": Probed(4, -9_000, ""), "k2:9092": Probed(4, 3, "")})
    assert outcomes(off) == {"kafka clock": "warn"}
    assert "k1:9092 is 9.0 s behind" in off[1].seen
    assert "k2:9092" not in off[1].seen
    assert outcomes(probe_checks({"k1:9092": Probed(4, 61_000, "")})) == {"kafka clock": "fail"}
    unsure = probe_checks({"k1:9092": Probed(2_400, 1_900, "")})
    assert outcomes(unsure) == {"transactions": "warn"}, "half of what the way took is unknown"


def test_a_codec_that_is_missing_is_named_with_what_installs_it() -> None:
    check = codec_check({"lz4": lambda: True, "zstd": lambda: False, "snappy": lambda: False})
    assert (check.outcome, check.seen.startswith("zstd, snappy")) == ("fail", True)
    assert "pip install" in check.todo
    assert codec_check().outcome == "ok"


def test_acls_give_nobody_but_the_operator_the_right_to_create_and_nobody_that_to_alter() -> None:
    lines = {role: acl_lines(ADDRESS, role) for role in WHAT}
    assert {role for role, granted in lines.items() if any("Create" in line for line in granted)} == {"operator"}
    every = [line for granted in lines.values() for line in granted]
    assert not [line for line in every if "Alter" in line or "--operation All" in line or "--topic *" in line]
    assert [line.partition("--operation ")[2] for line in every if "Delete" in line] == ["Delete --topic shop.outbox"]
    assert not any("Write" in line for line in lines["reader"])


def test_acl_lines_reach_the_cluster_as_the_url_says() -> None:
    safe = KafkaAddress.parse("kafka://k1:9092/shop?properties=/etc/hms/admin.properties")
    assert acl_lines(safe, "reader")[0] == (
        "kafka-acls.sh --bootstrap-server k1:9092 --command-config /etc/hms/admin.properties --add "
        "--allow-principal User:hms-reader --operation Read --topic shop. --resource-pattern-type prefixed"
    )
