"""The task: the gap between text and images, raw and under each transfer, on a run's pictures or on files."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from unicorn.errors import UserError
from unicorn.evaluation.geometry import drawing
from unicorn.evaluation.geometry.drawing import Method
from unicorn.evaluation.geometry.moments import (
    SUBSPACES,
    anisotropy,
    cosines,
    domain_gaps,
    effective_dimension,
    eigen,
    energy_ratio,
    log_spectrum_correlation,
    shares,
    subspace_overlap,
)
from unicorn.evaluation.geometry.paired import compare, measure_pairs, recall
from unicorn.evaluation.geometry.sampled import (
    CLUSTERS,
    ROWS_PER_CLUSTER,
    SPLITS,
    cluster,
    cluster_agreement,
    cluster_transfer,
    separability,
)
from unicorn.evaluation.geometry.transfers import NOISY, NONE, fit_all, transfer_name
from unicorn.evaluation.geometry.views import Side, Sides, View, chosen, gap_moments, moments, slices
from unicorn.evaluation.task import Analysis, FileStudy, Findings, Pairs
from unicorn.evaluation.told import Told
from unicorn.report.html import Section
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import Transfer, TransferSettings

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class GeometrySettings:
    """What is sampled, at most; the rest is of all rows. docs/geometry.md defines the numbers.

    `seed` draws the samples and the noise of the transfers that have one.

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
        from unicorn.evaluation.geometry.files import FileGeometry

        return FileGeometry(Geometry(self), Path(self.text), Path(self.image))


class Geometry:
    """Two sets of unit vectors, as pairs if they have as many rows, and what each transfer does to them."""

    def __init__(self, settings: GeometrySettings) -> None:
        self._settings = settings

    def run(self, pairs: Pairs, transfer: Transfer | TransferSettings) -> Findings:
        """The numbers that docs/geometry.md defines; `none` in a key is the raw space.

        Raises UserError if a side has one row or none, or a vector is not finite.
        """
        return self.measure(
            Side(name="texts", vectors=pairs.text), Side(name="images", vectors=pairs.image), pairs.domains, transfer
        )

    def measure(
        self, text_side: Side, image_side: Side, domains: Sequence[str], transfer: Transfer | TransferSettings
    ) -> Findings:
        """The same of two sides, as pairs if they have as many rows; domains are those of pairs, or none."""
        settings, told = self._settings, Told()
        sides = Sides(text=text_side, image=image_side, domains=domains, seed=settings.seed)
        for side in (sides.text, sides.image):
            if len(side) < 2:
                raise UserError(
                    f"there are too few {side.name} for a geometry: {len(side)}, and 2 are needed at least."
                )
        text, image = moments(sides.text, domains), moments(sides.image, domains)
        views = self._views(told, sides, text, image, transfer)
        told.metrics |= {"texts": text.count, "images": image.count}
        self._tell_views(told, views)
        told.metrics["gap_norm"] = told.metrics[f"gap_norm/{NONE}"]
        self._tell_spectra(told, text, image)
        if sides.paired:
            self._tell_pairs(told, sides)
            self._tell_clusters(told, sides)
        else:
            told.left_out.append("all that needs pairs, as the two sides have different numbers of rows")
        self._tell_domains(told, text, image)
        self._draw_spaces(told, views, text, image, transfer_name(transfer))
        noisy = [name for name in views if name in NOISY]
        scaled = [side.name for side in (sides.text, sides.image) if side.scaled]
        section = Section(
            title="Text and images in one space",
            text=(
                f"{text.count:,} texts and {image.count:,} images{', in pairs' if sides.paired else ''}. `none` is the "
                f"raw space. Sampled by the seed {settings.seed}, as is the noise of {', '.join(noisy)}: "
                f"{'; '.join(told.sampled)}.{told.without()}"
                + (f" Scaled to unit norm, which they had not: {', '.join(scaled)}." if scaled else "")
            ),
            figures=told.figures,
            tables=told.tables,
        )
        if without := told.without().strip():
            _log.warning("geometry: %s", without)
        return Findings(metrics=told.metrics, sections=[section])

    def _views(
        self, told: Told, sides: Sides, text: Statistics, image: Statistics, transfer: Transfer | TransferSettings
    ) -> dict[str, View]:
        """The sides raw, and under every transfer that they allow."""

        def chunks() -> Iterator[Float32[np.ndarray, "n d"]]:
            return (sides.text.of(rows) for rows in slices(len(sides.text)))

        transfers, left_out = fit_all(transfer, text, image, chunks)
        told.left_out += [f"{name}, which {why}" for name, why in left_out.items()]
        return {name: View.under(name, sides, fitted, image) for name, fitted in transfers.items()}

    def _tell_views(self, told: Told, views: Mapping[str, View]) -> None:
        """Gap, paired cosine, separability and retrieval, raw and under each transfer."""
        settings, sides = self._settings, views[NONE].sides
        separated = min(settings.separated, len(sides.text), len(sides.image))
        rows = dict[str, dict[str, float]]()
        for name, compared in compare([*views.values()]).items():
            view = views[name]
            text = view.text(chosen(len(sides.text), separated, settings.seed))
            image = view.image(chosen(len(sides.image), separated, settings.seed))
            rows[name] = {"gap_norm": compared.gap_norm, "separability": separability(text, image, settings.seed)}
            if compared.paired_cosine is not None:
                found = recall(view, settings.gallery, settings.seed)
                rows[name]["paired_cosine"] = compared.paired_cosine
                rows[name] |= {f"recall_at_{rank}": value for rank, value in found.items()}
        told.table("transfer", rows)
        told.sampled.append(f"{separated:,} rows of each side for the classifier")
        if sides.paired:
            told.sampled.append(f"{min(settings.gallery, len(sides.text)):,} pairs for retrieval")

    def _tell_spectra(self, told: Told, text: Statistics, image: Statistics) -> None:
        """How alike the shapes of the two clouds are."""
        dimension = len(text.mean)
        if min(text.count, image.count) <= dimension:
            told.left_out.append(f"spectra, which need more rows than the {dimension} dimensions")
            return
        if min(text.trace, image.trace) == 0:
            told.left_out.append("spectra, which need texts that differ and images that differ")
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

    def _tell_pairs(self, told: Told, sides: Sides) -> None:
        """How constant the gap is over pairs, and what shape its residuals have."""
        gap = gap_moments(sides)
        measures = measure_pairs(sides, gap.mean)
        direction = float(measures.direction.mean(dtype=np.float64))
        told.numbers(
            "pair by pair",
            {
                "directional_consistency": direction if gap.mean.any() else np.nan,
                "energy_ratio": energy_ratio(gap),
                "residual_norm": float(measures.residual_norm.mean(dtype=np.float64)),
            },
        )
        told.figures += drawing.histograms(measures)
        if gap.count <= len(gap.mean):
            told.left_out.append(f"the residuals' spectrum, which needs more than {len(gap.mean)} pairs")
            return
        values, _ = eigen(_covariance(gap))
        shape = {"residual_effective_dimension": effective_dimension(values), "residual_anisotropy": anisotropy(values)}
        told.numbers(
            "residuals", shape | {f"residual_variance/{rank}": share for rank, share in enumerate(shares(values), 1)}
        )

    def _tell_clusters(self, told: Told, sides: Sides) -> None:
        """Whether clusters of texts agree on the gap, and whether that of some serves the others."""
        settings = self._settings
        rows = chosen(len(sides.text), settings.clustered, settings.seed)
        text, image = sides.text.of(rows), sides.image.of(rows)
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
        if np.isfinite(matrix).all():
            told.figures.append(drawing.domain_matrix([*gaps], matrix))

    def _draw_spaces(
        self, told: Told, views: Mapping[str, View], text: Statistics, image: Statistics, asked: str
    ) -> None:
        """Where texts and images lie, raw and under the transfer that is asked for."""
        if len(text.mean) < 2 or min(text.trace, image.trace) == 0:
            told.left_out.append("scatter plots, which need two dimensions, texts that differ and images that differ")
            return
        raw = views[NONE]
        view = views.get(asked, raw)
        told.figures += [
            drawing.spaces(raw, view, method, self._settings.drawn, self._settings.seed)
            for method in self._settings.methods
        ]


def _covariance(statistics: Statistics) -> np.ndarray:
    assert statistics.covariance is not None  # `moments` asks for it
    return statistics.covariance
