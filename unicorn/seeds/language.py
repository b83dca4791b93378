"""Which language a text is in, told by py3langid, which no other module knows."""

import re
from functools import cache
from typing import TYPE_CHECKING

from unicorn.errors import UserError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

# Those in which most captions on the web are. Among fewer languages a short text is told better.
_COMMON = (
    *("ar", "cs", "da", "de", "el", "en", "es", "fi", "fr", "he", "hi", "hu", "id", "it", "ja", "ko", "nl", "no", "pl"),
    *("pt", "ro", "ru", "sv", "th", "tr", "uk", "vi", "zh"),
)
# By a word like these a text in Latin letters is English for certain, at a hundredth of the cost.
_ENGLISH = re.compile(
    r"\b(?:the|and|with|from|this|that|his|her|their|are|which|through|during|behind|near|next|woman|people|young|beautiful"
    r"|wearing|standing|sitting|holding|playing|background|view)\b",
    re.IGNORECASE,
)
_LATIN = re.compile(r"[\0-\u024f\u2000-\u20ff]*")
# Less likely than this, a text is in another language: short captions of names alone are left as they are.
_LEAST = 0.02


class Language:
    """Tells texts of one language from others."""

    def __init__(self, code: str) -> None:
        """Raises UserError if the language, a code such as en, is not known."""
        self._identifier = _identifier(code)
        self._code = code

    def is_other(self, text: str) -> bool:
        """Whether a text is, almost certainly, in another language."""
        if self._code == "en" and _ENGLISH.search(text) and _LATIN.fullmatch(text):
            return False
        return dict(self._identifier.rank(text))[self._code] < _LEAST


@cache
def _identifier(code: str) -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if code not in (known := identifier.labels):
        raise UserError(
            f"seeds.filter.language={code} is not known. Choose from {', '.join(sorted(known))}, or null for any."
        )
    identifier.set_languages({code, *_COMMON})
    return identifier
