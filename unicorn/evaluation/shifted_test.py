"""The task: test sets that are not as the captions have it, and how well each way of centring brings them back."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from unicorn.encoder.tower import ImageTower
from unicorn.errors import UserError
from unicorn.evaluation.geometry.paired import cosine
from unicorn.evaluation.pictures import encode_pictures
from unicorn.evaluation.retrieval import found_first
from unicorn.evaluation.settings import Centring
from unicorn.evaluation.style import Style, restyled
from unicorn.evaluation.task import Findings, Pairs
from unicorn.evaluation.told import Told
from unicorn.pictures import Picture, Pictures
from unicorn.report.figures import Figure, heat_map, log_lines
from unicorn.report.html import Section
from unicorn.transfer.centring import CalibrationMean, DomainMeans, NoCentring, ObservedMean, RunningMean
from unicorn.transfer.mean_shift import MeanShift, MeanShiftSettings
from unicorn.transfer.statistics import Statistics
from unicorn.transfer.transfer import ImageCentring, NoiseKey

CENTRINGS = (Centring.none, Centring.calibration, Centring.test_set, Centring.running, Centring.domain)
PLAIN, CONTENT = "none", "content"


@dataclass(kw_only=True)
class ShiftedTestSettings:
    """`content` names the domains that are left of a test set of other content; empty: the first by name.

    `forgetting` is that of the running estimate, as in `evaluation.forgetting`.
    """

    content: list[str] = field(default_factory=list[str])
    forgetting: float = 0.01

    def __post_init__(self) -> None:
        if not 0 < self.forgetting < 1:
            raise UserError(
                f"shifted_test.forgetting={self.forgetting} is no weight of a picture: it lies above 0 and below 1."
            )

    def build(self) -> "ShiftedTest":
        """The study."""
        return ShiftedTest(self)


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """Raw vectors of pictures in the order of their stream, and the row of each picture's caption."""

    image: Float[np.ndarray, "n d"]
    caption: Int64[np.ndarray, " n"]


class ShiftedTest:
    """Every other picture calibrates, as it is; the rest are the test set, in each style and of other content."""

    def __init__(self, settings: ShiftedTestSettings) -> None:
        self._settings = settings

    def study(self, space: str, pairs: Pairs, pictures: Pictures, image_tower: ImageTower) -> Findings:
        """Cosine and retrieval of centred pictures and mean-shifted captions, by shift and centring.

        Raises UserError if there are too few pictures, or a domain of `content` has no picture.
        """
        known, asked = slice(0, None, 2), slice(1, None, 2)
        if len(pairs.text) < 4:
            raise UserError("shifted_test needs four pictures at least: two that calibrate, and two to be tested.")
        calibration = Statistics.of(space, pairs.image[known], pairs.domains[known])
        transfer = MeanShiftSettings().fit(Statistics.of(space, pairs.text[known]), ())
        raw = pairs.text[asked]
        captions = transfer.text(raw, None, NoiseKey(seed=0, epoch=0, rows=np.arange(len(raw))))

        rows = np.arange(len(raw))
        tests = {PLAIN: TestSet(image=pairs.image[asked], caption=rows)}
        for style in Style:
            image = encode_pictures(_restyled(pictures, style), image_tower).vectors
            tests[style] = TestSet(image=image, caption=rows)
        domains = np.array(pairs.domains[asked])
        content = self._content(domains)
        kept = np.flatnonzero(np.isin(domains, content))
        told = Told()
        if 1 < len(kept) < len(rows):
            tests[CONTENT] = TestSet(image=tests[PLAIN].image[kept], caption=kept)
            told.sampled.append(f"content: {', '.join(content)} alone, {len(kept):,} pictures")
        else:
            few = "one picture is" if len(kept) == 1 else "all pictures are"
            told.left_out.append(f"the shift of content, as {few} of the domains that it keeps")

        self._tell_centrings(told, tests, captions, transfer, calibration)
        self._tell_recovery(told, tests, calibration)
        kept_as = f" Kept as {'; '.join(told.sampled)}." if told.sampled else ""
        text = f"{len(rows):,} pictures, each sought among as many captions; {calibration.count:,} others calibrate."
        section = Section(
            title="Shifted test sets", text=f"{text}{kept_as}{told.without()}", figures=told.figures, tables=told.tables
        )
        return Findings(metrics=told.metrics, sections=[section])

    def _content(self, domains: np.ndarray) -> list[str]:
        content = self._settings.content or [min(domains.tolist())]
        for name in content:
            if name not in domains:
                there = ", ".join(sorted(set(domains.tolist())))
                raise UserError(f"shifted_test.content={name}: no picture under test is of it. There are {there}.")
        return content

    def _tell_centrings(
        self,
        told: Told,
        tests: Mapping[str, TestSet],
        captions: Float32[np.ndarray, "n d"],
        transfer: MeanShift,
        calibration: Statistics,
    ) -> None:
        rows = dict[str, dict[str, float]]()
        for shift, test in tests.items():
            for name in CENTRINGS:
                centring = self._centring(name, transfer, calibration)
                centring.observe(test.image)
                image = centring.transform(test.image)
                rows[f"{shift}/{name}"] = {
                    "paired_cosine": float(cosine(captions[test.caption], image).mean(dtype=np.float64)),
                    "recall_at_1": float(found_first(image, captions, test.caption).mean()),
                }
        told.table("shift/centring", rows)
        for measure in ("paired_cosine", "recall_at_1"):
            matrix = np.array([[rows[f"{shift}/{name}"][measure] for name in CENTRINGS] for shift in tests])
            told.figures.append(_table(measure, [*tests], matrix))

    def _centring(self, name: Centring, transfer: MeanShift, calibration: Statistics) -> ImageCentring:
        match name:
            case Centring.none:
                return NoCentring(transfer.space, transfer.normalised)
            case Centring.calibration:
                return transfer.image_centring(CalibrationMean(calibration))
            case Centring.test_set:
                return transfer.image_centring(ObservedMean())
            case Centring.running:
                return transfer.image_centring(RunningMean(calibration, self._settings.forgetting))
            case Centring.domain:
                return transfer.image_centring(DomainMeans(calibration))

    def _tell_recovery(self, told: Told, tests: Mapping[str, TestSet], calibration: Statistics) -> None:
        """How far the running estimate is from the mean of the test set, picture by picture from the shift on."""
        curves = dict[str, Float64[np.ndarray, " n"]]()
        rows = dict[str, dict[str, float]]()
        for shift, test in tests.items():
            mean = test.image.mean(axis=0, dtype=np.float64)
            step = float(np.linalg.norm(calibration.mean - mean))
            estimates = RunningMean(calibration, self._settings.forgetting).of(test.image)
            curves[shift] = np.linalg.norm(estimates - mean, axis=1)
            rows[shift] = {"mean_step": step}
            if shift == PLAIN:
                continue  # there is nothing to recover from
            near = np.flatnonzero(curves[shift] < step / 2)
            if len(near):
                rows[shift]["pictures_to_halfway"] = int(near[0]) + 1
            else:
                told.left_out.append(f"halfway after {shift}, which the running estimate does not reach")
        told.table("shift", rows)
        caption = "Distance of the running estimate to the test set's mean, from the shift on."
        told.figures.append(log_lines("running", caption, curves, across="picture", up="distance"))


def _restyled(pictures: Pictures, style: Style) -> Iterator[Picture]:
    """The pictures under test in another style."""
    tested = islice(pictures.pictures(), 1, None, 2)
    return (replace(picture, image=restyled(picture.image, style)) for picture in tested)


def _table(measure: str, shifts: list[str], matrix: Float[np.ndarray, "n m"]) -> Figure:
    words = measure.replace("_", " ")
    caption = f"{words.capitalize()} of centred pictures and shifted captions: rows are shifts, columns centrings."
    return heat_map(measure, caption, shifts, matrix, columns=CENTRINGS)
