"""Tokens that were drawn, not named: hex, ULIDs, base 32, 36, 58, 62 and 64.

A word that someone chose has few changes between letters and digits and is made of pieces that
can be spoken; a drawn one changes its kind of character every two or three places. Nothing is
learnt: the same name always gives the same label.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

from spanmill.series.names.known_words import KNOWN, LONGEST_KNOWN, is_known

HASH: Final = "{hash}"

_RUN: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^\W_]+(?:[-_+]+[^\W_]+)*")
_SEPARATORS: Final = re.compile(r"([-_+]+)")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_PIECE: Final = re.compile(r"[0-9]+|[A-Z]+[a-z]*|[a-z]+")
_SPOKEN: Final = re.compile(
    r"[AEIOUY][a-z]{2,}|[A-Z]?(?=[b-df-hj-np-tv-xz]*[aeiouy])[a-z]{2,}"
    r"|HTTPS?|URL|URI|API|SQL|XML|JSON|HTML|DNS|TCP|UDP|TLS|AWS|GCP|CPU|GPU|UTF|DTO|SDK|CSV|PDF"
)
_CHOSEN: Final = re.compile(r"(?=[A-Z]?[^aeiouy]{0,3}[aeiouy])[a-z]{2,}|[A-Z][a-z]{3,}|v\d{1,2}")
_DIGITS: Final = re.compile(r"[0-9]+")
_VOWELS: Final = re.compile(r"[aeiouAEIOU]")
_LOWER_RUN: Final = re.compile(r"[a-z]+")
_PREFIXED_HEX: Final = re.compile(r"(?<![0-9A-Za-z])0[xX][0-9A-Fa-f]{3,}(?![0-9A-Za-z])")
_TEMPORARY: Final = re.compile(
    r"(?<![0-9A-Za-z])(tmp\.?)(?=[a-z]*[0-9_A-Z])[0-9A-Za-z_]{6,10}(?!\w)"
)
_TOKEN: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?")
# Names of Kubernetes pods: `rand.String` draws from these 27 characters, no vowel among them.
_POD: Final = re.compile(
    r"-(?:\d{8,10}|(?=[a-z]*[0-9])[bcdfghjklmnpqrstvwxz2456789]{6,7}|[bcdfghjklmnpqrstvwxz2456789]{8,10})"
    r"-[bcdfghjklmnpqrstvwxz2456789]{5}(?![0-9A-Za-z-])"
)
_POD_SUFFIX: Final = re.compile(r"[bcdfghjklmnpqrstvwxz2456789]{5}")
_PADDED: Final = re.compile(
    r"(?<![0-9A-Za-z+])(?:[0-9A-Za-z+]{2,}==|(?=[A-Za-z]*[0-9+])[0-9A-Za-z+]{7,}=)"
    r"(?=[\s/&,;.)]|\Z)"
)
_SHORT_HASH = 7  # characters of an abbreviated commit, the shortest hexadecimal id
_LONG = 20
_LETTERS_ONLY_WORD = 4


def fold_hashes(name: str) -> str:
    """Each drawn token becomes `{hash}`, with what belongs to it beside - and _."""
    # Looking for a mark is far cheaper than a pattern that begins with a look behind.
    if "eyJ" in name:
        name = _TOKEN.sub("{token}", name)
    if "0x" in name or "0X" in name:
        name = _PREFIXED_HEX.sub(HASH, name)
    if "tmp" in name:
        name = _TEMPORARY.sub(rf"\1{HASH}", name)
    if "-" in name:
        name = _POD.sub(f"-{HASH}", name)
    if "=" in name:
        name = _PADDED.sub(HASH, name)
    return _RUN.sub(_fold_run, name)


def is_hash(word: str, *, whole: bool = False) -> bool:
    """Whether letters and digits were drawn; `whole` where nothing else stands beside them.

    What fills a path segment or stands after a colon is more likely an id than a word of a name.
    """
    if len(word) < 6 or not word.isascii() or word.isdigit():
        return False
    if not any(map(str.isdigit, word)):
        return len(word) >= _LONG and _are_random_letters(word)
    if _HEX.fullmatch(word) and _is_drawn_hex(word):
        return True
    rest = KNOWN.sub("", word) if len(word) <= LONGEST_KNOWN else word
    if len(rest) < 6 or not any(map(str.isdigit, rest)):
        return False
    if rest.islower() or rest.isupper():
        return _is_drawn_single(rest.lower(), whole=whole)
    return _is_drawn_mixed(rest)


def _is_drawn_hex(word: str) -> bool:
    numbers = _DIGITS.findall(word)
    digits = sum(map(len, numbers))
    if len(word) >= 16:
        return True
    return len(word) >= _SHORT_HASH and digits >= 2 and len(numbers) >= 2 and not is_known(word)


def _is_drawn_mixed(word: str) -> bool:
    """For words of digits, capital and small letters."""
    length = len(word)
    mean = length / len(_PIECE.findall(word))
    spoken = _spoken(word)
    if length >= _LONG:
        return spoken < 0.7 and mean < 4
    if length >= 12:
        return spoken < 0.6 and mean < 3.5
    if length >= 8:
        return spoken < 0.45 and mean <= 2.7
    return spoken == 0 and mean <= 1.75


def _is_drawn_single(word: str, *, whole: bool) -> bool:
    """For words of digits and letters of one case, given in small letters."""
    length, numbers, spoken = len(word), len(_DIGITS.findall(word)), _spoken(word)
    mean = length / len(_PIECE.findall(word))
    if length >= 8 and spoken == 0:
        return True
    if length < _SHORT_HASH or numbers < 2:
        return (numbers > 2 and spoken == 0) or (whole and length >= 8 and spoken < 0.4)
    if length >= _LONG:
        return spoken < 0.75 or mean <= 5
    if whole:
        return spoken < 0.7 or mean <= 3.5
    if length >= 12:
        return spoken < 0.6 or (numbers > 2 and mean <= 4)
    return spoken < (0.6 if length >= 8 else 0.3)


def _spoken(word: str) -> float:
    """The share of a word that is pieces with a vowel, as those of chosen words are."""
    return sum(map(len, _SPOKEN.findall(word))) / len(word)


def _are_random_letters(word: str) -> bool:
    """Whether capital and small letters alternate as they do in no camel-cased name."""
    runs = _LOWER_RUN.findall(word)
    if len(runs) < 4:
        return False
    short = sum(map(len, runs)) / len(runs) < 2.4
    return short and len(_VOWELS.findall(word)) / len(word) < 0.3


def _fold_run(found: re.Match[str]) -> str:
    run = found.group()
    if len(run) < 6 or run[0] == "%":
        return run
    if len(run) < _LONG and run.isalpha():
        return run
    words = _SEPARATORS.split(run)
    whole = len(words) == 1 and _is_alone(found)
    if whole and _is_key(words[0]):
        return HASH
    drawn = [is_hash(word, whole=whole) for word in words[::2]]
    groups = [_is_hex_group(word) for word in words[::2]]
    for index, (left, right) in enumerate(pairwise(groups)):
        if left and right:
            drawn[index] = drawn[index + 1] = True
    if not any(drawn):
        return HASH if _is_drawn_with_separators(words[::2]) else run
    for index, word in enumerate(words[::2]):
        if not drawn[index] and _belongs(word, index, drawn):
            drawn[index] = True
    if len(run) >= _LONG and not (run.islower() or run.isupper()):
        _spread(words[::2], drawn)
    return _joined(words, drawn)


def _joined(words: list[str], drawn: list[bool]) -> str:
    """The words with each stretch of drawn ones as one placeholder."""
    joined: list[str] = []
    for index, word in enumerate(words[::2]):
        continues = index > 0 and drawn[index] and drawn[index - 1]
        if continues:
            continue
        if index > 0:
            joined.append(words[2 * index - 1])
        joined.append(HASH if drawn[index] else word)
    return "".join(joined)


def _belongs(word: str, index: int, drawn: list[bool]) -> bool:
    """Whether a short word beside a drawn one is a part of it, as in base64 with - and _."""
    after = index > 0 and drawn[index - 1]
    before = index + 1 < len(drawn) and drawn[index + 1]
    if not (after or before):
        return False
    if after and _POD_SUFFIX.fullmatch(word) and word not in {"https", "grpcs"}:
        return True
    if word.isdigit() or (is_known(word) and any(map(str.isdigit, word))):
        return False
    mixed = any(map(str.isdigit, word)) and not word.isdigit()
    return mixed or (len(word) <= 3 and any(map(str.isupper, word[1:])))


def _spread(words: list[str], drawn: list[bool]) -> None:
    """Take in what stands between the chosen words at both ends, where it looks like base64url."""
    unchosen = [index for index, word in enumerate(words) if not _CHOSEN.fullmatch(word)]
    within = slice(unchosen[0], unchosen[-1] + 1)
    if _spoken("".join(words[within])) < 0.5:
        drawn[within] = [True] * (unchosen[-1] + 1 - unchosen[0])


def _is_hex_group(word: str) -> bool:
    """Whether a word may be one of several of an id such as `9f2c-4b1d`."""
    if len(word) < 4 or word.isdigit() or word.isalpha():
        return False
    return _HEX.fullmatch(word) is not None and not is_known(word)


def _is_drawn_with_separators(words: list[str]) -> bool:
    joined = "".join(words)
    if len(joined) < 16 or joined.islower() or joined.isupper():
        return False
    if any(len(word) >= _LETTERS_ONLY_WORD and word.isalpha() for word in words):
        return False
    return is_hash(joined)


def _is_alone(found: re.Match[str]) -> bool:
    """Whether a run fills a path segment, or a part of a key, and does not begin the name."""
    name, begin, end = found.string, found.start(), found.end()
    return begin > 0 and name[begin - 1] in "/:=@" and (end == len(name) or name[end] in "/:?&;, ")


def _is_key(word: str) -> bool:
    """Whether a path segment is capital letters and digits, as ids are and routes are not."""
    return (
        len(word) >= 8
        and word.isascii()
        and word.isupper()
        and any(map(str.isdigit, word))
        and not is_known(word)
    )
