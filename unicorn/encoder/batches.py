"""Texts in batches of like length, so that little is spent on padding."""

from collections.abc import Sequence


def token_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Row numbers in batches that hold, padded to their longest, `budget` tokens at most, or one row alone.

    The longest come first: what does not fit into memory shows at once.
    """
    batches: list[list[int]] = []
    longest = 0
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if not batches or (len(batches[-1]) + 1) * longest > budget:
            batches.append([])
            longest = lengths[row]
        batches[-1].append(row)
    return batches
