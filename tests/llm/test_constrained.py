"""Whatever is chosen of the tokens that are allowed, in the end there is JSON that follows the schema."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from transformers import AutoTokenizer

from tests.llm import tiny_chat
from unicorn.llm.constrained import Schemas
from unicorn.records import Task
from unicorn.synthesis.parsing import pairs_schema
from unicorn.synthesis.settings import SynthesisSettings

STRINGS = st.builds(
    lambda least, more: {"type": "string", "minLength": least, "maxLength": least + more},
    st.integers(0, 3),
    st.integers(0, 8),
)
LEAVES = STRINGS | st.sampled_from([{"enum": ["A", "B", 3]}, {"type": "boolean"}, {"type": "null"}])
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1, max_size=5)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.dictionaries(NAMES, inner, max_size=3).map(
            lambda fields: {
                "type": "object",
                "properties": fields,
                "required": list(fields),
                "additionalProperties": False,
            }
        )
        | st.builds(
            lambda items, least: {"type": "array", "items": items, "minItems": least, "maxItems": least + 2},
            inner,
            st.integers(0, 2),
        )
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(tiny_chat.save(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def schemas(tokenizer: Any) -> Schemas:
    return Schemas(tokenizer, [tokenizer.eos_token_id])


def write(schemas: Schemas, tokenizer: Any, schema: dict[str, Any], chance: random.Random) -> Any:
    """A value that is written at random."""
    answer, tokens = schemas.answer(schema), list[int]()
    while not answer.ended:
        allowed = np.flatnonzero(answer.allowed(len(tokenizer) + 5)).tolist()
        assert allowed
        token = chance.choice(allowed)
        answer.write(token)
        tokens.append(token)
    assert not answer.error
    assert tokens[-1] == tokenizer.eos_token_id
    return json.loads(tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


@settings(max_examples=25, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 10**6))
def test_it_follows_any_schema(schemas: Schemas, tokenizer: Any, schema: dict[str, Any], seed: int) -> None:
    Draft202012Validator(schema).validate(write(schemas, tokenizer, schema, random.Random(seed)))


@pytest.mark.parametrize("task", Task)
def test_it_follows_the_schemas_of_stage_2(schemas: Schemas, tokenizer: Any, task: Task) -> None:
    schema = pairs_schema(task, SynthesisSettings(pairs_min=1, pairs_max=2))
    Draft202012Validator(schema).validate(write(schemas, tokenizer, schema, random.Random(0)))


def test_a_schema_that_no_value_follows_is_told(schemas: Schemas) -> None:
    with pytest.raises(ValueError, match="minLength"):
        schemas.answer({"type": "string", "minLength": 5, "maxLength": 2})
