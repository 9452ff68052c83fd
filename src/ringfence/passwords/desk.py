"""What each question to the password process means. A secret is wiped as the question on it ends, however it ends."""

from __future__ import annotations

import os
import sys
from typing import assert_never

from ringfence.decide.passwords import refusal_of
from ringfence.passwords import sodium
from ringfence.passwords.memory import LockedMemory
from ringfence.passwords.messages import (
    SECRET_BYTES,
    Answer,
    AnyQuestion,
    Digested,
    DigestOf,
    Hashed,
    Judged,
    Key,
    MakeHash,
    MakeSecret,
    PrintSecret,
    Refused,
    TellKey,
    Unfit,
    Verify,
)
from ringfence.passwords.sodium import BoxShut, BoxUsed, SealingKey


class Desk:
    """Answers questions. Threads share it, each with memory of its own."""

    def __init__(self, key: SealingKey, memory: LockedMemory) -> None:
        self._key = key
        with memory.wiped_after():
            # What a password is compared with where there is none: it takes as long, and nobody knows its password.
            self._nobody = sodium.hash_of(memory, sodium.make_secret(memory))

    def answer(self, question: AnyQuestion, memory: LockedMemory) -> Answer:
        """Answer one question."""
        with memory.wiped_after():
            try:
                return self._answer(question, memory)
            except BoxShut:
                return Refused(why=Refused.SHUT)
            except BoxUsed:
                return Refused(why=Refused.USED)

    def _answer(self, question: AnyQuestion, memory: LockedMemory) -> Answer:
        match question:
            case TellKey():
                return Key(key_id=self._key.key_id, public_key=self._key.public_key)
            case MakeSecret():
                length = sodium.make_secret(memory)
                sealed = sodium.seal(question.recipient, memory, length)
                return Digested(sha256=sodium.digest_of(memory, length), sealed=sealed)
            case PrintSecret():
                return _print(question, memory)
            case Verify() | MakeHash() | DigestOf():
                if question.key_id != self._key.key_id:
                    return Refused(why=Refused.KEY)
                length = self._key.open_into(memory, question.box)
                return self._judge(question, memory, length)
            case _:
                assert_never(question)

    def _judge(self, question: Verify | MakeHash | DigestOf, memory: LockedMemory, length: int) -> Answer:
        match question:
            case Verify():
                right = sodium.is_hash_of(question.stored or self._nobody, memory, length) and bool(question.stored)
                outdated = right and sodium.is_outdated(question.stored)
                return Judged(right=right, fresh=sodium.hash_of(memory, length) if outdated else "")
            case MakeHash():
                scratch = memory.view[SECRET_BYTES : SECRET_BYTES + length]
                why = refusal_of(memory.view[:length], scratch, names=question.names)
                return Unfit(why=why) if why else Hashed(stored=sodium.hash_of(memory, length))
            case DigestOf():
                return Digested(sha256=sodium.digest_of(memory, length))


def _print(question: PrintSecret, memory: LockedMemory) -> Answer:
    length = sodium.make_secret(memory)
    # Written from where it lies; a file object would buffer a copy.
    os.writev(sys.stdout.fileno(), [question.before.encode(), memory.view[:length], question.after.encode()])
    return Digested(sha256=sodium.digest_of(memory, length))
