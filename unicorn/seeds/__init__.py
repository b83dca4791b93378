"""Where captions begin: short texts, each of which a dense caption will grow from.

source     the seam: what every source of seeds looks like, and one that leaves seeds out
files      captions in files: JSON Lines, CSV, Parquet, plain text, COCO
hub        captions in a dataset of the Hub, or one of its kind on disk
formats    one reader for each kind of file
columns    which column of a table is what
corpus     from tables to seeds: every row checked, each id once
filter     what is no caption in a crawl of the web
language   which language a text is in
domains    labels of classes in templates
labels     labels out of text files and the features of datasets
banks      templates for each domain, out of templates/*.yaml, and a label in them
nouns      articles, plurals and names
mix        so many of each of several sources
"""

from unicorn.seeds.source import SeedSource, SeedSourceSettings, Sifting

__all__ = ["SeedSource", "SeedSourceSettings", "Sifting"]
