"""The ranking of causes, on incidents that are made up: who did it is known."""

import numpy as np
import numpy.typing as npt
import pytest

from hms.actors.analysis.causes import CallGraph, rank_causes
from hms.actors.analysis.causes.kinds import Kind, good_when_high, kind_of

Floats = npt.NDArray[np.float64]
Metrics = dict[tuple[str, str], tuple[npt.NDArray[np.int64], Floats]]

SECOND_US = 1_000_000
SEEN_S = 1_200
END_S = 1_500
CHAIN = CallGraph([("web", "cart"), ("cart", "store"), ("web", "users")])


def quiet(seed: int, level: float, spread: float = 0.05) -> Floats:
    return level * (1 + np.random.default_rng(seed).normal(0, spread, END_S // 5))


def fleet() -> Metrics:
    """Metrics of four components in which nothing happens, 5 seconds apart."""
    at_us = np.arange(0, END_S, 5, dtype=np.int64) * SECOND_US
    return {
        (component, metric): (at_us, quiet(place * 10 + number, level))
        for place, component in enumerate(("web", "cart", "store", "users"))
        for number, (metric, level) in enumerate(
            (("cpu", 0.2), ("memory", 300.0), ("latency_p50", 20.0), ("workload", 90.0))
        )
    }


def change(metrics: Metrics, component: str, metric: str, factor: float, since_s: int = SEEN_S) -> None:
    at_us, values = metrics[component, metric]
    metrics[component, metric] = at_us, np.where(at_us >= since_s * SECOND_US, values * factor, values)


def ranking(metrics: Metrics, graph: CallGraph = CHAIN) -> list[str]:
    return [cause.component for cause in rank_causes(metrics, graph, SEEN_S * SECOND_US)]


@pytest.mark.parametrize("metric", ["cpu", "memory"])
def test_who_uses_more_is_first_though_its_callers_answer_later_by_far(metric: str) -> None:
    metrics = fleet()
    change(metrics, "store", metric, 4)
    change(metrics, "store", "latency_p50", 3)
    change(metrics, "cart", "latency_p50", 3)
    change(metrics, "web", "latency_p50", 3)
    assert ranking(metrics)[0] == "store"


def test_a_late_answer_is_blamed_on_the_deepest_that_is_late() -> None:
    metrics = fleet()
    for component, factor in (("cart", 5), ("web", 5)):
        change(metrics, component, "latency_p50", factor)
    assert ranking(metrics)[0] == "cart"


def test_who_gets_less_to_do_is_not_the_cause() -> None:
    metrics = fleet()
    change(metrics, "cart", "latency_p50", 4)
    change(metrics, "web", "latency_p50", 4)
    for metric in ("cpu", "workload"):
        change(metrics, "store", metric, 0.2)
    assert ranking(metrics)[0] == "cart"


def test_of_two_alike_the_first_to_move_is_first() -> None:
    metrics = fleet()
    change(metrics, "users", "cpu", 3, SEEN_S - 60)
    change(metrics, "store", "cpu", 3, SEEN_S)
    assert ranking(metrics)[0] == "users"


def test_a_component_without_metrics_is_suspected_by_what_its_callers_cannot_explain() -> None:
    metrics = {key: series for key, series in fleet().items() if key[0] != "store"}
    change(metrics, "cart", "latency_p50", 4)
    ranked = rank_causes(metrics, CHAIN, SEEN_S * SECOND_US)
    store = next(cause for cause in ranked if cause.component == "store")
    assert store.score > 0
    assert store.evidence == [
        {"what": "unexplained_in", "component": "cart", "strength": store.evidence[0]["strength"]}
    ]


def test_a_component_whose_answers_nobody_measures_is_suspected_before_the_others_that_its_caller_calls() -> None:
    metrics = {key: series for key, series in fleet().items() if key != ("store", "latency_p50")}
    graph = CallGraph([("web", "cart"), ("cart", "store"), ("cart", "users")])
    change(metrics, "cart", "latency_p50", 4)
    assert ranking(metrics, graph)[:2] == ["cart", "store"]


def test_a_calm_component_is_not_suspected_by_what_its_callers_cannot_explain() -> None:
    metrics = fleet()
    change(metrics, "cart", "latency_p50", 4)
    told = next(cause for cause in rank_causes(metrics, CHAIN, SEEN_S * SECOND_US) if cause.component == "store")
    assert "unexplained_in" not in {piece["what"] for piece in told.evidence}


@pytest.mark.parametrize("stopped_s", [SEEN_S - 300, SEEN_S - 60, SEEN_S, SEEN_S + 30])
@pytest.mark.parametrize("back_s", [None, 120])
def test_who_is_measured_no_more_is_first_though_its_callers_answer_badly(stopped_s: int, back_s: int | None) -> None:
    metrics = fleet()
    change(metrics, "cart", "latency_p50", 4)
    change(metrics, "web", "latency_p50", 4)
    for key in [key for key in metrics if key[0] == "store"]:
        at_us, values = metrics[key]
        away = at_us >= stopped_s * SECOND_US
        if back_s is not None:
            away &= at_us < (stopped_s + back_s) * SECOND_US
        metrics[key] = (at_us, np.where(away, np.nan, values)) if stopped_s == SEEN_S else (at_us[~away], values[~away])
    first = rank_causes(metrics, CHAIN, SEEN_S * SECOND_US)[0]
    assert first.component == "store"
    assert next(piece for piece in first.evidence if piece["what"] == "silent")["share"] == 1.0


def test_who_is_asked_no_more_is_not_taken_for_dead() -> None:
    metrics = fleet()
    change(metrics, "cart", "latency_p50", 4)
    for metric in ("latency_p50", "workload"):
        at_us, values = metrics["store", metric]
        metrics["store", metric] = at_us, np.where(at_us >= SEEN_S * SECOND_US, np.nan, values)
    assert ranking(metrics)[0] == "cart"


def test_metrics_that_all_end_together_are_no_silence() -> None:
    metrics = {
        key: (at_us[at_us < SEEN_S * SECOND_US], values[at_us < SEEN_S * SECOND_US])
        for key, (at_us, values) in fleet().items()
    }
    told = rank_causes(metrics, CHAIN, SEEN_S * SECOND_US)
    assert "silent" not in {piece["what"] for cause in told for piece in cause.evidence}


@pytest.mark.parametrize("top", [1.0, 100.0])
def test_a_share_that_is_good_when_high_is_measured_from_its_top(top: float) -> None:
    metrics = fleet()
    at_us, _ = metrics["web", "cpu"]
    for place, component in enumerate(("web", "cart", "store", "users")):
        good = top * np.clip(0.999 + quiet(place, 0.0005, 1.0), 0, 1)
        metrics[component, "availability"] = at_us, good
    change(metrics, "web", "cpu", 1.3)
    change(metrics, "store", "availability", 0.95)
    assert ranking(metrics)[0] == "store"


@pytest.mark.parametrize("seen_s", [-1e9, 0, 1, END_S, END_S + 1, 1e12])
def test_a_time_far_from_the_data_is_answered_too(seen_s: float) -> None:
    graph = CallGraph([*((a, b) for a in "ab" for b in "ab"), ("web", "a"), ("b", "web")])
    names = [cause.component for cause in rank_causes(fleet(), graph, int(seen_s * SECOND_US))]
    assert sorted(names) == ["a", "b", "cart", "store", "users", "web"]


@pytest.mark.parametrize("seen_s", [END_S + 60, END_S + 86_400, 1e12])
def test_a_time_after_all_samples_stands_for_the_last_one(seen_s: float) -> None:
    metrics = fleet()
    change(metrics, "store", "cpu", 4, END_S - 60)
    assert rank_causes(metrics, CHAIN, int(seen_s * SECOND_US))[0].component == "store"


def test_a_time_before_all_samples_stands_for_the_first_with_something_to_compare() -> None:
    metrics = fleet()
    change(metrics, "store", "cpu", 4, 60)
    assert rank_causes(metrics, CHAIN, -60 * SECOND_US)[0].component == "store"


def test_every_component_of_metrics_and_graph_is_in_the_answer_once() -> None:
    graph = CallGraph([("web", "cart"), ("cart", "web"), ("elsewhere", "elsewhere"), ("web", "dark")])
    assert sorted(ranking(fleet(), graph)) == ["cart", "dark", "elsewhere", "store", "users", "web"]


def test_without_a_graph_the_metrics_decide() -> None:
    metrics = fleet()
    change(metrics, "cart", "memory", 2)
    assert ranking(metrics, CallGraph([]))[0] == "cart"


def test_the_evidence_names_the_metric_its_levels_and_its_onset() -> None:
    metrics = fleet()
    change(metrics, "store", "cpu", 4)
    piece = rank_causes(metrics, CHAIN, SEEN_S * SECOND_US)[0].evidence[0]
    assert (piece["what"], piece["metric"], piece["change"], piece["kind"]) == ("metric", "cpu", "up", "resource")
    assert piece["baseline"] == pytest.approx(0.2, rel=0.1)
    assert piece["observed"] == pytest.approx(0.8, rel=0.1)
    assert piece["onset"] == "1970-01-01T00:20:00Z"


def test_the_unit_of_a_metric_does_not_matter() -> None:
    metrics = fleet()
    change(metrics, "store", "memory", 2)
    in_bytes = {
        key: (at_us, values * 1024.0 if key[1] == "memory" else values) for key, (at_us, values) in metrics.items()
    }
    assert ranking(metrics) == ranking(in_bytes)


@pytest.mark.parametrize("value", [np.nan, np.inf, 5.0])
def test_a_metric_that_says_nothing_changes_nothing(value: float) -> None:
    metrics = fleet()
    change(metrics, "store", "cpu", 4)
    at_us = metrics["web", "cpu"][0]
    metrics["web", "constant"] = at_us, np.full(len(at_us), value)
    assert ranking(metrics)[0] == "store"


def test_metrics_that_end_before_the_symptom_or_have_one_sample_are_left_out() -> None:
    at_us = np.array([0], dtype=np.int64)
    assert ranking(
        {("web", "cpu"): (at_us, np.array([1.0])), ("cart", "cpu"): (at_us[:0], np.array([]))}, CallGraph([])
    ) == ["cart", "web"]


@pytest.mark.parametrize(
    ("metric", "kind"),
    [
        ("cpu", Kind.RESOURCE), ("container_memory_rss", Kind.RESOURCE), ("diskio", Kind.RESOURCE), ("socket", Kind.RESOURCE),
        ("latency-90", Kind.ANSWER), ("response_time", Kind.ANSWER), ("error", Kind.ANSWER), ("availability", Kind.ANSWER),
        ("workload", Kind.WORK), ("requests", Kind.WORK), ("network_bytes", Kind.RESOURCE), ("foo", Kind.OTHER),
    ],
)  # fmt: skip
def test_a_metric_is_known_by_its_name(metric: str, kind: Kind) -> None:
    assert kind_of(metric) is kind


def test_an_availability_gets_worse_when_it_falls() -> None:
    assert good_when_high("availability")
    assert not good_when_high("latency_p99")
