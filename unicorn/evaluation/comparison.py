"""Runs compared: the settings in which they differ, beside their scores; seeds are taken together.

A run is a folder with `config.yaml` and `metrics.json`, as train.py leaves one, and evaluate.py for each evaluation.
Only scores of one test are compared: where the tasks of evaluations differ, each has its own part of the table.
Intervals are Student's over seeds, for means and for differences alike; the difference of two settings is taken seed by
seed. They say what another seed would change, on the same test set.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Self, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from unicorn.config import KIND, Config
from unicorn.errors import UserError
from unicorn.report.metrics import METRICS, read_metrics

CONFIG = "config.yaml"
SEED = "seed"
TASK = "task"
BENCHMARK = "benchmark"
"""What a part is of where one evaluation has the accuracy of several tasks."""
LOSSES = ("tune/validation/loss", "align/validation/loss")
SCORES = ("accuracy", *LOSSES)
"""What is compared: the first of these that a run has."""
WITHOUT_EFFECT = ("name", "run", "out", "stages", "logger")

Settings = dict[str, str]
Choices = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""By settings class: the names it is chosen by on the command line, and what each of them sets."""
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What one run was made with, as flat keys, and its numbers."""

    folder: Path
    settings: Settings
    metrics: dict[str, float]

    @classmethod
    def read(cls, folder: Path, choices: Choices) -> list[Self]:
        """The run in `folder`, once for each benchmark; `choices` names settings classes as the command line does.

        Raises UserError, naming the folder, if its files are damaged.
        """
        try:
            document = cast("dict[str, Any]", OmegaConf.to_container(OmegaConf.load(folder / CONFIG)))
            settings, metrics = flat_settings(document, choices), read_metrics(folder)
            benchmarks = [task for task in settings.get(TASK, "").split(",") if f"{task}/accuracy" in metrics]
            asked = {task: read_metrics(folder / task) for task in benchmarks}
        except (ValueError, AttributeError, YAMLError, OmegaConfBaseException) as error:
            raise UserError(
                f"{folder} cannot be compared: its {CONFIG} or {METRICS} is damaged. Make it again, or move it away."
            ) from error
        if not asked:
            return [cls(folder=folder, settings=settings, metrics=metrics)]
        return [cls(folder=folder, settings=settings | {BENCHMARK: task}, metrics=asked[task]) for task in asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds, and half the width of its 95% interval: None where there is but one seed."""

    mean: float
    half: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Student's interval of the mean."""
        from scipy.stats import t

        if len(values) < 2:
            return cls(mean=fmean(values), half=None)
        error = stdev(values) / math.sqrt(len(values))
        return cls(mean=fmean(values), half=float(t.ppf(0.975, len(values) - 1)) * error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting: its score by seed, and how far it lies from the reference row of its part.

    `difference` and `ratio`, of the means, are over the seeds that both have; there is no ratio to nothing. `same_sign`
    is whether the difference has one sign in each of them.
    """

    settings: Settings
    by_seed: dict[str, float]
    score: Interval
    blind: float | None
    types: dict[str, dict[str, float]]
    """By type of question and seed."""
    difference: Interval | None = None
    same_sign: bool | None = None
    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Parts of rows; the first row of a part is the reference of the others."""

    metric: str
    parts: list[list[Row]]


def compare(folders: Iterable[Path], defaults: Settings, choices: Choices) -> Comparison | None:
    """The finished runs of `folders`, compared; None if there are not two of them.

    The reference of a part is the row nearest to `defaults`. Raises UserError, naming the folder, if a run cannot be
    read, or if two are of one setting and one seed.
    """
    finished = [run for folder in sorted(folders) if is_finished(folder) for run in Finished.read(folder, choices)]
    metric = next((score for score in SCORES if any(score in run.metrics for run in finished)), None)
    scored = [run for run in finished if metric in run.metrics]
    if metric is None or len(scored) < 2:
        return None
    varying = varying_keys([run.settings for run in scored])
    seeds = defaultdict[Key, list[Finished]](list)
    for run in scored:
        seeds[tuple((key, run.settings.get(key, "")) for key in varying)].append(run)
    parts = defaultdict[Key, list[Row]](list)
    for key, runs in seeds.items():
        asked = tuple((name, value) for name, value in key if tells_test(name, metric))
        parts[asked].append(_row(dict(key), runs, metric))
    ordered = sorted(parts.values(), key=lambda rows: min(_distance(row.settings, defaults) for row in rows))
    return Comparison(metric=metric, parts=[_referred(rows, defaults) for rows in ordered])


def is_finished(folder: Path) -> bool:
    """Whether a run was made there, to its end."""
    return (folder / CONFIG).is_file() and (folder / METRICS).is_file()


def flat_settings(document: Mapping[str, Any], choices: Choices) -> Settings:
    """A configuration's document as flat keys: `transfer` is the choice made, `transfer.variance` a setting of it."""
    groups = {item.name for item in fields(Config)}
    tasks = sorted(document.keys() - groups)
    flat = {TASK: ",".join(tasks)} if tasks else {}
    for key, value in document.items():
        if key not in WITHOUT_EFFECT:
            flat |= _flat(str(key), value, choices)
    return flat


def _flat(key: str, value: Any, choices: Choices) -> Settings:
    if not isinstance(value, dict):
        return {key: str(value)}
    nested = cast("dict[str, Any]", value)
    flat = {key: _choice(nested, choices)} if KIND in nested else {}
    for name, inner in nested.items():
        if name != KIND:
            flat |= _flat(f"{key}.{name}", inner, choices)
    return flat


def _choice(values: dict[str, Any], choices: Choices) -> str:
    """The name by which settings were chosen: of those of their class the one that says most of them."""
    named = choices.get(values[KIND], {})
    fitting = {name: said for name, said in named.items() if said.items() <= values.items()}
    return max(fitting or named, key=lambda name: len(named[name]), default=values[KIND])


def varying_keys(settings: Sequence[Settings]) -> list[str]:
    """The keys, but the seed, whose values differ between those that have them."""
    values = defaultdict[str, set[str]](set)
    for flat in settings:
        for key, value in flat.items():
            values[key].add(value)
    return [key for key, found in values.items() if len(found) > 1 and key != SEED]


def _row(settings: Settings, runs: Sequence[Finished], metric: str) -> Row:
    by_seed = dict[str, float]()
    for run in runs:
        if run.settings[SEED] in by_seed:
            others = ", ".join(str(other.folder) for other in runs if other.settings[SEED] == run.settings[SEED])
            raise UserError(f"runs of one setting and one seed cannot be told apart: {others}. Move all but one away.")
        by_seed[run.settings[SEED]] = run.metrics[metric]
    blind = [run.metrics["baseline/blind"] for run in runs if "baseline/blind" in run.metrics]
    types = [key for key in runs[0].metrics if key.startswith("accuracy/")]
    return Row(
        settings=settings,
        by_seed=by_seed,
        score=Interval.of(list(by_seed.values())),
        blind=fmean(blind) if blind else None,
        types={key: {run.settings[SEED]: run.metrics[key] for run in runs if key in run.metrics} for key in types},
    )


def _referred(rows: Sequence[Row], defaults: Settings) -> list[Row]:
    """The reference first, then the others with their difference from it, the nearest settings first."""
    reference, *others = sorted(rows, key=lambda row: (_distance(row.settings, defaults), *row.settings.values()))
    return [reference, *(_difference(row, reference) for row in others)]


def _difference(row: Row, reference: Row) -> Row:
    seeds = [seed for seed in row.by_seed if seed in reference.by_seed]
    if not seeds:
        return row
    differences = [row.by_seed[seed] - reference.by_seed[seed] for seed in seeds]
    whole = sum(reference.by_seed[seed] for seed in seeds)
    return replace(
        row,
        difference=Interval.of(differences),
        same_sign=len({math.copysign(1, difference) for difference in differences}) == 1,
        ratio=sum(row.by_seed[seed] for seed in seeds) / whole if whole else None,
    )


def _distance(settings: Settings, defaults: Settings) -> int:
    return sum(value != defaults.get(key, "") for key, value in settings.items())


def tells_test(key: str, metric: str) -> bool:
    """Whether a key says what a run was tested on, rather than what was tested: a loss is of held-out samples."""
    root = key.partition(".")[0]
    if metric in LOSSES and root in ("dataset", "data"):
        return True
    return root == TASK or root not in {item.name for item in fields(Config)}
