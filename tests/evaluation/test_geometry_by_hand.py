"""Every key of the geometry's metrics.json against its definition, in float64 and one row at a time."""

import json
from itertools import combinations
from math import log, sqrt
from pathlib import Path

import numpy as np
import pytest

from evaluate import evaluate
from tests.conftest import run_script
from unicorn.evaluation.geometry import GeometrySettings
from unicorn.evaluation.geometry.sampled import cluster
from unicorn.evaluation.task import Analysis, Pairs
from unicorn.transfer.geometry import gaussian
from unicorn.transfer.mean_shift import MeanShiftSettings
from unicorn.transfer.transfer import NoiseKey

COUNT, DIMENSION, SEED = 620, 14, 3
GALLERY, SEPARATED, CLUSTERED = 150, 200, 600
Vectors = np.ndarray  # of float64


def length(x: Vectors) -> float:
    return sqrt(float(x @ x))


def n(x: Vectors) -> Vectors:
    return x / length(x)


def cos(x: Vectors, y: Vectors) -> float:
    return float(x @ y) / length(x) / length(y)


def mean(rows: Vectors) -> Vectors:
    return sum(rows) / len(rows)


def spread(rows: Vectors) -> float:
    centre = mean(rows)
    return float(np.mean([length(row - centre) ** 2 for row in rows]))


def draw(count: int, most: int) -> Vectors:
    return np.sort(np.random.default_rng(SEED).permutation(count)[:most])


@pytest.fixture(scope="module")
def world() -> Pairs:
    """Two domains whose gaps differ, clouds of different shapes, and noise pair by pair."""
    rng = np.random.default_rng(7)
    stretch = np.linspace(1.5, 0.2, DIMENSION)
    text = rng.normal(size=(COUNT, DIMENSION)) * stretch + 0.4
    night = (np.arange(COUNT) % 3 == 0)[:, np.newaxis]
    step = 1.5 * np.eye(DIMENSION)[0] + night * np.eye(DIMENSION)[1]
    image = text * stretch[::-1] + step + 0.4 * rng.normal(size=(COUNT, DIMENSION))
    rows = [np.array([n(row) for row in side]).astype(np.float32) for side in (text, image)]
    return Pairs(text=rows[0], image=rows[1], domains=[("day", "night")[int(is_night)] for is_night in night[:, 0]])


def under_each(u: Vectors, v: Vectors, domains: list[str]) -> dict[str, tuple[Vectors, Vectors]]:
    """Both sides as each transfer has them, from the formulas of the papers."""
    mu, mv = mean(u), mean(v)
    noise = gaussian(NoiseKey(seed=SEED, epoch=0, rows=np.arange(len(u))), DIMENSION).astype(np.float64)
    shifted, centred = u - mu, v - mv
    unit_shifted, unit_centred = (np.array([n(row) for row in side]) for side in (shifted, centred))
    anchored = np.array([n(mv + sqrt(spread(v) / spread(u)) * row) for row in shifted])
    middle = mean(anchored)
    sides = {
        "none": (u, v),
        "mean_shift": (unit_shifted, unit_centred),
        "mean_shift_unnormalised": (shifted, centred),
        "c3": (np.array([n(row + sqrt(0.016) * e) for row, e in zip(shifted, noise, strict=True)]), unit_centred),
        "close": (np.array([n(row + 0.08 * e) for row, e in zip(u, noise, strict=True)]), v),
        "mean_shift_noise": (
            np.array([n(row + 0.04 * e) for row, e in zip(unit_shifted, noise, strict=True)]),
            unit_centred,
        ),
        "realign": (np.array([n(row - middle + mv) for row in anchored]), v),
    }
    if domains:
        names = np.array(domains)
        text_means = {name: mean(u[names == name]) for name in set(domains)}
        image_means = [mean(v[names == name]) for name in set(domains)]
        nearest = [min(image_means, key=lambda centre: length(row - centre)) for row in v]
        sides["domain_mean_shift"] = (
            np.array([n(row - text_means[name]) for row, name in zip(u, domains, strict=True)]),
            np.array([n(row - centre) for row, centre in zip(v, nearest, strict=True)]),
        )
    return sides


def told_apart(text: Vectors, image: Vectors) -> float:
    from sklearn.linear_model import LogisticRegression

    order = np.random.default_rng(SEED).permutation(len(text))
    half = len(text) // 2
    labels = [0] * half + [1] * half
    seen = np.concatenate([text[order[:half]], image[order[:half]]])
    model = LogisticRegression(max_iter=1000).fit(seen, labels)
    answers = [
        model.predict(row[np.newaxis])[0] == side for side in (0, 1) for row in (text, image)[side][order[half:]]
    ]
    return float(np.mean(answers))


def place(query: Vectors, own: int, gallery: Vectors) -> int:
    cosines = gallery @ query / np.linalg.norm(gallery, axis=1)
    return int(sum(value > cosines[own] for value in cosines))


def spectrum(rows: Vectors) -> tuple[Vectors, Vectors]:
    _, singular, directions = np.linalg.svd(rows - mean(rows), full_matrices=False)
    return singular**2 / len(rows), directions.T


def by_hand(u: Vectors, v: Vectors, domains: list[str]) -> dict[str, float]:
    found: dict[str, float] = {"texts": len(u), "images": len(v)}
    gaps = np.array([image - text for text, image in zip(u, v, strict=True)])
    g = mean(gaps)
    for name, (text, image) in under_each(u, v, domains).items():
        found[f"gap_norm/{name}"] = length(mean(image) - mean(text))
        found[f"paired_cosine/{name}"] = float(np.mean([cos(*pair) for pair in zip(text, image, strict=True)]))
        rows = draw(COUNT, SEPARATED)
        found[f"separability/{name}"] = told_apart(text[rows], image[rows])
        rows = draw(COUNT, GALLERY)
        for way, queries, gallery in (("text_to_image", text, image), ("image_to_text", image, text)):
            places = [place(queries[row], own, gallery[rows]) for own, row in enumerate(rows)]
            for rank in (1, 5, 10):
                found[f"recall_at_{rank}/{way}/{name}"] = float(np.mean([at < rank for at in places]))
    found["gap_norm"] = found["gap_norm/none"]
    spectra = {"text": spectrum(u), "image": spectrum(v)}
    for side, (values, _) in spectra.items():
        found[f"effective_dimension/{side}"] = sum(values) ** 2 / sum(values**2)
        found[f"anisotropy/{side}"] = max(values) / (sum(values) / DIMENSION)
    logs = [np.array([log(value) for value in values]) for values, _ in spectra.values()]
    found["log_spectrum_correlation"] = cos(*(each - each.mean() for each in logs))
    first = [directions[:, :10] for _, directions in spectra.values()]
    found["subspace_overlap/10"] = sum(float(a @ b) ** 2 for a in first[0].T for b in first[1].T) / 10
    found["subspace_overlap_by_chance/10"] = 10 / DIMENSION
    found["directional_consistency"] = float(np.mean([cos(gap, g) for gap in gaps]))
    found["energy_ratio"] = length(g) ** 2 / float(np.mean([length(gap) ** 2 for gap in gaps]))
    found["residual_norm"] = float(np.mean([length(gap - g) for gap in gaps]))
    values, _ = spectrum(gaps)
    found["residual_effective_dimension"] = sum(values) ** 2 / sum(values**2)
    found["residual_anisotropy"] = max(values) / (sum(values) / DIMENSION)
    found |= {f"residual_variance/{rank + 1}": values[rank] / sum(values) for rank in range(10)}
    rows = draw(COUNT, CLUSTERED)
    of = cluster(u[rows].astype(np.float32), 50, SEED)
    text, image, gap = u[rows], v[rows], gaps[rows]
    names = sorted(set(of.tolist()))
    agreement = [cos(mean(gap[of == name]), mean(gap)) for name in names]
    found["cluster_agreement_mean/50"] = float(np.mean(agreement))
    found["cluster_agreement_median/50"] = float(np.median(agreement))
    found["cluster_agreement_above_0.8/50"] = float(np.mean([value > 0.8 for value in agreement]))
    order = np.random.default_rng(SEED).permutation(names).tolist()
    for split, share in (("50_50", 0.5), ("80_20", 0.8)):
        sources = order[: round(share * len(names))]
        source = [row for row in range(len(rows)) if of[row] in sources]
        target = [row for row in range(len(rows)) if of[row] not in sources]
        step = mean(gap[source])
        for when, moved in (("before", 0 * step), ("after", step)):
            cosines = [cos(text[row] + moved, image[row]) for row in target]
            found[f"cluster_transfer_{split}_{when}/50"] = float(np.mean(cosines))
    if domains:
        kinds = [mean(gaps[np.array(domains) == name]) for name in sorted(set(domains))]
        cosines = [cos(*two) for two in combinations(kinds, 2)]
        found |= {"domain_gap_cosine/mean": float(np.mean(cosines)), "domain_gap_cosine/least": min(cosines)}
    return found


def check(found: dict[str, float], exact: dict[str, float]) -> None:
    assert found.keys() == exact.keys()
    one_row = 1 / GALLERY  # in a sample, two cosines closer than float32 can tell may change places
    for key, value in exact.items():
        within = one_row if key.startswith(("recall", "separability")) else 2e-5 * max(1, abs(value))
        assert found[key] == pytest.approx(value, abs=within), key


def test_every_number_of_pictures_is_that_of_its_definition(world: Pairs) -> None:
    settings = GeometrySettings(seed=SEED, gallery=GALLERY, separated=SEPARATED, clustered=CLUSTERED, methods=[])
    analysis = settings.build()
    assert isinstance(analysis, Analysis)
    found = analysis.run(world, MeanShiftSettings()).metrics
    exact = by_hand(world.text.astype(float), world.image.astype(float), list(world.domains))
    check(found, exact)
    assert exact["cluster_transfer_50_50_after/50"] > exact["cluster_transfer_50_50_before/50"] + 0.05
    assert abs(exact["cluster_transfer_80_20_after/50"] - exact["cluster_transfer_50_50_after/50"]) > 1e-4
    assert abs(exact["anisotropy/text"] - exact["anisotropy/image"]) > 0.1


def test_every_number_of_files_is_that_of_its_definition(world: Pairs, tmp_path: Path) -> None:
    for name in ("text", "image"):
        np.save(tmp_path / f"{name}.npy", getattr(world, name))
    finished = run_script(
        *(evaluate, "task=geometry", f"geometry.text={tmp_path}/text.npy", f"geometry.image={tmp_path}/image.npy"),
        *(f"out={tmp_path}/out", f"geometry.seed={SEED}", f"geometry.gallery={GALLERY}", "geometry.methods=[pca]"),
        *(f"geometry.separated={SEPARATED}", f"geometry.clustered={CLUSTERED}"),
    )
    assert finished.code == 0, finished.err
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    check(found, by_hand(world.text.astype(float), world.image.astype(float), []))
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Sampled by the seed 3, as is the noise of c3, close, mean_shift_noise" in report
    assert "Left out: domain_mean_shift, which needs two domains" in report
