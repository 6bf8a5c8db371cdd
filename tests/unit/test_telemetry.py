"""Series that are brought in from outside: they grow at their end only."""

from datetime import timedelta

from hms.actors.telemetry import METRICS_MAX, telemetry
from hms.core.testing.given import EPOCH, given
from hms.schemas.telemetry import ImportSamples, Sample, SamplesImported, SamplesTaken


def samples(*seconds: int, value: float | None = 1.0) -> tuple[Sample, ...]:
    return tuple(Sample(at=EPOCH + timedelta(seconds=one), value=value) for one in seconds)


def imported(*seconds: int, metric: str = "load") -> SamplesImported:
    return SamplesImported(component="web", metric=metric, samples=samples(*seconds))


def test_new_samples_are_appended() -> None:
    outcome = given(telemetry, key="web").when(ImportSamples(metric="load", samples=samples(1, 2)))
    outcome.then(imported(1, 2)).then_replied(SamplesTaken(taken=2, left_out=0))


def test_the_same_samples_again_add_nothing() -> None:
    outcome = given(telemetry, imported(1, 2), key="web").when(ImportSamples(metric="load", samples=samples(1, 2)))
    outcome.then().then_replied(SamplesTaken(taken=0, left_out=2))


def test_of_a_file_that_has_grown_only_what_is_new_is_taken() -> None:
    outcome = given(telemetry, imported(1, 2), key="web").when(ImportSamples(metric="load", samples=samples(2, 3, 3)))
    outcome.then(imported(3)).then_replied(SamplesTaken(taken=1, left_out=2))


def test_each_metric_has_an_end_of_its_own() -> None:
    outcome = given(telemetry, imported(5), key="web").when(ImportSamples(metric="queue", samples=samples(1)))
    outcome.then(imported(1, metric="queue"))


def test_what_was_not_measured_is_recorded_as_that() -> None:
    message = ImportSamples(metric="load", samples=samples(1, value=None))
    (event,) = given(telemetry, key="web").when(message).decision.events
    assert event.samples[0].value is None


def test_one_metric_too_many_is_refused() -> None:
    full = [imported(1, metric=f"m{number}") for number in range(METRICS_MAX)]
    given(telemetry, *full, key="web").when(ImportSamples(metric="more", samples=samples(1))).then_refused(
        "validation_error"
    )
