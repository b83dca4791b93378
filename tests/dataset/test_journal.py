"""The journal: what append returned from is there again, and nothing else."""

import os
import resource
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unicorn.dataset import Journal
from unicorn.errors import UserError

TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
RECORDS = st.lists(st.dictionaries(TEXT, st.integers(-(2**63), 2**63 - 1) | TEXT | st.none(), max_size=3), max_size=5)


@contextmanager
def no_file_longer_than(size: int) -> Generator[None]:
    """A disk that is full at `size`: the system itself refuses to write past it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(groups=st.lists(RECORDS, min_size=1, max_size=4), data=st.data())
def test_a_journal_cut_anywhere_brings_back_the_whole_lines(
    tmp_path: Path, groups: list[list[dict[str, int | str | None]]], data: st.DataObject
):
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    journal = Journal(path)
    for group in groups:
        journal.append(group)
    journal.close()
    records = [record for group in groups for record in group]

    cut = data.draw(st.integers(0, path.stat().st_size))
    content = path.read_bytes()[:cut]
    path.write_bytes(content)
    recovered = Journal(path)
    assert recovered.records == records[: content.count(b"\n")]
    recovered.append([{"next": 1}])
    recovered.close()
    again = Journal(path)
    assert again.records == [*records[: content.count(b"\n")], {"next": 1}]
    again.close()


def test_what_append_returns_from_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    journal = Journal(tmp_path / "journal.jsonl")
    synced = list[int]()
    monkeypatch.setattr("os.fdatasync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    for number in range(3):
        journal.append([{"a": number}, {"b": number}])
        assert synced[-1] == journal.path.stat().st_size
    assert len(synced) == 3
    journal.close()


def test_a_corrupt_line_is_named(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append([{"a": 1}, {"b": 2}, {"c": 3}])
    journal.close()
    path.write_bytes(path.read_bytes().replace(b'{"b":2', b'{"b":3'))
    with pytest.raises(UserError, match=r"journal\.jsonl, line 2 is corrupt"):
        Journal(path)
    assert path.read_bytes().count(b"\n") == 3


def test_a_full_disk_loses_nothing_acknowledged_and_keeps_no_half_line(tmp_path: Path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append([{"row": row} for row in range(10)])
    with (
        no_file_longer_than(path.stat().st_size + 85),
        pytest.raises(UserError, match=r"cannot write .*journal"),
    ):
        journal.append([{"row": row} for row in range(10, 20)])
    journal.append([{"row": 10}])
    journal.close()
    assert [orjson.loads(line)["row"] for line in path.read_bytes().splitlines()] == list(range(11))
    again = Journal(path)
    again.close()
    assert [record["row"] for record in again.records] == list(range(11))


def test_a_torn_tail_is_cut_off_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append([{"row": 1}])
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"row": 2, "te')
    with caplog.at_level("INFO"):
        Journal(path).close()
    assert "a last line of 14 bytes that was never acknowledged is cut off" in caplog.text
    assert path.read_bytes() == whole
    caplog.clear()
    Journal(path).close()
    assert not caplog.text
