"""Interleaved timing of variants of the same work, and its statistics.

Variants take turns within every round, so that what disturbs a machine for a while disturbs all of
them; ratios are formed within a round before they are summarised.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95
# The smallest number of rounds with intervals of that confidence.
FEWEST_ROUNDS = 6
# Of each variant: the first traces and compiles, others let the allocators settle and a GPU's clock
# rise.
WARM_UP_STEPS = {"cpu": 2, "gpu": 20}
# A turn this long makes the clock and the caches that other variants left behind matter little.
TURN_SECONDS = 0.06


def interleave(
    variants: Mapping[str, Callable[[], None]],
    rounds: int,
    steps: int | None,
    warm_up: int,
    budget: float = math.inf,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, list[float]]:
    """Times variants in turn.

    Args:
        variants: What to time, by name. A call does one step and returns when it is done.
        rounds: Greatest number of rounds, each of which times every variant once.
        steps: Steps that a variant runs in a round; None means as many as take `TURN_SECONDS`.
        warm_up: Steps of each variant before the first round, not timed.
        budget: Seconds after which no round begins, once there are `FEWEST_ROUNDS`.
        progress: Called with a line of text at every beginning.

    Returns:
        By name, the mean seconds of a step in each round.
    """
    repeats = {}
    for name, step in variants.items():
        progress(f"warming up {name}")
        for _ in range(warm_up):
            step()
        repeats[name] = steps or max(1, round(TURN_SECONDS / _seconds_per_step(step, 1)))
    seconds = {name: [] for name in variants}
    names = list(variants)
    spent = 0
    for index in range(rounds):
        if spent > budget and index >= FEWEST_ROUNDS:
            break
        progress(f"round {index + 1} of {rounds}")
        # Another variant begins each round: none always follows the same one.
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            seconds[name].append(_seconds_per_step(variants[name], repeats[name]))
            spent += seconds[name][-1] * repeats[name]
    return seconds


def _seconds_per_step(step: Callable[[], None], steps: int) -> float:
    start = time.perf_counter()
    for _ in range(steps):
        step()
    return (time.perf_counter() - start) / steps


@dataclass(frozen=True)
class Summary:
    """Median and interquartile range."""

    median: float
    lower_quartile: float
    upper_quartile: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
        return cls(float(median), float(lower), float(upper))


@dataclass(frozen=True)
class Ratio:
    """Median of paired ratios, and an interval that holds the true median.

    `coverage` is the probability that such an interval does; it falls short of `CONFIDENCE` where
    there are too few rounds for that.
    """

    median: float
    low: float
    high: float
    coverage: float

    @property
    def within_noise(self) -> bool:
        """Whether the rounds leave open which of the two is faster."""
        return self.low <= 1 <= self.high or self.coverage < CONFIDENCE

    @property
    def verdict(self) -> str:
        """What keeps the ratio from being certain; empty for nothing."""
        if self.coverage < CONFIDENCE:
            return f"too few rounds for {CONFIDENCE:.0%} confidence"
        return "within noise" if self.within_noise else ""

    @classmethod
    def of(cls, numerators: Sequence[float], denominators: Sequence[float]) -> Ratio:
        """Forms the ratio of every round.

        The interval reaches from the k-th smallest to the k-th largest ratio. It misses the median
        only if fewer than k of n ratios fall on one of its sides: a binomial probability, whatever
        the distribution of the times.
        """
        ratios = sorted(a / b for a, b in zip(numerators, denominators, strict=True))
        rank, coverage = _median_interval(len(ratios))
        return cls(float(np.median(ratios)), ratios[rank - 1], ratios[-rank], coverage)


def _median_interval(count: int) -> tuple[int, float]:
    """Returns the largest k whose interval covers at least CONFIDENCE, or 1, and its coverage."""
    missed = 2 * 0.5**count
    rank = 1
    while True:
        more = missed + 2 * math.comb(count, rank) * 0.5**count
        if 1 - more < CONFIDENCE:
            return rank, 1 - missed
        missed = more
        rank += 1


def geometric_mean(values: Sequence[float]) -> float:
    """Returns the mean that treats a ratio and its inverse alike."""
    return math.exp(sum(math.log(value) for value in values) / len(values))


def record(value: Summary | Ratio) -> dict[str, object]:
    """Returns statistics as plain data, a ratio's verdict with them."""
    fields = dataclasses.asdict(value)
    if isinstance(value, Ratio):
        fields.update(within_noise=value.within_noise, verdict=value.verdict)
    return fields
