"""The geometry of the gap, against brute force in float64 and against clouds whose shape is known."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from jaxtyping import Float
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from evaluate import evaluate
from tests.conftest import run_script
from tests.evaluation.stand_ins import ColourBenchmark, ColourTower, WordTower
from unicorn.dataset.vectors import read_vectors
from unicorn.errors import UserError
from unicorn.evaluation.geometry import GeometrySettings
from unicorn.evaluation.geometry.drawing import Method
from unicorn.evaluation.geometry.moments import (
    anisotropy,
    domain_gaps,
    effective_dimension,
    eigen,
    energy_ratio,
    log_spectrum_correlation,
    subspace_overlap,
)
from unicorn.evaluation.geometry.paired import Compared, compare, measure_pairs, recall
from unicorn.evaluation.geometry.sampled import cluster, cluster_agreement, cluster_transfer, separability
from unicorn.evaluation.geometry.views import Side, Sides, View, chosen, gap_moments, moments
from unicorn.evaluation.pictures import encode_pairs
from unicorn.evaluation.task import Analysis, FileStudy, Findings, Pairs
from unicorn.pictures import Picture
from unicorn.report.figures import Figure, scatter
from unicorn.transfer import NoiseKey, Statistics, Transfer, TransferSettings
from unicorn.transfer.c3 import C3Settings
from unicorn.transfer.close import CloseSettings
from unicorn.transfer.domain_mean_shift import DomainMeanShiftSettings
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.none import NoTransferSettings

DOMAINS = ["day", "night"]


def unit(vectors: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_pairs(count: int, dimension: int = 6, noise: float = 0.3, seed: int = 0) -> Pairs:
    """Pairs whose pictures lie one constant step, and some noise, from their captions."""
    rng = np.random.default_rng(seed)
    text = unit(rng.normal(size=(count, dimension)) + 0.5)
    step = np.eye(dimension)[0] * 3
    image = unit(text + step + noise * rng.normal(size=(count, dimension)))
    return Pairs(text=text, image=image, domains=[DOMAINS[row % 2] for row in range(count)])


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return make_pairs(40)


def sides(pairs: Pairs, seed: int = 0) -> Sides:
    text, image = Side(name="texts", vectors=pairs.text), Side(name="images", vectors=pairs.image)
    return Sides(text=text, image=image, domains=pairs.domains, seed=seed)


def moments_of(pairs: Pairs) -> tuple[Statistics, Statistics]:
    both = sides(pairs)
    return moments(both.text, pairs.domains), moments(both.image, pairs.domains)


def under(pairs: Pairs, settings: TransferSettings, seed: int = 0) -> View:
    text, image = moments_of(pairs)
    return View.under("some", sides(pairs, seed), settings.fit(text, ()), image)


def raw(pairs: Pairs) -> View:
    return under(pairs, NoTransferSettings())


def compared(view: View) -> Compared:
    return compare([view])["some"]


def cos(u: Float[np.ndarray, " d"], v: Float[np.ndarray, " d"]) -> float:
    return float(u @ v / np.linalg.norm(u) / np.linalg.norm(v))


def test_moments_agree_with_loops_over_pairs(pairs: Pairs) -> None:
    u, v = pairs.text.astype(np.float64), pairs.image.astype(np.float64)
    gaps = [v[row] - u[row] for row in range(40)]
    g = sum(gaps) / 40
    (text, image), gap = moments_of(pairs), gap_moments(sides(pairs))
    assert compared(raw(pairs)).gap_norm == pytest.approx(np.linalg.norm(g), rel=1e-5)
    assert energy_ratio(gap) == pytest.approx(g @ g / np.mean([gap @ gap for gap in gaps]), rel=1e-5)
    assert compared(raw(pairs)).paired_cosine == pytest.approx(
        np.mean([cos(u[row], v[row]) for row in range(40)]), rel=1e-5
    )
    measures = measure_pairs(sides(pairs), gap.mean)
    np.testing.assert_allclose(measures.cosine, [cos(u[row], v[row]) for row in range(40)], atol=1e-6)
    np.testing.assert_allclose(measures.direction, [cos(gap, g) for gap in gaps], atol=1e-6)
    np.testing.assert_allclose(measures.residual_norm, [np.linalg.norm(gap - g) for gap in gaps], atol=1e-6)
    by_domain = domain_gaps(text, image)
    for number, name in enumerate(DOMAINS):
        np.testing.assert_allclose(by_domain[name], np.mean(gaps[number::2], axis=0), atol=1e-6)


def test_residuals_have_the_covariance_of_the_gaps(pairs: Pairs) -> None:
    residuals = (pairs.image - pairs.text).astype(np.float64)
    residuals -= residuals.mean(axis=0)
    covariance = gap_moments(sides(pairs)).covariance
    assert covariance is not None
    np.testing.assert_allclose(covariance, residuals.T @ residuals / 40, atol=1e-7)
    values, vectors = eigen(covariance)
    singular = np.linalg.svd(residuals, compute_uv=False) ** 2 / 40
    np.testing.assert_allclose(values, singular, atol=1e-7)
    for value, vector in zip(values, vectors.T, strict=True):
        np.testing.assert_allclose(covariance @ vector, value * vector, atol=1e-9)


def test_shapes_of_known_clouds() -> None:
    assert effective_dimension(np.ones(7)) == pytest.approx(7)
    assert effective_dimension(np.array([3.0, 0, 0])) == pytest.approx(1)
    assert effective_dimension(np.array([2.0, 1, 1])) == pytest.approx(16 / 6)
    assert anisotropy(np.ones(7)) == pytest.approx(1)
    assert anisotropy(np.array([2.0, 1, 0])) == pytest.approx(2)
    falling = 2.0 ** -np.arange(8)
    assert log_spectrum_correlation(falling, 5 * falling) == pytest.approx(1)
    assert log_spectrum_correlation(falling, falling[::-1]) == pytest.approx(-1)
    axes = np.eye(8)
    assert subspace_overlap(axes, axes, 3) == pytest.approx(1)
    assert subspace_overlap(axes, np.roll(axes, 3, axis=1), 3) == pytest.approx(0)
    assert subspace_overlap(axes, np.roll(axes, 2, axis=1), 3) == pytest.approx(1 / 3)
    turned = [np.linalg.qr(np.random.default_rng(seed).normal(size=(60, 60)))[0] for seed in range(40)]
    by_chance = np.mean([subspace_overlap(np.eye(60), other, 6) for other in turned])
    assert by_chance == pytest.approx(0.1, rel=0.15)


def test_recall_is_that_of_sorted_lists(pairs: Pairs) -> None:
    scores = pairs.text @ pairs.image.T
    for way, table in (("text_to_image", scores), ("image_to_text", scores.T)):
        ranks = [sorted(table[row], reverse=True).index(table[row, row]) for row in range(40)]
        found = recall(raw(pairs), gallery=100, seed=0)
        for rank in (1, 5, 10):
            assert found[f"{rank}/{way}"] == pytest.approx(np.mean([place < rank for place in ranks]))
    assert recall(raw(pairs), gallery=10, seed=0)["10/text_to_image"] == 1


def test_equal_vectors_find_each_other_by_chance() -> None:
    same = Pairs(text=np.ones((50, 3), np.float32), image=np.ones((50, 3), np.float32), domains=())
    assert recall(raw(same), gallery=50, seed=0)["5/image_to_text"] == pytest.approx(0.1)
    blind = Pairs(text=np.zeros((50, 3), np.float32), image=np.zeros((50, 3), np.float32), domains=())
    assert recall(raw(blind), gallery=50, seed=0)["1/text_to_image"] == pytest.approx(0.02)
    assert compared(raw(blind)).paired_cosine == 0


def test_a_gap_can_be_told_and_the_same_cloud_cannot() -> None:
    cloud = np.random.default_rng(1).normal(size=(2000, 4))
    assert separability(cloud, cloud + np.array([6, 0, 0, 0]), seed=0) > 0.99
    assert 0.45 < separability(cloud[:1000], cloud[1000:], seed=0) < 0.55
    few = np.random.default_rng(2).normal(size=(60, 64))  # so few that any half can be told apart by heart
    assert separability(few[:30], few[30:], seed=0) < 0.75


def test_clusters_agree_on_a_constant_gap_and_not_on_gaps_of_their_own() -> None:
    rng = np.random.default_rng(3)
    centres = unit(rng.normal(size=(8, 16)))
    truth = rng.integers(0, 8, 800)
    text = (centres[truth] + 0.02 * rng.normal(size=(800, 16))).astype(np.float32)
    of = cluster(text, 8, seed=0)
    assert len({(int(a), int(b)) for a, b in zip(of, truth, strict=True)}) == 8  # it finds them
    constant = np.ones_like(text)
    agreed = cluster_agreement(constant, of)
    assert (agreed.mean, agreed.median, agreed.above) == pytest.approx((1, 1, 1))
    own = rng.normal(size=(8, 16)).astype(np.float32)[truth]
    differ = cluster_agreement(own, of)
    exact = [cos(own[truth == name].mean(axis=0), own.mean(axis=0)) for name in range(8)]
    assert differ.mean == pytest.approx(np.mean(exact), abs=1e-5)
    assert differ.median == pytest.approx(np.median(exact), abs=1e-5)
    assert differ.above == pytest.approx(np.mean(np.array(exact) > 0.8))

    before, after = cluster_transfer(text, text + constant, of, 0.5, seed=0)
    assert after == pytest.approx(1, abs=1e-5)
    assert before < 0.5
    before, after = cluster_transfer(text, text + 3 * own, of, 0.5, seed=0)
    assert after < 0.5


def study(pairs: Pairs, transfer: Transfer | TransferSettings | None = None) -> Findings:
    analysis = GeometrySettings(drawn=20).build()
    assert isinstance(analysis, Analysis)
    return analysis.run(pairs, transfer or MeanShiftSettings())


def test_centring_closes_the_gap() -> None:
    metrics = study(make_pairs(40)).metrics
    assert metrics["gap_norm"] == pytest.approx(metrics["gap_norm/none"], rel=1e-6)
    assert metrics["gap_norm"] > 0.7
    assert metrics["gap_norm/mean_shift_unnormalised"] == pytest.approx(0, abs=1e-6)
    assert metrics["gap_norm/mean_shift"] < 0.1
    for key in ("paired_cosine", "recall_at_1/text_to_image"):
        assert metrics[f"{key}/mean_shift"] >= metrics[f"{key}/none"]
    assert metrics["separability/none"] > metrics["separability/mean_shift"]


def test_few_rows_leave_out_what_needs_more_and_say_so() -> None:
    few, many = study(make_pairs(30, dimension=40)), study(make_pairs(600, dimension=40))
    assert "Left out: spectra, which need more rows than the 40 dimensions" in few.sections[0].text
    assert "residuals' spectrum" in few.sections[0].text
    assert "500 clusters, which need 5,000 pairs" in many.sections[0].text
    left_out = {key.split("/")[0] for key in many.metrics.keys() - few.metrics.keys()}
    assert {"effective_dimension", "residual_variance", "cluster_agreement_mean", "subspace_overlap"} <= left_out
    assert len([key for key in many.metrics if key.startswith("residual_variance/")]) == 10
    assert "cluster_transfer_80_20_after/50" in many.metrics
    assert {figure.name for figure in many.sections[0].figures} == {
        *("spectra", "cosines", "residuals", "domain_gaps", "tsne_mean_shift", "pca_mean_shift")
    }


def test_a_domain_s_own_gap_is_seen() -> None:
    pairs = make_pairs(400)
    image = pairs.image.copy()
    image[1::2] = unit(pairs.text[1::2] - 3 * np.eye(6)[0])  # at night the step is the other way
    apart = study(Pairs(text=pairs.text, image=image, domains=pairs.domains)).metrics
    assert apart["domain_gap_cosine/least"] < 0 < study(pairs).metrics["domain_gap_cosine/least"]


def write(path: Path, vectors: Float[np.ndarray, "n d"]) -> Path:
    """A file of vectors in the form that its name says."""
    match path.suffix:
        case ".npy":
            np.save(path, vectors)
        case ".safetensors":
            save_file({"vectors": vectors}, path)
        case _:
            column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
            pq.write_table(pa.table({"embedding": column}), path)
    return path


def study_files(text: str | None, image: str | None, transfer: TransferSettings | None = None) -> Findings:
    study = GeometrySettings(text=text, image=image, drawn=20).build()
    assert isinstance(study, FileStudy)
    return study.findings(transfer or MeanShiftSettings())


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".parquet"])
@pytest.mark.parametrize("precision", [np.float16, np.float32])
def test_files_are_studied_without_a_run(tmp_path: Path, suffix: str, precision: type[np.floating]) -> None:
    pairs = make_pairs(200)
    text = write(tmp_path / f"t{suffix}", pairs.text.astype(precision))
    image = write(tmp_path / f"i{suffix}", pairs.image.astype(precision))
    finished = run_script(
        *(evaluate, "task=geometry", f"geometry.text={text}", f"geometry.image={image}", f"out={tmp_path}"),
        *("geometry.drawn=20", f"run={tmp_path}/none"),
    )
    assert finished.code == 0, finished.err
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    u, v = pairs.text.astype(np.float64), pairs.image.astype(np.float64)
    assert metrics["gap_norm"] == pytest.approx(np.linalg.norm(v.mean(axis=0) - u.mean(axis=0)), abs=1e-3)
    shifted = [unit(side - side.mean(axis=0)) for side in (u, v)]
    assert metrics["paired_cosine/mean_shift"] == pytest.approx(np.vecdot(*shifted).mean(), abs=2e-3)
    assert (tmp_path / "geometry" / "figures" / "pca_mean_shift.png").is_file()


def test_other_numbers_of_rows_are_no_pairs(tmp_path: Path) -> None:
    pairs = make_pairs(200)
    files = {"text": write(tmp_path / "t.npy", pairs.text), "image": write(tmp_path / "i.npy", pairs.image[:90])}
    findings = study_files(**{side: str(path) for side, path in files.items()})
    assert "all that needs pairs" in findings.sections[0].text
    assert (
        ": 90 rows of each side for the classifier. Left out: domain_mean_shift, which needs two domains; "
        in findings.sections[0].text
    )
    assert (findings.metrics["texts"], findings.metrics["images"]) == (200, 90)
    assert findings.metrics["gap_norm/mean_shift"] < 0.2 < findings.metrics["gap_norm/none"]
    assert not any(key.startswith(("paired", "recall", "energy", "cluster")) for key in findings.metrics)


def test_files_of_any_norm_are_scaled_and_found_the_same(tmp_path: Path) -> None:
    pairs = make_pairs(300)
    lengths = np.random.default_rng(0).uniform(0.5, 20, (300, 1)).astype(np.float32)
    text, image = write(tmp_path / "t.npy", pairs.text), write(tmp_path / "i.npy", pairs.image)
    long = write(tmp_path / "long.npy", pairs.text * lengths)
    plain, scaled = study_files(str(text), str(image)), study_files(str(long), str(image))
    assert plain.metrics.keys() == scaled.metrics.keys()
    for key, value in plain.metrics.items():
        assert scaled.metrics[key] == pytest.approx(value, abs=1e-3), key
    assert f"Scaled to unit norm, which they had not: {long}." in scaled.sections[0].text
    assert "Scaled" not in plain.sections[0].text


def test_the_transfer_that_is_asked_for_is_studied_as_it_is_set(tmp_path: Path) -> None:
    pairs = make_pairs(200)
    files = {"text": write(tmp_path / "t.npy", pairs.text), "image": write(tmp_path / "i.npy", pairs.image)}
    weak, strong = (
        study_files(**{side: str(path) for side, path in files.items()}, transfer=CloseSettings(scale=scale))
        for scale in (0.001, 3.0)
    )
    assert weak.metrics["paired_cosine/close"] == pytest.approx(weak.metrics["paired_cosine/none"], abs=1e-3)
    assert abs(strong.metrics["paired_cosine/close"]) < 0.2
    assert weak.metrics["paired_cosine/c3"] == strong.metrics["paired_cosine/c3"]
    assert {figure.name for figure in weak.sections[0].figures} >= {"tsne_close", "pca_close"}


def test_a_run_s_own_transfer_takes_the_place_of_one_fitted_here() -> None:
    pairs, elsewhere = make_pairs(200), Statistics.of("space", make_pairs(50, seed=9).image)
    own = study(pairs, MeanShiftSettings().fit(elsewhere, ())).metrics
    fitted = study(pairs, MeanShiftSettings()).metrics
    assert own.keys() == fitted.keys()
    assert own["gap_norm/mean_shift"] > 0.1 > fitted["gap_norm/mean_shift"]
    assert own["gap_norm/mean_shift_unnormalised"] == fitted["gap_norm/mean_shift_unnormalised"] < 1e-6
    bare = study(pairs, MeanShiftSettings(normalise=False).fit(elsewhere, ())).metrics
    assert bare["gap_norm/mean_shift"] == fitted["gap_norm/mean_shift"]
    assert bare["gap_norm/mean_shift_unnormalised"] > 0.1


DEGENERATE = {
    "text is image": (lambda p: (p.text, p.text), {"directional_consistency", "energy_ratio"}, set[str]()),
    "texts alike": (lambda p: (np.repeat(p.text[:1], 600, axis=0), p.image), set[str](), {"mean_shift", "realign"}),
    "images alike": (lambda p: (p.text, np.repeat(p.image[:1], 600, axis=0)), set[str](), {"c3", "mean_shift_noise"}),
    "both alike": (
        lambda p: (np.repeat(p.text[:1], 600, axis=0), np.repeat(p.image[:1], 600, axis=0)),
        {"residual_effective_dimension", "residual_variance/1"},
        {"domain_mean_shift"},
    ),
    "one point": (lambda p: (np.repeat(p.text[:1], 600, axis=0),) * 2, {"energy_ratio"}, {"realign"}),
    "one dimension": (
        lambda p: tuple(np.sign(side[:, 1:2]) for side in (p.text, p.image)),
        {"log_spectrum_correlation"},
        set[str](),
    ),
    "few distinct texts": (lambda p: (p.text[np.arange(600) % 2], p.image), set[str](), set[str]()),
}


@pytest.mark.parametrize("case", DEGENERATE)
def test_what_is_not_defined_is_left_out_and_said(case: str) -> None:
    change, undefined, transfers = DEGENERATE[case]
    pairs = make_pairs(600, dimension=12)
    text, image = change(pairs)
    findings = study(Pairs(text=text, image=image, domains=pairs.domains))
    said = findings.sections[0].text
    assert all(np.isfinite(value) for value in findings.metrics.values())
    assert {"gap_norm", "paired_cosine/none", "recall_at_1/text_to_image/close"} <= findings.metrics.keys()
    for key in undefined:
        assert key not in findings.metrics
        assert key in said.partition("not defined for these vectors:")[2]
    for name in transfers:
        assert f"paired_cosine/{name}" not in findings.metrics
        assert re.search(rf"{name}, which needs (texts|images) that differ", said)


def test_a_gap_goes_from_one_cluster_at_least_to_one_at_least() -> None:
    rng = np.random.default_rng(5)
    text, image = (unit(rng.normal(size=(20, 4))) for _ in range(2))
    for share in (0.1, 0.8):  # of two clusters: none, or both
        found = cluster_transfer(text, image, np.arange(20) % 2, share, seed=0)
        assert np.isfinite(found).all()
    assert np.isnan(cluster_transfer(text, image, np.zeros(20, int), 0.5, seed=0)).all()


def test_a_row_keeps_its_domain_and_noise_however_rows_are_asked_for() -> None:
    pairs = make_pairs(30)
    for settings in (DomainMeanShiftSettings(), C3Settings()):
        view = under(pairs, settings, seed=3)
        whole = view.transfer.text(pairs.text, pairs.domains, NoiseKey(seed=3, epoch=0, rows=np.arange(30)))
        np.testing.assert_array_equal(view.text(slice(7, 20)), whole[7:20])
        np.testing.assert_array_equal(view.text(np.array([2, 3, 29])), whole[[2, 3, 29]])


def test_the_larger_share_of_the_clusters_is_the_source() -> None:
    rng = np.random.default_rng(5)
    text, image = (unit(rng.normal(size=(50, 4))) for _ in range(2))
    of = np.arange(50) % 5
    found = cluster_transfer(text, image, of, 0.8, seed=0)
    one_left = list[tuple[float, float]]()
    for target in range(5):
        step = (image - text)[of != target].mean(axis=0)
        rows = [row for row in range(50) if of[row] == target]
        ends = (text, text + step)
        one_left.append(tuple(float(np.mean([cos(end[row], image[row]) for row in rows])) for end in ends))
    assert any(found == pytest.approx(one, abs=1e-5) for one in one_left)


def test_what_is_drawn_is_text_raw_and_under_the_transfer_and_images(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = dict[str, dict[str, Float[np.ndarray, "n 2"]]]()

    def record(name: str, caption: str, groups: dict[str, Float[np.ndarray, "n 2"]]) -> Figure:
        drawn[name] = groups
        return scatter(name, caption, groups)

    monkeypatch.setattr("unicorn.evaluation.geometry.drawing.scatter", record)
    pairs = make_pairs(40)
    study(pairs, MeanShiftSettings())
    rows = chosen(40, 20, 0)
    centred = [unit(side - side.mean(axis=0)) for side in (pairs.text, pairs.image)]
    stacked = np.concatenate([pairs.text[rows], centred[0][rows], centred[1][rows]]).astype(np.float64)
    _, _, directions = np.linalg.svd(stacked - stacked.mean(axis=0), full_matrices=False)
    plane = (stacked - stacked.mean(axis=0)) @ directions[:2].T
    assert [*drawn["pca_mean_shift"]] == ["text", "synthetic", "real"]
    found = np.concatenate([*drawn["pca_mean_shift"].values()])
    np.testing.assert_allclose(np.abs(found), np.abs(plane), atol=1e-4)
    assert all(len(points) == 20 for points in drawn["tsne_mean_shift"].values())


def test_a_matrix_is_mapped_and_not_read(tmp_path: Path) -> None:
    assert isinstance(read_vectors(write(tmp_path / "t.npy", make_pairs(9).text)), np.memmap)


def test_of_an_ordered_file_all_rows_are_drawn_from(tmp_path: Path) -> None:
    """The first 90 texts lie where the images do, and the other 900 do not: they can be told from images."""
    rng = np.random.default_rng(4)
    near, far = (unit(rng.normal(size=(count, 6)) * 0.1 + side) for count, side in ((180, 1.0), (900, -1.0)))
    files = {"text": write(tmp_path / "t.npy", np.concatenate([near[:90], far])), "image": tmp_path / "i.npy"}
    write(files["image"], near[90:])
    metrics = study_files(**{side: str(path) for side, path in files.items()}).metrics
    assert metrics["separability/none"] > 0.85


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_rows_for_any_geometry_are_refused(count: int) -> None:
    few = Pairs(text=make_pairs(5).text, image=make_pairs(5).image[:count], domains=())
    with pytest.raises(UserError, match=rf"too few images for a geometry: {count}, and 2 are needed at least"):
        study(few)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_pairs_are_enough_for_what_needs_no_more(count: int) -> None:
    metrics = study(make_pairs(count)).metrics
    assert {"gap_norm/none", "separability/none", "recall_at_1/text_to_image/none", "energy_ratio"} <= metrics.keys()


@pytest.mark.parametrize(("key", "value"), [("gallery", 0), ("separated", 1), ("clustered", -1), ("drawn", 1)])
def test_samples_of_too_few_rows_are_refused(key: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"geometry\.{key}={value}: a sample of \d rows at least is needed"):
        GeometrySettings(**{key: value})


def test_every_number_of_many_pairs_is_in_a_table() -> None:
    findings = study(make_pairs(600))
    cells = {cell for table in findings.sections[0].tables for row in table.rows for cell in row}
    assert {value for key, value in findings.metrics.items() if key not in ("texts", "images", "gap_norm")} <= cells


def test_geometry_under_the_real_transfer_is_on_the_sphere(pairs: Pairs) -> None:
    view = under(pairs, MeanShiftSettings())
    for vectors in (view.text(slice(0, 40)), view.image(slice(0, 40))):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"image": None}, r"geometry\.text and geometry\.image are files of two sides: name both"),
        ({"text": "none.npy"}, r"no file of vectors at none\.npy\. Name one"),
        ({"text": "t.csv"}, r"t\.csv is no file of vectors: its name should end in \.npy"),
        ({"text": "flat.npy"}, r"flat\.npy holds an array of shape \(4,\) and type float64"),
        ({"text": "torn.npy"}, r"torn\.npy holds no vectors that can be read: .*\. Write it again"),
        (
            {"text": "narrow.npy"},
            r"narrow\.npy has vectors of 3 dimensions and .*i\.npy of 6: name files of one encoder",
        ),
        ({"text": "zero.npy"}, r"zero\.npy, row 3: a vector of norm 0\.0 has no direction\. Mend the file"),
        ({"text": "huge.npy"}, r"huge\.npy, row 19: a vector of norm inf has no direction"),
        ({"text": "two.safetensors"}, r"two\.safetensors holds no vectors .*it has 2 tensors \(.*, .*\), and which"),
        ({"text": "bare.parquet"}, r"bare\.parquet holds no vectors .*: it has no column 'embedding', but id"),
        ({"text": "words.parquet"}, r"words\.parquet holds no vectors .*column 'embedding' is of string, where each"),
        ({"text": "none.parquet"}, r"none\.parquet holds no vectors .*it has no rows"),
        ({"text": "gap.parquet"}, r"gap\.parquet holds no vectors .*of different lengths, or missing"),
        ({"text": "bytes.parquet"}, r"bytes\.parquet holds no vectors that can be read: "),
        ({"text": "bytes.safetensors"}, r"bytes\.safetensors holds no vectors that can be read: "),
        ({"text": "empty.npy"}, r"empty\.npy holds no vectors that can be read: "),
        ({"text": "brain.safetensors"}, r"brain\.safetensors holds no vectors .*bfloat16.*in float16 or float32"),
        ({"text": "nan.npy"}, r"nan\.npy, row 4: a vector of norm nan has no direction"),
        (
            {"text": "ragged.parquet"},
            r"ragged\.parquet holds no vectors .*rows of 'embedding' are of different lengths",
        ),
    ],
)
def test_files_that_cannot_be_studied_are_named(
    change: dict[str, str | None], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = make_pairs(20)
    for name, vectors in (("t.npy", pairs.text), ("i.npy", pairs.image), ("narrow.npy", unit(pairs.text[:, :3]))):
        np.save(name, vectors)
    np.save("flat.npy", np.ones(4))
    np.save("zero.npy", pairs.text * (np.arange(20) != 3)[:, None])
    np.save("huge.npy", np.where(np.arange(20)[:, None] == 19, np.float32(3e38), pairs.text))
    Path("torn.npy").write_bytes(Path("t.npy").read_bytes()[:100])
    Path("t.csv").write_text("1,2")
    save_file({"a": pairs.text, "b": pairs.image}, "two.safetensors")
    pq.write_table(pa.table({"id": ["a"]}), "bare.parquet")
    pq.write_table(pa.table({"embedding": [[1.0], [1.0, 2.0]]}), "ragged.parquet")
    pq.write_table(pa.table({"embedding": ["a"]}), "words.parquet")
    pq.write_table(pa.table({"embedding": pa.array([], pa.list_(pa.float32()))}), "none.parquet")
    pq.write_table(pa.table({"embedding": [[1.0], None]}), "gap.parquet")
    Path("bytes.parquet").write_bytes(b"x" * 50)
    Path("bytes.safetensors").write_bytes(b"x" * 50)
    Path("empty.npy").touch()
    save_tensors({"a": torch.ones(20, 6, dtype=torch.bfloat16)}, "brain.safetensors")
    holed = pairs.text.copy()
    holed[4, 2] = np.nan
    np.save("nan.npy", holed)
    with pytest.raises(UserError, match=line):
        study_files(**{"text": "t.npy", "image": "i.npy"} | change)


def test_pairs_come_from_pictures_and_their_captions() -> None:
    pairs = encode_pairs(ColourBenchmark().pictures(), ColourTower(), WordTower())
    assert pairs.text.shape == pairs.image.shape == (12, 3)
    assert (pairs.text.argmax(axis=1) == pairs.image.argmax(axis=1)).all()


def test_a_picture_without_a_caption_is_named() -> None:
    pictures = [Picture(id="bare-7", image=next(iter(ColourBenchmark().pictures())).image)]
    with pytest.raises(UserError, match="picture bare-7 has no caption: an analysis of pairs needs one"):
        encode_pairs(pictures, ColourTower(), WordTower())


@pytest.mark.slow
def test_umap_is_drawn_the_same_each_time_whatever_the_rows() -> None:
    pytest.importorskip("umap")
    drawn = [GeometrySettings(methods=[Method.umap], drawn=rows, seed=1).build() for rows in (40, 40, 2)]
    figures: list[Figure] = []
    for task in drawn:
        assert isinstance(task, Analysis)
        figures += [
            each
            for each in task.run(make_pairs(60), NoTransferSettings()).sections[0].figures
            if each.name == "umap_none"
        ]
    assert figures[0].png == figures[1].png
    assert len(figures) == 3
    assert figures[0].caption.startswith("UMAP of 40 texts")


def test_a_method_that_is_not_installed_is_told_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unicorn.evaluation.geometry.drawing.find_spec", lambda _: None)
    GeometrySettings().build()
    with pytest.raises(UserError, match=r"umap is an extra, not installed: pip install 'unicorn-vlm\[umap\]'"):
        GeometrySettings(methods=[Method.pca, Method.umap]).build()
