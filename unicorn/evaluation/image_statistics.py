"""Statistics of pictures: the mean and spread that ReAlign and a calibrated centring need."""

from collections.abc import Iterable
from dataclasses import dataclass

from unicorn.evaluation.task import Findings, VectorChunk
from unicorn.report.html import DataTable, Section
from unicorn.transfer.statistics import Statistics


@dataclass(kw_only=True)
class ImageStatisticsSettings:
    """`covariance` keeps that of all pairs of dimensions, too: 13 MB for 1,280 of them.

    Which pictures is said by `pictures`, and in which space by the run's encoder, or without a run by `encoder`.
    """

    covariance: bool = False

    def build(self) -> "ImageStatistics":
        """The study."""
        return ImageStatistics(self)


class ImageStatistics:
    """Count, mean, trace and means by domain of pictures' vectors, in one pass."""

    def __init__(self, settings: ImageStatisticsSettings) -> None:
        self._settings = settings

    def observe(self, space: str, chunks: Iterable[VectorChunk]) -> Findings:
        """`pictures`, `trace`, `mean_norm`, and of each domain its share and `gap/<domain>`, |mean - its mean|.

        Raises UserError if there is no picture, or a vector is not finite.
        """
        statistics = Statistics.from_chunks(space, chunks, covariance=self._settings.covariance)
        metrics = {
            "pictures": statistics.count,
            "trace": statistics.trace,
            "mean_norm": float((statistics.mean @ statistics.mean) ** 0.5),
        }
        rows: list[list[str | float]] = []
        for name, mean in statistics.domain_mean.items():
            gap = mean - statistics.mean
            metrics[f"gap/{name}"] = float((gap @ gap) ** 0.5)
            rows.append([name, statistics.domain_count[name], metrics[f"gap/{name}"]])
        section = Section(
            title="Statistics of pictures",
            text=(
                f"{statistics.count:,} pictures in {space}. Their mean has the norm {metrics['mean_norm']:.3f}, and "
                f"their squared distance to it is {statistics.trace:.3f} on average. image_statistics= takes the "
                "folder image_statistics/ beside this task's numbers."
            ),
            tables=[DataTable(columns=("domain", "pictures", "distance of its mean"), rows=rows)],
        )
        return Findings(metrics=metrics, sections=[section], image_statistics=statistics)
