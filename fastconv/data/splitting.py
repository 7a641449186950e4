"""Sets images of every class apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from sklearn.model_selection import train_test_split

from fastconv.errors import DataError

_Item = TypeVar("_Item")


def stratified_split(
    items_by_class: Mapping[str, Sequence[_Item]], fraction: float, seed: int
) -> tuple[dict[str, list[_Item]], dict[str, list[_Item]]]:
    """Sets a share of every class apart, at least one item and at most all but one.

    Args:
        items_by_class: Class names to items.
        fraction: Share to set apart, above 0 and below 1.
        seed: Start of the random choice.

    Returns:
        The items kept and those set apart, by class, in their order.

    Raises:
        DataError: The share is out of range, or a class has fewer than two items.
    """
    if not 0 < fraction < 1:
        raise DataError(f"The share to set apart must lie between 0 and 1. Received: {fraction}")
    random = np.random.RandomState(seed)  # what scikit-learn takes
    kept, apart = {}, {}
    for name, items in items_by_class.items():
        if len(items) < 2:
            raise DataError(
                "A class needs at least two images to set some of them apart. "
                f"Received: {len(items)} of class {name!r}"
            )
        size = min(max(round(fraction * len(items)), 1), len(items) - 1)
        rest, chosen = train_test_split(range(len(items)), test_size=size, random_state=random)
        kept[name] = [items[index] for index in sorted(rest)]
        apart[name] = [items[index] for index in sorted(chosen)]
    return kept, apart
