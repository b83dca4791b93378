"""A manifest comes back as it was saved, and depends on nothing else."""

from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unicorn.dataset.manifest import Manifest, Part, PartManifest, Shard
from unicorn.errors import UserError
from unicorn.stamp import Stamp, read_sealed, unsealed, write_sealed

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
COUNTS = st.integers(0, 2**53)
STAMPS = st.builds(Stamp, bytes=COUNTS, xxh3_128=TEXT)
PLAIN = st.recursive(
    st.none() | st.booleans() | COUNTS | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
SHARDS = st.builds(Shard, rows=COUNTS, rejected=st.dictionaries(TEXT, COUNTS), upstream=st.none() | TEXT, stamp=STAMPS)
PARTS = st.builds(
    PartManifest,
    made_by=st.dictionaries(TEXT, PLAIN, max_size=3),
    packages=st.dictionaries(TEXT, TEXT, max_size=3),
    shards=st.dictionaries(st.integers(0, 99_999), SHARDS, max_size=4),
    files=st.dictionaries(TEXT, STAMPS, max_size=2),
    complete=st.booleans(),
)
MANIFESTS = st.builds(Manifest, block_size=COUNTS, parts=st.dictionaries(st.sampled_from(Part), PARTS))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifest")


@settings(deadline=None)
@given(MANIFESTS)
def test_a_manifest_comes_back(folder: Path, manifest: Manifest) -> None:
    manifest.save(folder)
    assert Manifest.load(folder) == manifest


@settings(deadline=None)
@given(manifest=MANIFESTS, data=st.data())
def test_the_order_in_which_blocks_were_finished_leaves_no_trace(
    folder: Path, manifest: Manifest, data: st.DataObject
) -> None:
    manifest.save(folder)
    content = (folder / "manifest.json").read_bytes()
    for part in manifest.parts.values():
        part.shards = dict(data.draw(st.permutations(list(part.shards.items()))))
    manifest.parts = dict(data.draw(st.permutations(list(manifest.parts.items()))))
    manifest.save(folder)
    assert (folder / "manifest.json").read_bytes() == content


@settings(deadline=None)
@given(manifest=MANIFESTS, data=st.data())
def test_a_manifest_that_says_anything_else_is_not_believed(
    folder: Path, manifest: Manifest, data: st.DataObject
) -> None:
    manifest.save(folder)
    values = orjson.loads((folder / "manifest.json").read_bytes())
    assert unsealed(orjson.dumps(values))  # other white space says nothing else
    key = data.draw(st.sampled_from(sorted(values)))
    changed = data.draw(PLAIN.filter(lambda value: orjson.dumps(value) != orjson.dumps(values[key])))
    with pytest.raises(ValueError, match="its checksum is not that of its content"):
        unsealed(orjson.dumps(values | {key: changed}))


def test_a_later_schema_is_refused(folder: Path) -> None:
    Manifest(block_size=1).save(folder)
    values = read_sealed(folder / "manifest.json", "")
    write_sealed(folder / "manifest.json", values | {"schema_version": 99})
    with pytest.raises(UserError, match="is of schema version 99, and this Unicorn reads 1"):
        Manifest.load(folder)
