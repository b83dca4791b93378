"""The figures of the geometry; text, synthetic and real have the same colours in all of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Float64

from unicorn.evaluation.geometry.paired import PairMeasures
from unicorn.evaluation.geometry.views import View, chosen
from unicorn.report.figures import Figure, heat_map, histogram, log_lines, scatter

METHODS = ("t-SNE", "PCA")


def spaces(views: Sequence[View], method: str, drawn: int, seed: int) -> Figure:
    """Raw text, text under the last of the views, and the images under it, in one plane."""
    raw, last = views[0], views[-1]
    texts, images = (chosen(len(side), drawn, seed) for side in (raw.pairs.text, raw.pairs.image))
    groups = {"text": raw.text(texts)}
    if last is not raw:
        groups["synthetic"] = last.text(texts)
    groups["real"] = last.image(images)
    stacked = np.concatenate(list(groups.values()))
    plane = _reduced(stacked, method, seed)
    edges = np.cumsum([len(group) for group in groups.values()])[:-1]
    name = last.name.replace("_", " ")
    synthetic = "" if last is raw else f"the same after {name} (synthetic: what a model is trained on), and "
    caption = f"{method} of {len(texts):,} texts, {synthetic}images (real: what it is asked about)."
    key = method.lower().replace("-", "")
    return scatter(f"{key}_{last.name}", caption, dict(zip(groups, np.split(plane, edges), strict=True)))


def _reduced(vectors: Float[np.ndarray, "n d"], method: str, seed: int) -> Float[np.ndarray, "n 2"]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if method == "PCA":
        return PCA(2, random_state=seed).fit_transform(vectors)
    return TSNE(perplexity=min(30.0, (len(vectors) - 1) / 3), random_state=seed).fit_transform(vectors)


def spectra(values: Mapping[str, Float64[np.ndarray, " d"]]) -> Figure:
    """Eigenvalues of both covariances, in order of size."""
    caption = (
        "Eigenvalues of the covariance of each side, the largest first: lines apart are clouds of different shape."
    )
    shares = {name: spectrum / spectrum.sum() for name, spectrum in values.items()}
    return log_lines("spectra", caption, shares, across="direction", up="share of the variance")


def histograms(measures: PairMeasures) -> list[Figure]:
    """Of the cosines of pairs and of gaps, and of the residuals' norms."""
    cosine = {"of the pair's vectors": measures.cosine, "of its gap and the mean gap": measures.direction}
    caption = "Cosines, pair by pair: were the gap constant, that of every gap with the mean gap would be 1."
    norms = {"residual": measures.residual_norm}
    rest = "What a constant gap leaves: the distance of each pair's gap to the mean gap."
    return [histogram("cosines", caption, cosine, across="cosine"), histogram("residuals", rest, norms, across="norm")]


def domain_matrix(names: Sequence[str], matrix: Float[np.ndarray, "n n"]) -> Figure:
    """Cosines between the domains' gaps."""
    caption = "Cosines between the gaps of domains: 1 where one shift would serve both."
    return heat_map("domain_gaps", caption, names, matrix)
