"""Statistics of the benchmarks, against counting and simulation."""

import itertools

import numpy as np
import pytest


@pytest.fixture
def harness():
    from benchmarks import harness

    return harness


def test_variants_take_turns_and_begin_in_turn(harness):
    calls = []
    variants = {name: lambda name=name: calls.append(name) for name in "abc"}
    seconds = harness.interleave(variants, rounds=3, steps=2, warm_up=1)
    assert "".join(calls) == "abc" + "aabbcc" + "bbccaa" + "ccaabb"
    assert {name: len(values) for name, values in seconds.items()} == dict.fromkeys("abc", 3)


def test_a_time_is_that_of_one_step(harness, monkeypatch):
    clock = itertools.count(step=6)
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    seconds = harness.interleave({"a": lambda: None}, rounds=2, steps=3, warm_up=0)
    assert seconds == {"a": [2, 2]}


def test_a_turn_has_as_many_steps_as_take_its_time(harness, monkeypatch):
    clock = [0.0]
    calls = {"short": 0, "long": 0}

    def step(name, seconds):
        clock[0] += seconds
        calls[name] += 1

    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])
    variants = {
        "short": lambda: step("short", harness.TURN_SECONDS / 4),
        "long": lambda: step("long", 2 * harness.TURN_SECONDS),
    }
    harness.interleave(variants, rounds=3, steps=None, warm_up=0)
    # One step of each to find out how long it takes.
    assert calls == {"short": 1 + 3 * 4, "long": 1 + 3}


@pytest.mark.parametrize(
    ("rounds", "budget", "done"), [(20, 0, 6), (20, 100, 9), (20, 1000, 20), (4, 0, 4)]
)
def test_a_budget_ends_rounds_that_are_enough_to_decide(harness, monkeypatch, rounds, budget, done):
    # Both variants take 6 seconds a step and run once a round: 12 seconds a round.
    clock = itertools.count(step=6)
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    seconds = harness.interleave(
        dict.fromkeys("ab", lambda: None), rounds, steps=1, warm_up=0, budget=budget
    )
    assert [len(values) for values in seconds.values()] == [done, done]
    if done < rounds:
        assert done * 12 > budget
    assert harness.Ratio.of(seconds["a"], seconds["b"]).coverage >= harness.CONFIDENCE or rounds < 6


def test_summary_has_median_and_quartiles(harness):
    summary = harness.Summary.of([5, 1, 4, 2, 3])
    assert (summary.lower_quartile, summary.median, summary.upper_quartile) == (2, 3, 4)


def test_ratios_are_formed_within_rounds(harness):
    # Both double from round to round: the paired ratio is the same in all of them.
    times = 2.0 ** np.arange(9)
    ratio = harness.Ratio.of(3 * times, times)
    assert (ratio.median, ratio.low, ratio.high) == (3, 3, 3)
    assert not ratio.within_noise


def test_ratio_interval_covers_the_median_as_often_as_it_says(harness):
    # A skewed distribution of median 1; 4,000 repetitions, five standard deviations of the count.
    samples = np.exp(np.random.default_rng(0).standard_exponential((4000, 11)) - np.log(2))
    ratios = [harness.Ratio.of(row, np.ones(11)) for row in samples]
    coverage = ratios[0].coverage
    assert coverage >= harness.CONFIDENCE
    covered = np.mean([ratio.low <= 1 <= ratio.high for ratio in ratios])
    assert covered == pytest.approx(coverage, abs=5 * np.sqrt(coverage * (1 - coverage) / 4000))


@pytest.mark.parametrize(("count", "inner"), [(6, 1), (9, 2), (11, 2), (12, 3), (20, 6)])
def test_ratio_interval_is_that_of_the_sign_test(harness, count, inner):
    # Ranks from tables of the sign test at two-sided 5 %.
    ratio = harness.Ratio.of(np.arange(1, count + 1), np.ones(count))
    assert (ratio.low, ratio.high) == (inner, count + 1 - inner)


def test_few_rounds_decide_nothing(harness):
    ratio = harness.Ratio.of([9, 9, 9], [1, 1, 1])
    assert ratio.coverage == 0.75
    assert ratio.within_noise
    assert "too few rounds" in ratio.verdict


def test_equal_times_are_within_noise(harness):
    ratio = harness.Ratio.of([1, 2, 1, 2, 1, 2, 1, 2], [2, 1, 2, 1, 2, 1, 2, 1])
    assert ratio.within_noise
    assert ratio.verdict == "within noise"


def test_geometric_mean_treats_a_ratio_and_its_inverse_alike(harness):
    assert harness.geometric_mean([2, 8]) == pytest.approx(4)
    assert harness.geometric_mean([5, 1 / 5]) == pytest.approx(1)


def test_machine_names_hardware_versions_and_source(harness):
    from benchmarks import machine

    described = machine.describe("cpu")
    assert described["cores"] >= 1
    for name in ("cpu", "commit", "tensorflow", "keras", "fastconv", "isa"):
        assert described[name]
