"""Order and packs: every sample once an epoch, whatever the batch, the ranks and the length of the packs."""

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unicorn.data.order import Order
from unicorn.data.packing import deal, fill_rows

counts = st.integers(1, 300)
batches = st.integers(1, 70)


@given(samples=counts, batch=batches, seed=st.integers(0, 2**32), epoch=st.integers(0, 5))
def test_an_epoch_holds_every_sample_once(samples: int, batch: int, seed: int, epoch: int) -> None:
    order = Order(samples=samples, batch=batch, seed=seed)
    first = epoch * order.steps_per_epoch
    steps = [order.step(step) for step in range(first, first + order.steps_per_epoch)]
    assert sorted(np.concatenate(steps)) == list(range(samples))
    assert all(len(step) == batch for step in steps[:-1])
    assert 0 < len(steps[-1]) <= batch
    assert {order.epoch(step) for step in range(first, first + order.steps_per_epoch)} == {epoch}


@given(samples=counts, batch=batches, seed=st.integers(0, 2**32), step=st.integers(0, 1000))
def test_a_step_depends_on_nothing_that_was_asked_before(samples: int, batch: int, seed: int, step: int) -> None:
    order = Order(samples=samples, batch=batch, seed=seed)
    once = order.step(step)
    order.step(step + 5 * order.steps_per_epoch)
    Order(samples=samples, batch=batch, seed=seed + 1).step(step)
    assert np.array_equal(Order(samples=samples, batch=batch, seed=seed).step(step), once)


def test_seeds_and_epochs_differ() -> None:
    first = Order(samples=100, batch=100, seed=0)
    assert not np.array_equal(first.step(0), first.step(1))
    assert not np.array_equal(first.step(0), Order(samples=100, batch=100, seed=1).step(0))


@given(
    lengths=st.lists(st.integers(1, 50), max_size=80),
    row_length=st.integers(50, 120),
    ranks=st.integers(1, 9),
    rows_per_pack=st.integers(1, 5),
)
def test_packs_lose_repeat_and_overfill_nothing(
    lengths: list[int], row_length: int, ranks: int, rows_per_pack: int
) -> None:
    rows = fill_rows(lengths, row_length)
    dealt = deal(rows, ranks, rows_per_pack)
    assert len(dealt) == ranks
    assert len({len(packs) for packs in dealt}) == 1  # as many forward passes on every rank
    packs = [pack for rank in dealt for pack in rank]
    assert all(len(pack) <= rows_per_pack for pack in packs)
    assert all(sum(lengths[sample] for sample in row) <= row_length for pack in packs for row in pack)
    assert Counter(sample for pack in packs for row in pack for sample in row) == Counter(range(len(lengths)))
    assert max(map(len, packs)) - min(map(len, packs)) <= 1
    for one, other in pairwise(zip(*dealt, strict=True)):  # rows of like length meet, on all ranks at a time
        fills = [[sum(lengths[sample] for sample in row) for pack in turn for row in pack] for turn in (one, other)]
        assert min(fills[0], default=0) >= max(fills[1], default=0)


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=80), row_length=st.integers(50, 120))
def test_rows_are_filled_well(lengths: list[int], row_length: int) -> None:
    rows = fill_rows(lengths, row_length)
    filled = [sum(lengths[sample] for sample in row) for row in rows]
    # Best fit never opens a row while an open one has room, so no two rows are both at most half full.
    assert sum(fill * 2 <= row_length for fill in filled) <= 1
