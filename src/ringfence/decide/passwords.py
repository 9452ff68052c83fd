"""Whether a new password is fit: long enough, and not one that guessers try first (NIST SP 800-63B, 3.1.1).

No rules of composition: they make passwords worse. The password comes as numbers, its UTF-8 bytes, and stays so: what
is made of it here are numbers too, because a piece of text would be a copy that nobody can wipe.
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST_CHARACTERS = 12
LEAST_OWN_CHARACTERS = 6
"""So many must not belong to something that every guesser tries."""
_LEAST_RUN = 3
_WORDS = (  # noqa: SIM905 - they read best as words
    "password passwort passwd passw0rd p@ssw0rd p@ssword pa55word secret geheim hemmelig motdepasse parola senha "
    "qwertyuiop qwertzuiop azertyuiop qwerty qwertz azerty asdfghjkl asdfgh zxcvbnm yxcvbnm 1q2w3e4r5t "
    "1qaz2wsx3edc 1qaz 2wsx q1w2e3r4 letmein welcome willkommen iloveyou changeme trustno1 superman batman "
    "football baseball dragon monkey master shadow sunshine princess starwars whatever hello login administrator "
    "admin root user guest test demo default ringfence cloud server system network company correct horse battery "
    "staple january february march april june july august september october november december spring summer "
    "autumn winter monday tuesday wednesday thursday friday saturday sunday abc123 "
).split()


def refusal_of(password: bytes | memoryview, scratch: bytearray | memoryview, *, names: Sequence[str] = ()) -> str:
    """Tell why this password is not taken, "" if it is. `scratch` is as long, and is overwritten; wipe both.

    `names` are words it must not lean on: the account's name, the address it is reached under.
    """
    length = sum(1 for byte in password if byte & 0xC0 != 0x80)
    if length < LEAST_CHARACTERS:
        return f"it has {length} characters, and {LEAST_CHARACTERS} are the least"
    if len(set(password)) < LEAST_OWN_CHARACTERS - 1:
        return "it repeats very few characters"
    for index, byte in enumerate(password):
        scratch[index] = byte | 0x20 if 0x41 <= byte <= 0x5A else byte
    own = bytearray(b"\x01" * len(password))
    for word in (*_WORDS, *(name.lower() for name in names)):
        if len(word) >= _LEAST_RUN:
            _disown(scratch, word.encode(), own)
    _disown_runs(scratch, own)
    own_characters = sum(1 for index, byte in enumerate(password) if own[index] and byte & 0xC0 != 0x80)
    if own_characters < LEAST_OWN_CHARACTERS:
        return "it is made of words, names and rows of characters that are tried first"
    return ""


def _disown(text: bytearray | memoryview, word: bytes, own: bytearray) -> None:
    """Mark every place where the word stands."""
    for start in range(len(own) - len(word) + 1):
        if all(text[start + offset] == byte for offset, byte in enumerate(word)):
            own[start : start + len(word)] = bytes(len(word))


def _disown_runs(text: bytearray | memoryview, own: bytearray) -> None:
    """Mark rows such as `aaaa`, `4567` and `dcba`, years, and digits and signs at the end."""
    for start in range(len(own) - _LEAST_RUN + 1):
        step = text[start + 1] - text[start]
        if step in (-1, 0, 1) and text[start + 2] - text[start + 1] == step:
            own[start : start + _LEAST_RUN] = bytes(_LEAST_RUN)
    for start in range(len(own) - 3):
        first, second = text[start], text[start + 1]
        if (first, second) in ((0x31, 0x39), (0x32, 0x30)) and all(0x30 <= text[start + n] <= 0x39 for n in (2, 3)):
            own[start : start + 4] = bytes(4)
