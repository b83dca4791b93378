"""Packs: several whole samples to a row, several rows to a pack, and a step's packs dealt to the ranks."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import ceil

Row = list[int]
Pack = list[Row]


def fill_rows(lengths: Sequence[int], row_length: int) -> list[Row]:
    """Samples (positions in `lengths`) to rows of at most `row_length` tokens: best fit, longest first."""
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
    return rows


def deal(rows: Sequence[Row], ranks: int, rows_per_pack: int) -> list[list[Pack]]:
    """Rows to the packs of each rank, as even as they go; all ranks get as many packs, some maybe empty."""
    packs = ranks * max(1, ceil(len(rows) / (ranks * rows_per_pack)))
    dealt = [list(rows[pack::packs]) for pack in range(packs)]
    return [dealt[rank::ranks] for rank in range(ranks)]
