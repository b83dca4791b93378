"""Real pictures, for evaluation alone: read from where they lie, decoded, or rejected by name.

source     the seam: what every source of pictures looks like
sieve      pictures as they are read: decoded and passed on, or rejected with a reason
decoding   bytes -> an RGB image, whatever the mode, the turn or the harm that they carry
folder     a folder of files, their captions in metadata.jsonl
parquet    Parquet files that hold the bytes
hub        a dataset of the Hub, or one of its kind on disk
columns    which column of a table is what
"""

from unicorn.pictures.source import Picture, Pictures, PicturesSettings, Rejection, Sifting

__all__ = ["Picture", "Pictures", "PicturesSettings", "Rejection", "Sifting"]
