"""From a dataset to a repository of the Hub, and back from there."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from datasets import load_dataset
from huggingface_hub import DatasetCard, HfApi

from tests.dataset import example
from tests.hub.small_hub import SmallHub, serving
from unicorn import upload
from unicorn.dataset import UnicornDataset
from unicorn.dataset.card import Licence
from unicorn.dataset.push import push
from unicorn.errors import UserError
from unicorn.files import lock_folder
from unicorn.report.metrics import write_metrics
from unicorn.synthesis.report import write_report


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHub]:
    """The Hub that huggingface_hub talks to."""
    with serving() as served:
        monkeypatch.setattr(upload, "HfApi", lambda: HfApi(endpoint=served.address, token="hf_none"))
        template = served.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield served


def test_what_is_pushed_is_the_dataset_and_comes_back_whole(hub: SmallHub, folder: Path, tmp_path: Path) -> None:
    (folder / "captions" / "captions-00009.journal.jsonl").touch()
    write_metrics(folder / "report", {"captions": 1.0})
    address = push(folder, "me/things", private=True, licence=Licence(license="cc-by-4.0"))
    assert address.startswith(f"{hub.address}/me/things")
    assert (hub.made["type"], hub.made["visibility"]) == ("dataset", "private")
    left = example.contents(folder)
    del left[".lock"], left["captions/captions-00009.journal.jsonl"]
    assert hub.files["me/things"] == left
    api = HfApi(endpoint=hub.address, token="hf_none")
    back = Path(api.snapshot_download("me/things", repo_type="dataset", local_dir=tmp_path / "back"))
    assert list(UnicornDataset.open(back).captions()) == example.all_captions()
    loaded = load_dataset(str(back), "instructions", cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["caption_id"][:] == [caption.id for caption in example.all_captions()]


@pytest.mark.usefixtures("hub")
def test_the_card_says_under_what_terms_and_where(folder: Path) -> None:
    licence = Licence(license="other", license_name="llama3", license_link="LICENSE")
    push(folder, "me/things", private=False, licence=licence)
    card = DatasetCard.load(folder / "README.md")
    assert card.data.to_dict() == {
        "configs": [{"config_name": part, "data_files": f"{part}/*.parquet"} for part in ("captions", "instructions")],
        "license": "other",
        "license_name": "llama3",
        "license_link": "LICENSE",
        "size_categories": ["n<1K"],
        "tags": ["unicorn", "synthetic", "text-only-training"],
    }
    first = example.all_captions()[0]
    for said in (
        'load_dataset("me/things", "captions")',
        "| captions | 90 |",
        "| captions.prompt.version | v1 |",
        f"> {first.text.splitlines()[0]}\n> {first.text.splitlines()[1]}\n",
        "## An instruction: question answering",
        "llama3 (LICENSE). The terms of the seeds",
    ):
        assert said in card.text


def licence_of(folder: Path) -> dict[str, str]:
    told = DatasetCard.load(folder / "README.md").data.to_dict()
    return {key: value for key, value in told.items() if key.startswith("license")}


def test_a_licence_stays_until_another_is_given(hub: SmallHub, folder: Path) -> None:
    llama = Licence(license="other", license_name="llama3: community", license_link="LICENSE")
    push(folder, "me/things", private=False, licence=llama)
    push(folder, "me/things", private=False, licence=Licence())
    assert licence_of(folder) == vars(llama)
    assert hub.files["me/things"]["README.md"] == (folder / "README.md").read_bytes()
    shutil.rmtree(folder / "instructions")  # and made again
    example.write(folder)
    write_report(folder)
    assert licence_of(folder) == vars(llama)
    assert "llama3: community (LICENSE). The terms of the seeds" in (folder / "README.md").read_text()
    push(folder, "me/things", private=False, licence=Licence(license="mit"))
    assert licence_of(folder) == {"license": "mit"}


@pytest.mark.parametrize(
    ("card", "kept"),
    [
        ("---\nlicense: mit\n---\n# Mine\n", {"license": "mit"}),
        ("# Mine, without metadata\n", {}),
        ("---\nlicense: [mit\n---\n", {}),
        ("---\n# nothing\n---\n", {}),
    ],
)
def test_a_licence_that_was_written_by_hand_stays(
    folder: Path, card: str, kept: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "README.md").write_text(card)
    write_report(folder)
    assert licence_of(folder) == kept
    assert ("its metadata cannot be read" in caplog.text) == ("[mit" in card)


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("captions", [90, 89])
def test_numbers_of_an_earlier_dataset_are_not_told(folder: Path, captions: int) -> None:
    words = {f"captions/words/{key}": number for key, number in {"min": 7, "mean": 7.5, "max": 8}.items()}
    write_metrics(folder / "report", {"captions": captions, "instructions": 90, **words})
    push(folder, "me/things", private=False, licence=Licence())
    told = "have 7 to 8 words, 7.5 on average" in (folder / "README.md").read_text()
    assert told == (captions == 90)


def test_what_cannot_be_pushed_is_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9", token="hf_none"))
    with pytest.raises(
        UserError, match=r"cannot push .* to me/things: .*Connection refused.* or connect to the Hub; the folder is as"
    ):
        push(folder, "me/things", private=False, licence=Licence())
    with pytest.raises(UserError, match="no dataset at"):
        push(tmp_path / "nothing", "me/things", private=False, licence=Licence())
    lock = lock_folder(folder, "dataset")
    with pytest.raises(UserError, match="another process is writing to"):
        push(folder, "me/things", private=False, licence=Licence())
    lock.release()
