"""Packs: several whole samples to a row, several rows to a pack, and a step's packs dealt to the ranks."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import ceil

Row = list[int]
Pack = list[Row]


def fill_rows(lengths: Sequence[int], row_length: int) -> list[Row]:
    """Samples (positions in `lengths`) to rows of at most `row_length` tokens: best fit; the longest row first."""
    rows: list[Row] = []
    spaces: list[tuple[int, int]] = []  # (tokens left, row), the fullest row first
    for sample in sorted(range(len(lengths)), key=lambda sample: (-lengths[sample], sample)):
        fit = bisect_left(spaces, (lengths[sample], -1))
        if fit < len(spaces):
            space, row = spaces.pop(fit)
        else:
            space, row = row_length, len(rows)
            rows.append([])
        rows[row].append(sample)
        insort(spaces, (space - lengths[sample], row))
    return [rows[row] for _, row in spaces]


def deal(rows: Sequence[Row], ranks: int, rows_per_pack: int) -> list[list[Pack]]:
    """Rows, the longest first, to the packs of each rank; all get as many packs, as even as they go, some maybe empty.

    Rows of like length share a pack, which pads its rows to the longest, and the ranks have like packs at a time.
    """
    rounds = max(1, ceil(len(rows) / (ranks * rows_per_pack)))
    shares = [rows[len(rows) * turn // rounds : len(rows) * (turn + 1) // rounds] for turn in range(rounds)]
    return [[list(share[rank::ranks]) for share in shares] for rank in range(ranks)]
