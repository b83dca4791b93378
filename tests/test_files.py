"""A file is there whole, or as it was before."""

from pathlib import Path

import pytest

import unicorn.files
from unicorn.errors import UserError
from unicorn.files import make_folder, replacing


def test_a_file_appears_with_its_folder_when_the_block_ends(tmp_path: Path):
    path = tmp_path / "new" / "file"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert [*path.parent.iterdir()] == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path, error: type[BaseException]):
    path = tmp_path / "file"
    path.write_text("before")

    def fail_halfway() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail_halfway()
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_a_full_device_is_one_line_that_names_the_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("before")
    (tmp_path / "file.partial").symlink_to("/dev/full")
    with (
        pytest.raises(UserError, match=rf"^cannot write {path}: No space left on device\."),
        replacing(path) as full,
    ):
        full.write_text("more")
    assert path.read_text() == "before"
    assert [*tmp_path.iterdir()] == [path]


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path, synced = tmp_path / "file", list[tuple[str, bool]]()
    monkeypatch.setattr(unicorn.files, "sync", lambda waited: synced.append((waited.name, path.exists())))
    with replacing(path) as temporary:
        temporary.write_text("whole")
    assert synced == [("file.partial", False), (tmp_path.name, True)]


def test_a_file_where_a_folder_should_be_is_one_line_that_names_it(tmp_path: Path):
    (tmp_path / "file").write_text("before")

    def write_below() -> None:
        with replacing(tmp_path / "file" / "below" / "name"):
            pass

    with pytest.raises(UserError, match=rf"^cannot write {tmp_path}/file/below: Not a directory\. Choose"):
        write_below()


def test_the_names_of_new_folders_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced = list[Path]()
    monkeypatch.setattr(unicorn.files, "sync", synced.append)
    make_folder(tmp_path / "a" / "b")
    assert set(synced) == {tmp_path, tmp_path / "a"}
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 2
