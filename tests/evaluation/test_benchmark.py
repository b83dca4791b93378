"""A benchmark from pictures to findings, in a world whose every number is known."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.evaluation.stand_ins import Centred, ColourBenchmark, ColourTower, SeeingAnswerer
from unicorn.evaluation.benchmark import run_benchmark
from unicorn.evaluation.page import evaluation_report
from unicorn.evaluation.task import Analysis, Benchmark, Findings, merge_metrics
from unicorn.report.metrics import read_metrics
from unicorn.transfer.statistics import Statistics


@pytest.fixture(scope="module")
def findings() -> Findings:
    return _run(ColourBenchmark())


def _run(benchmark: Benchmark, seed: int = 0) -> Findings:
    return run_benchmark(benchmark, SeeingAnswerer(), ColourTower(), Centred(), name="colours", seed=seed, samples=4)


def test_who_sees_is_right_and_who_does_not_is_as_right_as_a_guess(findings: Findings) -> None:
    metrics = findings.metrics
    assert metrics["accuracy"] == metrics["accuracy/name"] == metrics["accuracy/red"] == 1
    # twelve pictures, a third of them red: the zeros and the majority say green, or red, and no
    assert metrics["baseline/zero/name"] == metrics["baseline/majority/name"] == pytest.approx(1 / 3)
    assert metrics["baseline/zero/red"] == metrics["baseline/majority/red"] == pytest.approx(2 / 3)
    assert metrics["baseline/blind"] == pytest.approx(1 / 2)
    assert (metrics["questions"], metrics["pictures"]) == (24, 12)


def test_image_statistics_know_the_domains_of_pictures(findings: Findings) -> None:
    assert findings.image_statistics is not None
    assert findings.image_statistics.domain_count == {"open": 12}


def test_blind_is_the_better_of_two() -> None:
    class Stubborn(SeeingAnswerer):
        def answer(self, questions: object, vectors: np.ndarray) -> list[str]:
            return ["no"] * len(vectors)

    found = run_benchmark(ColourBenchmark(), Stubborn(), ColourTower(), Centred(), name="c", seed=0, samples=1).metrics
    assert (found["baseline/zero/name"], found["baseline/zero"]) == (0, pytest.approx(1 / 3))
    assert (found["baseline/blind/name"], found["baseline/blind"]) == (
        pytest.approx(1 / 3),
        pytest.approx(1 / 2),
    )


def test_every_prediction_is_kept_and_the_numbers_follow_from_them(findings: Findings, tmp_path: Path) -> None:
    findings.save(tmp_path)
    rows = pq.read_table(tmp_path / "predictions.parquet").to_pylist()
    assert [row["id"] for row in rows] == [example.id for example in ColourBenchmark().examples()]
    colour = dict(zip((f"picture-{row}" for row in range(12)), ColourBenchmark().shown, strict=True))
    for row in rows:
        assert row["picture"] != row["shuffled_picture"]
        if row["type"] == "name":
            assert row["prediction"].lower() == f"{colour[row['picture']]}."
            assert row["shuffled_prediction"].lower() == f"{colour[row['shuffled_picture']]}."
            assert row["zero_prediction"] == "Green."
            assert row["majority_prediction"] == "blue"
    metrics = read_metrics(tmp_path)
    for column, key in [("correct", "accuracy"), ("shuffled_correct", "baseline/shuffled")]:
        right, asked = Counter[str](), Counter[str]()
        for row in rows:
            right[row["type"]] += row[column]
            asked[row["type"]] += 1
        shares = {kind: right[kind] / asked[kind] for kind in asked}
        assert metrics[key] == pytest.approx(sum(shares.values()) / len(shares))
        assert {kind: metrics[f"{key}/{kind}"] for kind in shares} == pytest.approx(shares)


def test_the_mean_in_use_is_saved(findings: Findings, tmp_path: Path) -> None:
    findings.save(tmp_path)
    statistics = Statistics.load(tmp_path / "image_statistics")
    assert statistics.count == 12
    assert statistics.mean == pytest.approx(np.full(3, 1 / 3))


def test_figures_are_saved(findings: Findings, tmp_path: Path) -> None:
    findings.save(tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["colours_accuracy.png"]


def test_a_picture_is_encoded_once_whatever_is_asked() -> None:
    tower = ColourTower()
    run_benchmark(ColourBenchmark(), SeeingAnswerer(), tower, Centred(), name="colours", seed=0, samples=1)
    assert tower.seen == 12


def test_two_runs_agree_to_the_byte(tmp_path: Path) -> None:
    for folder in ("first", "second"):
        _run(ColourBenchmark(), seed=3).save(tmp_path / folder)
    for first in (path for path in (tmp_path / "first").rglob("*") if path.is_file()):
        assert first.read_bytes() == (tmp_path / "second" / first.relative_to(tmp_path / "first")).read_bytes()


def test_the_page_shows_samples_of_every_type(findings: Findings, tmp_path: Path) -> None:
    samples = findings.sections[1].samples
    assert Counter(sample.kind for sample in samples) == {"name": 2, "red": 2}
    settings = {"seed": 7, "tune": {"lora": {"rank": 16}}}
    evaluation_report(Path("outputs/colours"), [findings], (), settings).write(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for shown in ("outputs/colours", "1.000", "0.500", "tune.lora.rank", "is it red?"):
        assert shown in page


def test_tasks_share_one_metrics_file() -> None:
    first, second = ({"accuracy": value, f"own{value}": value} for value in (0.25, 0.5))
    merged = merge_metrics({"a": Findings(metrics=first, sections=()), "b": Findings(metrics=second, sections=())})
    assert merged == {"a/accuracy": 0.25, "own0.25": 0.25, "b/accuracy": 0.5, "own0.5": 0.5}


def test_benchmarks_and_analyses_are_told_apart() -> None:
    assert isinstance(ColourBenchmark(), Benchmark)
    assert not isinstance(ColourBenchmark(), Analysis)
