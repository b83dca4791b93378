"""What a crawl of the web holds that is no caption of a picture, and is dropped."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from unicorn.errors import UserError
from unicorn.seeds.language import Language


@dataclass(kw_only=True)
class FilterSettings:
    """What a caption has to be, where captions come from the web; off unless `enabled`."""

    enabled: bool = False
    words_min: int = 3
    words_max: int = 100
    letters_min: float = 0.6
    """The least share of letters among all that is no space."""
    language: str | None = "en"
    """The code of the language; null: any."""
    boilerplate: bool = True
    """Whether addresses, file names, repetition and the phrases of web pages and picture agencies are dropped."""
    duplicates: bool = True
    """Whether of texts that differ in case, accents and punctuation alone, one is kept."""

    def __post_init__(self) -> None:
        if self.words_min < 1:
            raise UserError(f"seeds.filter.words_min={self.words_min}: a seed has 1 word or more.")
        if self.words_min > self.words_max:
            raise UserError("seeds.filter.words_min is larger than seeds.filter.words_max. Mend one of them.")
        if not 0 <= self.letters_min <= 1:
            raise UserError(f"seeds.filter.letters_min={self.letters_min} is a share: it must be from 0 to 1.")

    def build(self) -> "Filter | None":
        """The filter, if it is on. Raises UserError if the language is not known."""
        return Filter(self) if self.enabled else None


class DropReason(StrEnum):
    """Why a text is dropped."""

    TOO_SHORT = "too few words"
    TOO_LONG = "too many words"
    FEW_LETTERS = "too few letters"
    ADDRESS = "an address of the web"
    FILE_NAME = "a file name"
    REPETITION = "repetition"
    BOILERPLATE = "boilerplate"
    LANGUAGE = "another language"
    DUPLICATE = "a duplicate"


# All of them read a text in lower case.
_ADDRESS = re.compile(r"https?:|\bwww\.|\w\.(?:com|net|org|co\.uk|info|io)\b|\S@\w+\.\w")
_FILE_NAME = re.compile(
    r"\S\.(?:jpe?g|png|gif|webp|bmp|tiff?|svg|pdf|mp4|mov|avi|psd|heic|html?|php|docx?)\b"
    r"|\b(?:img|dscn?|dscf|pxl|mvi|dji|gopr|screenshot|image|photo|picture)[_-]?\d{3}"
)
_REPEATED_LETTER = re.compile(r"([^\d\s])\1{3}")
_PHRASES = (
    # cookies and consent
    r"cookies? (?:polic|notice|settings|preferences|consent)",
    r"(?:use|uses|using|accept|allow|reject|enable|essential) (?:all |our |these |of )?cookies",
    r"privacy policy",
    r"terms (?:of (?:use|service)|and conditions|& conditions)",
    # what a page asks of its reader
    r"click (?:here|to|on|for|image|the)",
    r"(?:read|learn|see|show|view|find out|load) more\b",
    r"(?:view|see) (?:larger|full[- ]size|details|gallery|all)",
    r"(?:sign|log) ?(?:up|in) (?:to|for|with|now)",
    r"subscribe",
    r"newsletter",
    r"follow us",
    r"share (?:on|this)",
    r"tweet this",
    r"pin it",
    r"leave a (?:comment|reply)",
    r"skip to (?:main )?content",
    r"back to top",
    r"next page|previous page|page \d+ of \d+",
    r"(?:enable|requires?) javascript",
    r"please (?:wait|enable|try again)",
    r"loading\.\.\.",
    # shops
    r"add to (?:cart|bag|basket|wish ?list)",
    r"(?:buy|shop|order|book) (?:now|online|today)",
    r"free (?:shipping|delivery|download)",
    r"(?:in|out of) stock\b",
    r"best price",
    r"download (?:now|free|this|the)",
    # rights, and picture agencies
    r"all rights reserved",
    r"copyright",
    r"stock (?:photo|image|picture|illustration|vector|footage|video|photography)",
    r"royalty[- ]free",
    r"(?:shutter|i)stock|getty images|dreamstime|depositphotos|123rf|alamy|adobe stock|fotolia|bigstock|freepik",
    r"watermark",
    # what stands where a picture is missing
    r"(?:image|photo|picture) (?:not (?:available|found)|unavailable|coming soon|may contain|result for|\d+ of \d+)",
    r"no (?:image|photo|picture)(?: available)?$",
    r"placeholder",
    r"lorem ipsum",
    r"untitled",
)
_BOILERPLATE = re.compile(rf"\b(?:{'|'.join(_PHRASES)})|\xa9|% off\b")
_WORD = re.compile(r"\w+")


class Filter:
    """Says what is wrong with a text, and which texts are one."""

    def __init__(self, settings: FilterSettings) -> None:
        self.settings = settings
        self._language = Language(settings.language) if settings.language else None

    def reason(self, text: str) -> DropReason | None:
        """Why a text is dropped, the cheapest reason first; None if it is kept."""
        settings = self.settings
        words = text.split()
        if len(words) < settings.words_min:
            return DropReason.TOO_SHORT
        if len(words) > settings.words_max:
            return DropReason.TOO_LONG
        if sum(map(str.isalpha, text)) < settings.letters_min * sum(map(len, words)):
            return DropReason.FEW_LETTERS
        if settings.boilerplate and (reason := self._boilerplate(text.lower())):
            return reason
        if self._language and self._language.is_other(text):
            return DropReason.LANGUAGE
        return None

    def _boilerplate(self, text: str) -> DropReason | None:
        """What of the web's own there is in a text in lower case."""
        if _ADDRESS.search(text):
            return DropReason.ADDRESS
        if _FILE_NAME.search(text):
            return DropReason.FILE_NAME
        words = self.key(text).split()
        thrice = any(a == b == c for a, b, c in zip(words, words[1:], words[2:], strict=False))
        if thrice or _REPEATED_LETTER.search(text):
            return DropReason.REPETITION
        return DropReason.BOILERPLATE if _BOILERPLATE.search(text) else None

    @staticmethod
    def key(text: str) -> str:
        """The words of a text without case, accents and punctuation: texts of one key are duplicates."""
        plain = text.casefold()
        if not plain.isascii():
            plain = "".join(each for each in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(each))
        return " ".join(_WORD.findall(plain))
