"""Ask a trained model about pictures, from the command line.

    python -m unicorn.hub.ask outputs/scenes/model picture.png "What colour is the ball?"

The model is a folder or a name on the Hub. Several pictures are asked about together, in one prompt.
"""

from argparse import Namespace
from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from unicorn.device import choose_device
from unicorn.errors import UserError, in_a_line
from unicorn.hub import command_line


def ask(arguments: Namespace) -> None:
    """Print the answer. Raises UserError if model or pictures cannot be read."""
    device = choose_device(arguments.device)
    if missing := next((picture for picture in arguments.pictures if not Path(picture).is_file()), None):
        raise UserError(f"no picture at {missing}. Name a file.")
    try:
        processor = cast("Any", AutoProcessor.from_pretrained(arguments.model))
        model = cast("Any", AutoModelForImageTextToText.from_pretrained(arguments.model)).to(device)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot load the model {arguments.model}: {in_a_line(error)}. Name a run's folder model/, an "
            "exported one, or one on the Hub."
        ) from error
    inputs = processor(images=arguments.pictures, text=arguments.question).to(device)
    with torch.inference_mode():
        said = model.generate(**inputs, max_new_tokens=arguments.max_new_tokens, do_sample=False)
    print(processor.decode(said[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())


if __name__ == "__main__":
    parser = command_line.parser(__doc__)
    parser.add_argument("model", help="a folder, or a name on the Hub")
    parser.add_argument("pictures", nargs="+", metavar="picture", help="a file")
    parser.add_argument("question")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--device", default="auto", help="auto: the accelerator if there is one")
    command_line.run(ask, parser.parse_args())
