"""The modality gap, measured: how captions lie to pictures, and what each transfer does about it.

views      two sets of vectors as a transfer leaves them, a few rows at a time
transfers  the transfers that two sets of vectors allow
moments    what follows from means and covariances alone: gap, energy, spectra, domains
paired     what is said pair by pair, and retrieval
sampled    what is fitted to a sample: separability, clusters
drawing    the figures
analysis   the task, on pictures and their captions
files      the same on files of vectors
"""

from unicorn.evaluation.geometry.analysis import GeometrySettings

__all__ = ["GeometrySettings"]
