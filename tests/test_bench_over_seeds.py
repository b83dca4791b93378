"""The numbers of several seeds in one table."""

from pathlib import Path

import pytest

from bench.over_seeds import over_seeds, write
from unicorn.report.metrics import write_metrics


def test_what_all_seeds_have_is_put_together(tmp_path: Path) -> None:
    for seed, value in enumerate((0.1, 0.2, 0.3)):
        write_metrics(tmp_path / str(seed), {"both": value} | ({"one": 1.0} if seed == 0 else {}))
    found = over_seeds([tmp_path / str(seed) for seed in range(3)])
    assert [*found] == ["both"]
    assert found["both"].mean == pytest.approx(0.2)
    assert found["both"].half == pytest.approx(4.3027 * 0.1 / 3**0.5, rel=1e-4)  # Student's t of two degrees of freedom
    write(tmp_path, ["0", "1", "2"])
    assert "| both | 0.200 | ± 0.248 |" in (tmp_path / "comparison.md").read_text()
