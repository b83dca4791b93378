"""What an evaluation says of pictures that could not be had."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from unicorn.files import replacing
from unicorn.pictures import Rejection
from unicorn.report.html import DataTable, Section

_SHOWN = 20


def write_rejected(path: Path, rejections: Sequence[Rejection]) -> None:
    """One `{"id", "reason"}` a line, in place of what an earlier evaluation left there; no file if there is none."""
    path.unlink(missing_ok=True)
    if rejections:
        with replacing(path) as temporary:
            temporary.write_bytes(b"".join(orjson.dumps(asdict(each)) + b"\n" for each in rejections))


def rejected_section(rejections: Sequence[Rejection]) -> Section:
    """How many there are for each reason, and the first of them by name."""
    reasons = Counter(each.reason for each in rejections)
    return Section(
        title="Rejected pictures",
        text=f"{len(rejections):,} pictures have no part in these numbers.",
        tables=[
            DataTable(columns=("reason", "pictures"), rows=[[*each] for each in reasons.most_common(_SHOWN)]),
            DataTable(
                columns=(f"the first {_SHOWN} of them" if len(rejections) > _SHOWN else "picture", "reason"),
                rows=[[each.id, each.reason] for each in rejections[:_SHOWN]],
            ),
        ],
    )
