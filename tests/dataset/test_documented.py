"""docs/datasets.md lists all that a dataset's folder holds."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.dataset import example
from unicorn.dataset import push
from unicorn.synthesis.report import write_report

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "datasets.md"


def test_every_file_of_a_finished_dataset_is_in_the_table(folder: Path) -> None:
    write_report(folder)
    table = [line.split("|")[1] for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    named = [name for cell in table for name in re.findall(r"`([^`]+)`", cell)]
    patterns = [name.replace("00000", "[0-9]*") + ("*" if name.endswith("/") else "") for name in named]
    patterns += ["rejects/instructions-*", "embeddings/statistics.safetensors"]  # which it abbreviates
    found = example.contents(folder)
    assert not [path for path in found if not any(fnmatch(path, pattern) for pattern in patterns)]
    assert len(found) > 15


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        "signatures/near-1-00000-0123456789abcdef.npy",
        "handed-in/rank-1",
        "importing/00000.jsonl",
        "captions/captions-00000.journal.jsonl",
        "captions/captions-00000.parquet.partial",
    ],
)
def test_what_is_there_while_it_is_made_is_not_pushed(name: str) -> None:
    pushed = any(fnmatch(name, pattern) for pattern in push.WHAT_IS_PUSHED)
    assert not pushed or any(fnmatch(name, pattern) for pattern in push.WHAT_IS_NOT)
