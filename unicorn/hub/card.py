"""The model card: what the Hub, a search and a person read first."""

import re
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import ModelCardData

from unicorn.config import KIND, Config, plain
from unicorn.files import PACKAGE
from unicorn.report.table import markdown_table

CARD = """\
---
{metadata}
---
# {name}

A vision-language model that was trained without a single image: *Unicorn: Text-Only Data Synthesis for Vision Language
Model Training* ([arXiv 2503.22655](https://arxiv.org/abs/2503.22655)). Captions were encoded by a text tower, moved to
where pictures lie in the space that it shares with an image tower, and given to the language model as if they were
pictures. Real pictures enter when it is asked.

```python
from transformers import AutoModelForImageTextToText, AutoProcessor
import unicorn.hub  # pip install unicorn-vlm; tells transformers of this kind of model

model = AutoModelForImageTextToText.from_pretrained("{address}")
processor = AutoProcessor.from_pretrained("{address}")
inputs = processor(images="picture.png", text="What is in the picture?")  # a path, a PIL image, or several
answer = model.generate(**inputs, max_new_tokens=64)[0, inputs.input_ids.shape[1] :]
print(processor.decode(answer, skip_special_tokens=True))
```

## What it is made of
{parts}
## How it was trained
{recipe}
## How well it answers
{scores}
## Limits
- It reads a picture as one vector: text in pictures (OCR), counting and fine detail are weak.
- Its training rests on a gap between text and images that is taken for constant. It is not, over domains above all.
- A mean of image vectors is subtracted that was taken over other pictures ({calibration}). Pictures that differ from
  those in style or content are answered worse; calibrate it on some of your own.
- It knows what its captions told of, with the faults of the language model that wrote them and of its own.
"""


def model_card(
    config: Config,
    *,
    address: str,
    space: str,
    trained: Mapping[str, float],
    evaluated: Mapping[str, float],
    calibrated_on: int | None,
    license_name: str | None = None,
) -> str:
    """The card of a run: `config` and numbers are its own, `calibrated_on` is the pictures that its mean is over.

    `address` is what from_pretrained takes. Folders are told by their last name alone.
    """
    base, on_hub = _language_model(config.model.language_model)
    metadata = ModelCardData(
        base_model=base if on_hub else None,
        library_name="transformers",
        pipeline_tag="image-text-to-text",
        license=license_name,
        tags=["unicorn", "vision-language-model", "text-only-training"],
    )
    parts = {
        "language model": base,
        "encoder": space,
        "transfer": _named(plain(config.transfer)[KIND]),
        "visual tokens": f"{config.model.visual_tokens}, {config.model.visual_mode}",
    }
    recipe: dict[str, str | float] = {"dataset": Path(config.dataset).name, "seed": config.seed}
    for stage in ("align", "tune"):
        if f"{stage}/steps" in trained:
            settings = plain(getattr(config, stage))
            recipe[stage] = _named(settings.pop(KIND))
            recipe |= {f"{stage} {key.replace('_', ' ')}": value for key, value in settings.items()}
    recipe |= {key.replace("/", " "): number for key, number in trained.items() if key.endswith(("samples", "loss"))}
    return CARD.format(
        metadata=metadata.to_yaml(),
        name=config.name,
        address=address,
        parts=_table(parts),
        recipe=_table(recipe),
        scores=_scores(evaluated),
        calibration=f"{calibrated_on:,} of them"
        if calibrated_on
        else "none yet: it has to be calibrated, or needs none",
    )


def _language_model(name: str) -> tuple[str, bool]:
    """What to call it, and whether the Hub knows it by that."""
    if name.startswith(PACKAGE):
        return name, False
    return (Path(name).name, False) if Path(name).expanduser().is_dir() else (name, True)


def _named(kind: str) -> str:
    """What a settings class of that import path makes."""
    return kind.rpartition(".")[2].removesuffix("Settings")


def _scores(evaluated: Mapping[str, float]) -> str:
    """Each accuracy beside the best that was answered without the picture."""
    found = [match for key in evaluated if (match := re.fullmatch(r"(.*/|)accuracy(/.*|)", key))]
    if not found:
        return "It has not been evaluated.\n"
    blind = [evaluated.get(f"{match[1]}baseline/blind{match[2]}") for match in found]
    rows = [
        [match[0], f"{evaluated[match[0]]:.3f}", "" if without is None else f"{without:.3f}"]
        for match, without in zip(found, blind, strict=True)
    ]
    return markdown_table(["", "score", "without the picture"], rows)


def _table(facts: Mapping[str, str | float]) -> str:
    rows = [[key, f"{value:g}" if isinstance(value, float) else value] for key, value in facts.items()]
    return markdown_table(["", ""], rows)
