"""Push a dataset to the Hub, as it is, with a card that says what is in it and what made it.

    python -m unicorn.dataset.push data/unicorn ORG/NAME --license cc-by-4.0 --private
    python -m unicorn.dataset.push data/unicorn ORG/NAME --license other --license-name llama3 --license-link URL

Whoever has the name then reads it by `datasets.load_dataset("ORG/NAME", "captions")`, or downloads the folder and
trains on it. The card is `README.md` of the dataset's folder; the licence in it stays until another is given. The token
is that of `hf auth login`, or HF_TOKEN.
"""

from argparse import Namespace
from pathlib import Path

from unicorn import command_line
from unicorn.dataset.card import CARD_NAME, REPORT, Licence, describe, save_card
from unicorn.dataset.manifest import Part
from unicorn.dataset.texts import Texts
from unicorn.files import lock_folder
from unicorn.report.table import facts_table, show
from unicorn.upload import upload

WHAT_IS_PUSHED = (CARD_NAME, "manifest.json", "rejects/*", f"{REPORT}/*", *(f"{part}/*" for part in Part))
WHAT_IS_NOT = ("*.journal.jsonl", "*.partial")


def push(folder: Path, repository: str, *, private: bool, licence: Licence) -> str:
    """Write the card and push the dataset; returns its address.

    Raises UserError if there are no finished captions, a file is not as it was written, another process is writing to
    the folder, or the Hub refuses.
    """
    texts = Texts.open(folder)
    lock = lock_folder(folder, "dataset")
    try:
        save_card(folder, texts.manifest, describe(texts, address=repository, licence=licence))
        return upload(
            folder,
            repository,
            repo_type="dataset",
            private=private,
            message="A dataset made by Unicorn",
            allow_patterns=WHAT_IS_PUSHED,
            ignore_patterns=WHAT_IS_NOT,
        )
    finally:
        lock.release()


def main(arguments: Namespace) -> None:
    """Push, and say where it is."""
    licence = Licence(
        license=arguments.license, license_name=arguments.license_name, license_link=arguments.license_link
    )
    address = push(arguments.dataset, arguments.repository, private=arguments.private, licence=licence)
    show(facts_table("Pushed", {"dataset": arguments.dataset, "to": address}))


if __name__ == "__main__":
    parser = command_line.parser(__doc__)
    parser.add_argument("dataset", type=Path, help="the dataset's folder")
    parser.add_argument("repository", metavar="ORG/NAME", help="the repository of the Hub; made if need be")
    parser.add_argument("--private", action="store_true", help="make that repository a private one")
    parser.add_argument("--license", help="what the card says, such as cc-by-4.0 (as before)")
    parser.add_argument("--license-name", help="with --license other: its name")
    parser.add_argument("--license-link", help="with --license other: where it can be read")
    command_line.run(main, parser.parse_args())
