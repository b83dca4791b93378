"""The report of a training, as train.py leaves it."""

import json
import re
from pathlib import Path
from statistics import median

from tests.training.tiny import read_rows


def test_the_report_shows_losses_retrieval_and_what_the_model_says(small_run: Path) -> None:
    page = re.sub(r"\s+", " ", (small_run / "report.html").read_text())
    metrics = json.loads((small_run / "metrics.json").read_text())
    for stage in ("align", "tune"):
        held_out, others = (metrics[f"{stage}/validation/{key}"] for key in ("loss", "loss_shuffled"))
        assert f"Held-out loss, {stage}<strong>{held_out:.3f}</strong><small>{others:.3f} with the images" in page
        rows = read_rows(small_run / stage / "metrics.csv")
        padding = median(float(row["padding"]) for row in rows.values())
        assert f"<td>share of slots that hold padding</td><td>{padding:.3f}</td>" in page
        assert "MFU" not in page  # a CPU's peak is not known
        assert page.count("data:image/png") >= 2
        said = (small_run / stage / "generations.csv").read_text()
        assert said.startswith("step,id,asked,reference,generated")
        assert said.splitlines()[-1].split(",")[1] in page
    assert "<td>align.learning_rate</td><td>0.02</td>" in page
    assert ' src="http' not in page
