"""The dataset card: what `datasets`, the Hub and a person read first."""

from pathlib import Path

from unicorn.dataset.manifest import Manifest, Part
from unicorn.files import replacing

CARD = """\
---
configs:
{configs}---
# Captions and instructions for training without images

{table}
Made by [Unicorn](https://arxiv.org/abs/2503.22655) from text alone. `manifest.json` says what made each part,
and holds the checksum of every file; `rejects/` holds what was turned away, with the reason. An instruction
points at its caption by `caption_id`; row i of the embeddings is the vector of row i of the captions.

    datasets.load_dataset("FOLDER", "captions")          # or "instructions"
    datasets.Dataset.from_file("FOLDER/embeddings/embeddings-00000.arrow")
"""
CONFIG = """\
- config_name: {part}
  data_files: {part}/*.parquet
"""


def save_card(folder: Path, manifest: Manifest) -> None:
    """Write `README.md`, with one `datasets` config for each finished part that is Parquet."""
    complete = [part for part in Part if part in manifest.parts and manifest.parts[part].complete]
    rows = "".join(f"| {part} | {manifest.parts[part].rows:,} |\n" for part in complete)
    card = CARD.format(
        configs="".join(CONFIG.format(part=part) for part in complete if part is not Part.EMBEDDINGS),
        table=f"| part | rows |\n|---|---:|\n{rows}",
    )
    with replacing(folder / "README.md") as path:
        path.write_text(card)
