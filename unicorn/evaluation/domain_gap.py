"""The task: whether the gap between text and images is one over domains, and what a shift by domain gains."""

from collections import Counter
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Float32, Float64

from unicorn.errors import UserError
from unicorn.evaluation.geometry.moments import cosines
from unicorn.evaluation.geometry.paired import cosine
from unicorn.evaluation.retrieval import found_first
from unicorn.evaluation.task import Findings, Pairs
from unicorn.evaluation.told import Told
from unicorn.report.figures import Bar, Figure, bar_chart, heat_map
from unicorn.report.html import Section
from unicorn.transfer.centring import CalibrationMean, DomainMeans
from unicorn.transfer.domain_mean_shift import DomainMeanShiftSettings
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageMean, NoiseKey, Transfer, TransferSettings

MEASURES = ("paired_cosine", "recall_at_1_within", "recall_at_1_over")
_SHUFFLES = 200
_RESAMPLES = 1000

Sides = tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n d"]]
"""Text and images, row by row."""


@dataclass(kw_only=True)
class DomainGapSettings:
    """`least` pairs make a domain; smaller ones are left out, and named. docs/analyses.md defines the numbers."""

    least: int = 20
    seed: int = 0  # of the shuffled domains and the resampled pictures

    def build(self) -> "DomainGap":
        """The study."""
        return DomainGap(self)


class DomainGap:
    """The gap of each domain beside the others', and domain_mean_shift beside mean_shift on each domain's pictures."""

    def __init__(self, settings: DomainGapSettings) -> None:
        self._settings = settings

    def run(self, pairs: Pairs, transfer: Transfer | TransferSettings) -> Findings:
        """Both transfers are fitted to these very captions; that of a run or the configuration has no part in it.

        Raises UserError if there are not two domains of `least` pairs.
        """
        counts = Counter(pairs.domains)
        names = sorted(name for name, count in counts.items() if count >= self._settings.least)
        if len(names) < 2:
            had = ", ".join(f"{name} ({count:,})" for name, count in sorted(counts.items()))
            raise UserError(
                f"domain_gap compares domains, and fewer than two have {self._settings.least} pairs: {had}. Take more "
                "pictures, or set domain_gap.least lower."
            )
        domains = np.array(pairs.domains)
        rows = np.isin(domains, names)
        text, image, domains = pairs.text[rows], pairs.image[rows], domains[rows]
        told = Told()
        self._tell_gaps(told, names, image - text, domains)
        self._tell_gains(told, names, (text, image), domains)
        left_out = ", ".join(f"{name} ({counts[name]:,})" for name in sorted(counts.keys() - set(names)))
        section = Section(
            title="The gap, domain by domain",
            text=(
                f"{len(text):,} pairs of {len(names)} domains. By chance: the same pairs, their domains shuffled. Low "
                "and high: 95% intervals over resampled pictures."
                + (f" Left out, having fewer than {self._settings.least} pairs: {left_out}." if left_out else "")
                + told.without()
            ),
            figures=told.figures,
            tables=told.tables,
        )
        return Findings(metrics=told.metrics, sections=[section])

    def _tell_gaps(self, told: Told, names: list[str], gap: Float[np.ndarray, "n d"], domains: np.ndarray) -> None:
        """How alike the domains' gaps are, beside those of random groups of as many pairs."""
        gaps = _means(gap, domains, names)
        matrix = cosines(gaps)
        pairs = {(i, j): float(matrix[i, j]) for i, j in combinations(range(len(names)), 2)}
        rng = np.random.default_rng(self._settings.seed)
        shuffled = [cosines(_means(gap, rng.permutation(domains), names)) for _ in range(_SHUFFLES)]
        upper = np.triu_indices(len(names), 1)
        told.numbers(
            "cosines of gaps",
            {
                "gap_cosine/mean": float(np.mean([*pairs.values()])),
                "gap_cosine/least": min(pairs.values()),
                "gap_cosine_by_chance/mean": float(np.mean([chance[upper].mean() for chance in shuffled])),
                "gap_cosine_by_chance/least": float(np.mean([chance[upper].min() for chance in shuffled])),
            },
        )
        told.table("domains", {f"{names[i]}+{names[j]}": {"gap_cosine": value} for (i, j), value in pairs.items()})
        norms = np.linalg.norm(gaps, axis=1)
        told.table("domain", {name: {"gap_norm": float(norm)} for name, norm in zip(names, norms, strict=True)})
        caption = "Cosines between the gaps of domains: 1 where one shift would serve both."
        if np.isfinite(matrix).all():
            told.figures.append(heat_map("domain_gaps", caption, names, matrix))

    def _tell_gains(self, told: Told, names: list[str], raw: Sides, domains: np.ndarray) -> None:
        """What each domain's pictures gain from domain_mean_shift over mean_shift."""
        before, after = (_measured(sides, domains) for sides in _shifted(raw, domains))
        rng = np.random.default_rng(self._settings.seed)
        rows = dict[str, dict[str, float]]()
        bars: dict[str, list[Bar]] = {measure: [] for measure in MEASURES}
        for name in [*names, "all"]:
            of = np.full(len(domains), fill_value=True) if name == "all" else domains == name
            rows[name] = {}
            for measure in MEASURES:
                base, value = (float(measured[measure][of].mean()) for measured in (before, after))
                low, high = _interval((after[measure] - before[measure])[of], rng)
                rows[name] |= {
                    f"{measure}/mean_shift": base,
                    f"{measure}/domain_mean_shift": value,
                    f"gain_{measure}": value - base,
                    f"gain_{measure}_low": low,
                    f"gain_{measure}_high": high,
                }
                bars[measure].append(
                    Bar(label=name, value=value, low=base + low, high=base + high, references={"mean shift": base})
                )
        for measure in MEASURES:
            told.table("domain", {name: {k: v for k, v in row.items() if measure in k} for name, row in rows.items()})
        told.figures += [_gains(measure, bars[measure]) for measure in MEASURES]


def _shifted(raw: Sides, domains: np.ndarray) -> tuple[Sides, Sides]:
    """Both sides under mean_shift, and under domain_mean_shift, its images by the nearest domain as at inference."""
    labels: list[str] = domains.tolist()
    text, image = (Statistics.of("pairs", side, labels) for side in raw)
    key = NoiseKey(seed=0, epoch=0, rows=np.arange(len(labels)))

    def under(transfer: Transfer, mean: ImageMean) -> Sides:
        return transfer.text(raw[0], labels, key), transfer.image_centring(mean).transform(raw[1])

    return (
        under(MeanShiftSettings().fit(text, ()), CalibrationMean(image)),
        under(DomainMeanShiftSettings().fit(text, ()), DomainMeans(image)),
    )


def _measured(sides: Sides, domains: np.ndarray) -> dict[str, Float64[np.ndarray, " n"]]:
    """Of each pair: its cosine, and whether the picture finds its caption among its domain's, and among all."""
    text, image = sides
    within = np.empty(len(text))
    for name in np.unique(domains):
        of = domains == name
        within[of] = found_first(image[of], text[of], np.arange(of.sum()))
    over = found_first(image, text, np.arange(len(text)))
    return dict(zip(MEASURES, (cosine(text, image).astype(np.float64), within, over), strict=True))


def _interval(differences: Float64[np.ndarray, " n"], rng: np.random.Generator) -> tuple[float, float]:
    """The 95% interval of their mean, by resampling (Efron, 1979)."""
    count = len(differences)
    means = [differences[rng.integers(0, count, count)].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _means(vectors: Float[np.ndarray, "n d"], domains: np.ndarray, names: list[str]) -> Float[np.ndarray, "k d"]:
    return np.array([vectors[domains == name].mean(axis=0, dtype=np.float64) for name in names])


def _gains(measure: str, bars: list[Bar]) -> Figure:
    words = measure.replace("_", " ")
    caption = f"{words.capitalize()} under domain mean shift, with the 95% interval of its gain over mean shift."
    return bar_chart(f"gain_{measure}", caption, bars, words)
