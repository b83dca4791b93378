"""The task: the gap between text and images, raw and under each transfer, on a run's pictures or on files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unicorn.dataset.vectors import read_vectors
from unicorn.errors import UserError
from unicorn.evaluation.geometry import drawing
from unicorn.evaluation.geometry.drawing import Method
from unicorn.evaluation.geometry.moments import (
    FIRST,
    SUBSPACES,
    anisotropy,
    cosines,
    domain_gaps,
    effective_dimension,
    eigen,
    energy_ratio,
    log_spectrum_correlation,
    subspace_overlap,
)
from unicorn.evaluation.geometry.paired import measure_pairs, paired_cosine, recall
from unicorn.evaluation.geometry.sampled import (
    CLUSTERS,
    ROWS_PER_CLUSTER,
    SPLITS,
    cluster,
    cluster_agreement,
    cluster_transfer,
    separability,
)
from unicorn.evaluation.geometry.views import View, chosen, gap_moments, moments
from unicorn.evaluation.task import Analysis, FileStudy, Findings, Pairs
from unicorn.evaluation.told import Told
from unicorn.report.html import Section
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import Transfer


@dataclass(kw_only=True)
class GeometrySettings:
    """What is sampled, at most, and by which seed; the rest is of all rows. docs/geometry.md defines the numbers.

    `text` and `image` name files of vectors (.npy, .safetensors, .parquet), which are studied instead of a run's
    pictures: as pairs, row by row, if they have as many rows.
    """

    text: str | None = None
    image: str | None = None
    seed: int = 0
    gallery: int = 10_000  # pairs among which each looks for its other half
    separated: int = 10_000  # rows of each side that the classifier is fitted and tried on
    clustered: int = 100_000  # pairs that are clustered
    drawn: int = 300  # rows of each side in the scatter plots
    methods: list[Method] = field(default_factory=lambda: [Method.tsne, Method.pca])  # of those; umap is an extra

    def __post_init__(self) -> None:
        for key, least in (("gallery", 1), ("separated", 2), ("clustered", 1), ("drawn", 2)):
            if getattr(self, key) < least:
                raise UserError(f"geometry.{key}={getattr(self, key)}: a sample of {least} rows at least is needed.")

    def build(self) -> Analysis | FileStudy:
        """The study. Raises UserError if one file is named without the other, or a method is not installed."""
        for method in self.methods:
            method.require()
        if self.text is None and self.image is None:
            return Geometry(self)
        if self.text is None or self.image is None:
            raise UserError("geometry.text and geometry.image are files of two sides: name both, or neither.")
        return FileGeometry(self, Path(self.text), Path(self.image))


class Geometry:
    """Two sets of unit vectors, as pairs if they have as many rows, and what each transfer does to them."""

    def __init__(self, settings: GeometrySettings) -> None:
        self._settings = settings

    def run(self, pairs: Pairs, transfers: Mapping[str, Transfer]) -> Findings:
        """The numbers that docs/geometry.md defines; `none` in a key is the raw space.

        Raises UserError if a side has one row or none, or a vector is not finite.
        """
        settings, told = self._settings, Told()
        for side, vectors in (("texts", pairs.text), ("images", pairs.image)):
            if len(vectors) < 2:
                raise UserError(f"there are too few {side} for a geometry: {len(vectors)}, and 2 are needed at least.")
        text, image = moments("text", pairs.text, pairs.domains), moments("image", pairs.image, pairs.domains)
        views = [View(name="none", pairs=pairs, seed=settings.seed)]
        views += [View.under(name, pairs, transfer, settings.seed) for name, transfer in transfers.items()]
        paired = text.count == image.count
        told.metrics |= {"texts": text.count, "images": image.count, "gap_norm": views[0].gap_norm()}
        self._tell_views(told, views, paired)
        self._tell_spectra(told, text, image)
        if paired:
            self._tell_pairs(told, views[0], gap_moments(pairs))
            self._tell_clusters(told, views[0])
        else:
            told.left_out.append("all that needs pairs, as the two sides have different numbers of rows")
        self._tell_domains(told, text, image)
        told.figures += [drawing.spaces(views, method, settings.drawn, settings.seed) for method in settings.methods]
        left_out = f" Left out: {'; '.join(told.left_out)}." if told.left_out else ""
        sampled = f" Sampled: {'; '.join(told.sampled)}."
        section = Section(
            title="Text and images in one space",
            text=(
                f"{text.count:,} texts and {image.count:,} images{', in pairs' if paired else ''}. `none` is the raw "
                f"space.{sampled}{left_out}"
            ),
            figures=told.figures,
            tables=told.tables,
        )
        return Findings(metrics=told.metrics, sections=[section])

    def _tell_views(self, told: Told, views: list[View], paired: bool) -> None:
        """Gap, paired cosine, separability and retrieval, raw and under each transfer."""
        settings, rows = self._settings, dict[str, dict[str, float]]()
        counts = len(views[0].pairs.text), len(views[0].pairs.image)
        separated = min(settings.separated, *counts)
        for view in views:
            text, image = (
                side(chosen(count, separated, settings.seed))
                for side, count in zip((view.text, view.image), counts, strict=True)
            )
            rows[view.name] = {"gap_norm": view.gap_norm(), "separability": separability(text, image, settings.seed)}
            if paired:
                rows[view.name]["paired_cosine"] = paired_cosine(view)
                found = recall(view, settings.gallery, settings.seed)
                rows[view.name] |= {f"recall_at_{rank}": value for rank, value in found.items()}
        told.table("transfer", rows)
        told.sampled.append(f"{separated:,} rows of each side for the classifier")
        if paired:
            told.sampled.append(f"{min(settings.gallery, counts[0]):,} pairs for retrieval")

    def _tell_spectra(self, told: Told, text: Statistics, image: Statistics) -> None:
        """How alike the shapes of the two clouds are."""
        dimension = len(text.mean)
        if min(text.count, image.count) <= dimension:
            told.left_out.append(f"spectra, which need more rows than the {dimension} dimensions")
            return
        spectra = {name: eigen(_covariance(side)) for name, side in (("text", text), ("image", image))}
        values = {name: spectrum for name, (spectrum, _) in spectra.items()}
        told.table(
            "side",
            {
                name: {"effective_dimension": effective_dimension(spectrum), "anisotropy": anisotropy(spectrum)}
                for name, spectrum in values.items()
            },
        )
        correlation = log_spectrum_correlation(values["text"], values["image"])
        told.numbers("both spectra", {"log_spectrum_correlation": correlation})
        told.table(
            "first directions",
            {
                str(q): {
                    "subspace_overlap": subspace_overlap(spectra["text"][1], spectra["image"][1], q),
                    "subspace_overlap_by_chance": q / dimension,
                }
                for q in SUBSPACES
                if q < dimension
            },
        )
        told.figures.append(drawing.spectra(values))

    def _tell_pairs(self, told: Told, raw: View, gap: Statistics) -> None:
        """How constant the gap is over pairs, and what shape its residuals have."""
        measures = measure_pairs(raw, gap.mean)
        told.numbers(
            "pair by pair",
            {
                "directional_consistency": float(measures.direction.mean(dtype=np.float64)),
                "energy_ratio": energy_ratio(gap),
                "residual_norm": float(measures.residual_norm.mean(dtype=np.float64)),
            },
        )
        told.figures += drawing.histograms(measures)
        if gap.count <= len(gap.mean):
            told.left_out.append(f"the residuals' spectrum, which needs more than {len(gap.mean)} pairs")
            return
        values, _ = eigen(_covariance(gap))
        shares = {
            f"residual_variance/{rank}": float(value / values.sum()) for rank, value in enumerate(values[:FIRST], 1)
        }
        shape = {"residual_effective_dimension": effective_dimension(values), "residual_anisotropy": anisotropy(values)}
        told.numbers("residuals", shape | shares)

    def _tell_clusters(self, told: Told, raw: View) -> None:
        """Whether clusters of texts agree on the gap, and whether that of some serves the others."""
        settings = self._settings
        rows = chosen(len(raw.pairs.text), settings.clustered, settings.seed)
        text, image = raw.text(rows), raw.image(rows)
        told_of = dict[str, dict[str, float]]()
        for count in CLUSTERS:
            if len(rows) < ROWS_PER_CLUSTER * count:
                told.left_out.append(f"{count} clusters, which need {ROWS_PER_CLUSTER * count:,} pairs")
                continue
            of = cluster(text, count, settings.seed)
            agreement = cluster_agreement(image - text, of)
            told_of[str(count)] = {
                "cluster_agreement_mean": agreement.mean,
                "cluster_agreement_median": agreement.median,
                "cluster_agreement_above_0.8": agreement.above,
            }
            for name, share in SPLITS.items():
                before, after = cluster_transfer(text, image, of, share, settings.seed)
                told_of[str(count)] |= {
                    f"cluster_transfer_{name}_before": before,
                    f"cluster_transfer_{name}_after": after,
                }
        told.table("clusters", told_of)
        if told_of:
            told.sampled.append(f"{len(rows):,} pairs for clusters")

    def _tell_domains(self, told: Told, text: Statistics, image: Statistics) -> None:
        """Whether domains have one gap."""
        gaps = domain_gaps(text, image)
        if len(gaps) < 2:
            told.left_out.append("gaps by domain, which need two domains")
            return
        matrix = cosines(np.array([*gaps.values()]))
        others = matrix[~np.eye(len(gaps), dtype=bool)]
        told.numbers(
            "gaps of domains",
            {"domain_gap_cosine/mean": float(others.mean()), "domain_gap_cosine/least": float(others.min())},
        )
        told.figures.append(drawing.domain_matrix([*gaps], matrix))


class FileGeometry:
    """The same of vectors in files, raw and under mean shift; they come without domains."""

    def __init__(self, settings: GeometrySettings, text: Path, image: Path) -> None:
        self._settings = settings
        self._text = text
        self._image = image

    def findings(self) -> Findings:
        """Raises UserError if a file cannot be read, or the two are of different dimensions, or not of unit norm."""
        text, image = read_vectors(self._text), read_vectors(self._image)
        if text.shape[1] != image.shape[1]:
            raise UserError(
                f"{self._text} has vectors of {text.shape[1]} dimensions and {self._image} of {image.shape[1]}: name "
                "files of one encoder."
            )
        statistics = {path: Statistics.of(str(path), side) for path, side in ((self._text, text), (self._image, image))}
        for path, side in statistics.items():
            if not side.normalised:
                raise UserError(f"{path} holds vectors that are not of unit norm. Divide each by its norm first.")
        transfer = MeanShiftSettings().fit(statistics[self._text], ())
        return Geometry(self._settings).run(Pairs(text=text, image=image, domains=()), {"mean_shift": transfer})


def _covariance(statistics: Statistics) -> np.ndarray:
    assert statistics.covariance is not None  # `moments` asks for it
    return statistics.covariance
