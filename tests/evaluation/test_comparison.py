"""Runs compared: what varies is found, seeds are taken together, differences are paired by seed."""

import json
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from unicorn.errors import UserError
from unicorn.evaluation.comparison import Comparison, Interval, compare
from unicorn.evaluation.comparison_page import comparison_tables, save_comparison
from unicorn.report.figures import Bar, Figure, bar_chart

CHOICES = {
    "a.NoneSettings": {"none": {}},
    "a.ShiftSettings": {"shift": {}},
    "a.NoiseSettings": {"noise": {}, "noise_loud": {"variance": 0.9}},
    "a.SceneSettings": {"scenes": {"light": "day"}},
}
DEFAULTS = {"transfer": "shift", "dataset": "data/all", "task": "scenes", "scenes.light": "day"}


def finish(folder: Path, metrics: dict[str, float], **settings: Any) -> Path:
    """A run's folder, as a script leaves it."""
    document = {
        "seed": 0,
        "name": folder.name,
        "run": str(folder),
        "dataset": "data/all",
        "tune": {"rate": 1},
    } | settings
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(json.dumps(document))
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def transfer(name: str, **values: Any) -> dict[str, Any]:
    return {"kind": f"a.{name}Settings"} | values


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two transfers of three seeds; noise has a setting that the others lack, which does not vary."""
    accuracy = {"Shift": (0.80, 0.82, 0.87), "None": (0.50, 0.58, 0.60), "Noise": (0.79, 0.83, 0.88)}
    return [
        finish(
            tmp_path / f"{name}-{seed}",
            {"accuracy": accuracy[name][seed], "accuracy/colour": seed / 10, "baseline/blind": 0.25},
            transfer=transfer(name, **({"variance": 0.1} if name == "Noise" else {})),
            scenes={"kind": "a.SceneSettings", "light": "day"},
            seed=seed,
        )
        for name in accuracy
        for seed in range(3)
    ]


def compared(folders: list[Path]) -> Comparison:
    comparison = compare(folders, DEFAULTS, CHOICES)
    assert comparison is not None
    return comparison


def test_seeds_are_taken_together_and_the_default_is_what_others_are_compared_with(runs: list[Path]) -> None:
    (part,) = compared(runs).parts
    assert [row.settings for row in part] == [{"transfer": "shift"}, {"transfer": "noise"}, {"transfer": "none"}]
    assert part[0].by_seed == {"0": 0.80, "1": 0.82, "2": 0.87}
    assert part[0].difference is None
    assert part[0].blind == pytest.approx(0.25)
    assert part[0].types == {"accuracy/colour": {"0": 0.0, "1": 0.1, "2": 0.2}}


def test_intervals_and_paired_differences_are_student_s(runs: list[Path]) -> None:
    (shift, noise, none) = compared(runs).parts[0]
    low, high = stats.t.interval(0.95, 2, 0.83, stats.sem([0.80, 0.82, 0.87]))
    assert (shift.score.mean, shift.score.half) == pytest.approx((0.83, (high - low) / 2))
    assert none.difference is not None
    low, high = stats.t.interval(0.95, 2, -0.27, stats.sem([-0.30, -0.24, -0.27]))
    assert (none.difference.mean, none.difference.half) == pytest.approx((-0.27, (high - low) / 2))
    assert none.ratio == pytest.approx(0.56 / 0.83)
    assert none.same_sign
    assert noise.same_sign is False


def test_only_seeds_that_both_have_are_paired(runs: list[Path]) -> None:
    none = compared(runs[:3] + runs[5:6]).parts[0][1]
    assert none.difference == Interval(mean=pytest.approx(0.60 - 0.87), half=None)
    assert none.ratio == pytest.approx(0.60 / 0.87)
    none = compared(runs[:1] + runs[3:6]).parts[0][1]
    assert none.ratio == pytest.approx(0.50 / 0.80)


@pytest.mark.parametrize(("values", "quantile"), [((0.7, 0.9), 12.7062), ((0.5, 0.6, 0.8, 0.9), 3.1824)])
def test_the_interval_is_student_s_for_any_number_of_seeds(values: tuple[float, ...], quantile: float) -> None:
    mean = sum(values) / len(values)
    error = (sum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values)) ** 0.5
    assert Interval.of(values) == Interval(mean=pytest.approx(mean), half=pytest.approx(quantile * error, rel=1e-4))


def test_there_is_no_ratio_to_nothing(tmp_path: Path) -> None:
    folders = [
        finish(tmp_path / name, {"accuracy": accuracy}, transfer=transfer(name))
        for name, accuracy in (("Shift", 0.0), ("None", 0.5))
    ]
    row = compared(folders).parts[0][1]
    assert (row.difference, row.ratio) == (Interval(mean=0.5, half=None), None)
    save_comparison(compared(folders), tmp_path, "table")


def test_two_runs_of_one_setting_and_seed_are_named(runs: list[Path], tmp_path: Path) -> None:
    twins = [
        finish(tmp_path / name, {"accuracy": 0.2}, transfer=transfer("Shift"), logger={"kind": name}) for name in "ab"
    ]
    with pytest.raises(UserError, match=f"one setting and one seed cannot be told apart: {twins[0]}, {twins[1]}"):
        compare([*runs[3:], *twins], DEFAULTS, CHOICES)


def test_losses_on_held_out_samples_of_different_datasets_are_not_compared(tmp_path: Path) -> None:
    folders = [
        finish(tmp_path / f"{data}-{rate}", {"tune/validation/loss": 1.0}, dataset=data, tune={"rate": rate})
        for data in ("all", "more")
        for rate in (1, 2)
    ]
    parts = compared(folders).parts
    assert [{row.settings["dataset"] for row in part} for part in parts] == [{"all"}, {"more"}]


def test_blind_is_a_mean_over_seeds_and_seeds_keep_their_runs(tmp_path: Path) -> None:
    folders = [
        finish(tmp_path / str(seed), {"accuracy": 0.5, "baseline/blind": blind}, seed=seed)
        for seed, blind in enumerate((0.2, 0.3, 0.7))
    ]
    assert compared(folders).parts[0][0].blind == pytest.approx(0.4)


def test_what_is_asked_parts_the_table(runs: list[Path], tmp_path: Path) -> None:
    dark = [
        finish(
            tmp_path / f"dark-{name}",
            {"accuracy": accuracy},
            transfer=transfer(name),
            scenes={"kind": "a.SceneSettings", "light": "dark"},
        )
        for name, accuracy in (("Shift", 0.4), ("None", 0.3))
    ]
    day, other = compared(runs + dark).parts
    assert {row.settings["scenes.light"] for row in day} == {"day"}
    assert [(row.settings["transfer"], row.score.mean) for row in other] == [("shift", 0.4), ("none", 0.3)]
    assert other[1].difference == Interval(mean=pytest.approx(-0.1), half=None)


def test_an_evaluation_of_two_benchmarks_has_a_place_in_the_part_of_each(tmp_path: Path) -> None:
    folders = list[Path]()
    for name, scores in (("Shift", (0.8, 0.7)), ("None", (0.6, 0.1))):
        by_task = dict(zip(("scenes", "photographs"), scores, strict=True))
        merged = {f"{task}/accuracy": score for task, score in by_task.items()}
        tasks = {task: {"kind": "a.SceneSettings"} for task in (*by_task, "geometry")}
        folders.append(finish(tmp_path / name, merged | {"modality_gap": 0.3}, transfer=transfer(name), **tasks))
        for task, score in by_task.items():
            (folders[-1] / task).mkdir()
            (folders[-1] / task / "metrics.json").write_text(json.dumps({"accuracy": score}))
    scores = {
        (row.settings["benchmark"], row.settings["transfer"]): row.score.mean
        for part in compared(folders).parts
        for row in part
        if {other.settings["benchmark"] for other in part} == {row.settings["benchmark"]}
    }
    assert scores == {
        ("scenes", "shift"): 0.8,
        ("scenes", "none"): 0.6,
        ("photographs", "shift"): 0.7,
        ("photographs", "none"): 0.1,
    }


def test_bars_reach_from_end_to_end_of_the_interval(
    runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = list[Bar]()

    def record(name: str, caption: str, bars: list[Bar], axis: str) -> Figure:
        drawn.extend(bars)
        return bar_chart(name, caption, bars, axis)

    monkeypatch.setattr("unicorn.evaluation.comparison_page.bar_chart", record)
    save_comparison(compared(runs), tmp_path, "table")
    assert [(bar.label, bar.references) for bar in drawn] == [
        (name, {"blind": pytest.approx(0.25)}) for name in ("shift", "noise", "none")
    ]
    low, high = stats.t.interval(0.95, 2, 0.56, stats.sem([0.50, 0.58, 0.60]))
    assert (drawn[2].low, drawn[2].value, drawn[2].high) == pytest.approx((low, 0.56, high))


def test_settings_of_a_choice_count_where_they_vary(runs: list[Path], tmp_path: Path) -> None:
    louder = finish(tmp_path / "louder", {"accuracy": 0.7}, transfer=transfer("Noise", variance=0.5))
    settings = [row.settings for row in compared([runs[6], louder]).parts[0]]
    assert {"transfer.variance": "0.1"} in [{"transfer.variance": row["transfer.variance"]} for row in settings]
    assert all("transfer" not in row for row in settings)


def test_of_the_choices_of_one_class_the_one_that_was_made_is_named(runs: list[Path], tmp_path: Path) -> None:
    loud = finish(tmp_path / "loud", {"accuracy": 0.7}, transfer=transfer("Noise", variance=0.9))
    changed = finish(tmp_path / "changed", {"accuracy": 0.7}, scenes={"kind": "a.SceneSettings", "light": "dusk"})
    assert {row.settings["transfer"] for row in compared([runs[6], loud]).parts[0]} == {"noise", "noise_loud"}
    parts = compared([runs[0], changed]).parts
    assert all("scenes" not in row.settings for part in parts for row in part)  # chosen as ever, and one key changed


def test_where_there_is_no_accuracy_the_held_out_loss_is_compared(tmp_path: Path) -> None:
    folders = [
        finish(tmp_path / str(rate), {"align/validation/loss": 2.0, "tune/validation/loss": rate}, tune={"rate": rate})
        for rate in (1, 2)
    ]
    comparison = compared(folders)
    assert comparison.metric == "tune/validation/loss"
    assert [row.settings for row in comparison.parts[0]] == [{"tune.rate": "1"}, {"tune.rate": "2"}]


def test_what_is_not_finished_is_left_out_and_one_run_is_no_comparison(runs: list[Path], tmp_path: Path) -> None:
    (runs[0] / "metrics.json").unlink()
    assert len(compared(runs).parts[0][0].by_seed) == 2
    assert compare(runs[:2], DEFAULTS, CHOICES) is None
    assert compare([tmp_path / "none"], DEFAULTS, CHOICES) is None


def test_the_comparison_is_printed_saved_and_drawn(runs: list[Path], tmp_path: Path) -> None:
    comparison = compared(runs)
    (tmp_path / "table_test_7.png").write_bytes(b"of an earlier sweep")
    assert save_comparison(comparison, tmp_path, "table") == tmp_path / "table.html"
    saved = json.loads((tmp_path / "table.json").read_text())
    assert saved["parts"][0][2]["difference"]["mean"] == pytest.approx(-0.27)
    page = (tmp_path / "table.html").read_text()
    for shown in ("<td>0.100</td>", "noise", "-0.270 ± 0.075", "0.830 ± 0.090", "not in each seed", "<img"):
        assert shown in page
    lines = (tmp_path / "table.md").read_text().splitlines()
    assert lines[1] == "| transfer | seeds | accuracy | blind | difference | ratio |"
    assert lines[5] == "| none | 3 | 0.560 ± 0.131 | 0.250 | -0.270 ± 0.075 | 0.67 |"
    assert (tmp_path / "table_test_0.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "table_test_7.png").exists()
    (table,) = comparison_tables(comparison)
    assert [column.header for column in table.columns] == [
        "transfer",
        "seeds",
        "accuracy",
        "blind",
        "difference",
        "ratio",
    ]
