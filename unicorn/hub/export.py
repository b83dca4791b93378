"""Make a folder of a run's model that holds all it needs, with a model card, and push it to the Hub if asked.

    python -m unicorn.hub.export outputs/scenes
    python -m unicorn.hub.export outputs/scenes --towers --push ORG/NAME --license apache-2.0

`--towers` copies the image tower's checkpoint into the folder, so that the model answers where there is no Hub;
without, its name and revision are in there, and it is fetched when a picture is first asked about. A tower that lies in
a folder of this machine has to be copied to be pushed. The token is that of `hf auth login`, or HF_TOKEN.
"""

import shutil
from argparse import Namespace
from pathlib import Path

from unicorn.config import load_config
from unicorn.encoder.tower import FromCheckpoints
from unicorn.errors import UserError
from unicorn.files import cannot_write
from unicorn.hub import command_line
from unicorn.hub.card import model_card
from unicorn.hub.picture_encoder import PictureEncoder
from unicorn.hub.processor import VISION
from unicorn.hub.saved import check_model, replace_by
from unicorn.report.metrics import METRICS, read_metrics
from unicorn.report.table import facts_table, show
from unicorn.stamp import CHECKSUMS
from unicorn.upload import upload


def export(run: Path, out: Path, *, towers: bool = False, address: str | None = None, license_name: str | None) -> None:
    """Write the model of a run to `out`, a folder whole or not at all; `address` is where it will be found.

    Raises UserError if there is no finished run, `out` holds something else, or a tower cannot be fetched or written.
    """
    if not (run / "model" / CHECKSUMS).exists():
        raise UserError(f"{run} holds no model to be exported. Name the folder of a run that train.py has finished.")
    if out.exists() and not (out / CHECKSUMS).exists():
        raise UserError(f"{out} is there and is no exported model. Name another --out, or delete it.")
    check_model(run / "model")
    sees = PictureEncoder.load(run / "model" / VISION)
    evaluation = run / "evaluation"
    card = model_card(
        load_config(run / "config.yaml"),
        address=address or str(out),
        space=sees.transfer.space,
        trained=read_metrics(run),
        evaluated=read_metrics(evaluation) if (evaluation / METRICS).exists() else {},
        calibrated_on=sees.calibration.count if sees.calibration else None,
        license_name=license_name,
    )
    made = out.with_name(f"{out.name}.partial")
    shutil.rmtree(made, ignore_errors=True)
    try:
        shutil.copytree(run / "model", made)
        if towers:
            sees.copy_towers(made / VISION)
        (made / "README.md").write_text(card)
        replace_by(made, out)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def push(folder: Path, repository: str, *, private: bool) -> str:
    """Push an exported model to the Hub, as it is; returns its address.

    Raises UserError where the Hub refuses, or if the image tower would stay behind on this machine.
    """
    encoder = PictureEncoder.load(folder / VISION).encoder
    checkpoints = encoder.image_checkpoints() if isinstance(encoder, FromCheckpoints) else {}
    for checkpoint in checkpoints.values():
        if Path(checkpoint.name).expanduser().is_dir() and not Path(checkpoint.name).is_relative_to(folder):
            raise UserError(f"the image tower is {checkpoint.name}, which others do not have. Export with --towers.")
    return upload(folder, repository, repo_type="model", private=private, message="A model trained by Unicorn")


def main(arguments: Namespace) -> None:
    """Export, and push if asked."""
    out = arguments.out or arguments.run / "export"
    export(arguments.run, out, towers=arguments.towers, address=arguments.push, license_name=arguments.license)
    facts: dict[str, str | Path] = {"folder": out}
    if arguments.push:
        facts["pushed to"] = push(out, arguments.push, private=arguments.private)
    show(facts_table("Exported", facts))


if __name__ == "__main__":
    parser = command_line.parser(__doc__)
    parser.add_argument("run", type=Path, help="the folder that train.py made")
    parser.add_argument("--out", type=Path, help="where to write; export/ in the run if not given")
    parser.add_argument("--towers", action="store_true", help="copy the image tower's checkpoint, too")
    parser.add_argument("--push", metavar="ORG/NAME", help="the repository of the Hub to push to")
    parser.add_argument("--private", action="store_true", help="make that repository a private one")
    parser.add_argument("--license", help="what the card says, such as apache-2.0; the language model's binds you")
    command_line.run(main, parser.parse_args())
