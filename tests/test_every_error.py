"""Every message that a user can be given for a mistake is expected, in its own words, by some test.

Where the code makes a UserError, calls a function that makes one of what it is told, or makes the text for one, its
literal words are found by `ast`. Of each such place a test must expect a piece (`match=`, an assertion, a parameter of
a test) that says more of it than of any other place. It is the words that are looked for: whether the test
comes to that very line is not seen.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CODE = [
    *sorted((ROOT / "unicorn").rglob("*.py")),
    *(ROOT / f"{name}.py" for name in ("synthesize", "train", "evaluate")),
]
TESTS = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__)]
RUN = 10  # letters in a row by which a message is told,
ENOUGH = 3  # and how many such runs it takes, unless the message has fewer


def words(node: ast.AST) -> list[str]:
    """The literal pieces of text in an expression, each in one line as a user sees it."""
    texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return [" ".join(text.split()) for text in texts]


def trees(paths: list[Path]) -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text()) for path in paths}


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def makers(code: dict[Path, ast.Module]) -> set[str]:
    """UserError, the functions that return one, and the one by which a script ends with a line."""
    functions = [node for tree in code.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {"UserError", "_exit"} | {
        node.name for node in functions if node.returns and ast.unparse(node.returns) == "UserError"
    }


def texts(code: dict[Path, ast.Module], made_by: set[str]) -> Iterator[tuple[Path, ast.AST]]:
    """What makes the text of a message: the calls, and what the functions return that are called for the text alone."""
    calls = [
        (path, node)
        for path, tree in code.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name_of(node) in made_by
    ]
    tellers = {name_of(told) for _, call in calls for told in call.args if isinstance(told, ast.Call)}
    yield from calls
    for path, tree in code.items():
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and function.name in tellers:
                yield from ((path, node) for node in ast.walk(function) if isinstance(node, ast.Return))


def places() -> dict[str, list[str]]:
    """The words of each place at which a message is made. One that adds none of its own is covered by what it calls."""
    code = trees(CODE)
    found: dict[str, list[str]] = {}
    for path, node in texts(code, makers(code)):
        own = [piece for piece in words(node) if len(piece) >= RUN]
        if own:
            found[f"{path.relative_to(ROOT)}:{node.lineno}"] = own
    return found


def expected() -> set[str]:
    """The literal pieces of what tests expect of a text, out of `match=`, assertions and parameters."""
    pieces: set[str] = set()
    for tree in trees(TESTS).values():
        for node in ast.walk(tree):
            if isinstance(node, (ast.Assert, ast.keyword)) or (
                isinstance(node, ast.Call) and name_of(node) in ("parametrize", "param")
            ):
                if isinstance(node, ast.keyword) and node.arg != "match":
                    continue
                for text in words(node):
                    pieces.update([text, *literal(text)])
    return {piece for piece in pieces if len(piece) >= RUN}


def literal(pattern: str) -> Iterator[str]:
    """The pieces of a regular expression that stand for themselves."""
    for piece in re.split(r"\\[dwsSbBntr]\+?|(?<!\\)(?:\.[*+]\??|\[[^]]*\][+*]?|[()|^$])", pattern):
        yield " ".join(re.sub(r"\\(.)", r"\1", piece).split())


def runs(text: str) -> set[str]:
    """All that is to be read in a text through a window of a fixed width."""
    return {text[start : start + RUN] for start in range(len(text) - RUN + 1)}


PLACES = {place: set[str]().union(*map(runs, message)) for place, message in places().items()}
EXPECTED = [runs(piece) for piece in expected()]


@pytest.mark.parametrize("place", PLACES)
def test_a_message_is_expected_by_some_test(place: str) -> None:
    message = PLACES[place]
    others = [other for other in PLACES.values() if other != message]
    enough = min(ENOUGH, len(message))
    said = [piece for piece in EXPECTED if len(piece & message) >= enough]
    assert any(len(piece & message) > max(len(piece & other) for other in others) for piece in said), (
        f"no test expects the words of {place}, and more of them than of those of another place"
    )


def test_the_search_finds_what_there_is() -> None:
    assert len(PLACES) > 60
    assert {"UserError", "damaged", "cannot_write", "_refusal", "bad"} <= makers(trees(CODE))
    assert list(literal(r"row \d+ of .*, is not finite\.")) == ["row", "of", ", is not finite."]
