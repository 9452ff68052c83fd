"""Forwards the ledger by syslog over TLS (RFC 5424, framed as RFC 5425 says), from where it stopped. Keeps no queue.

Syslog has no receipts, so each connection carries what is new, and is ended: what was sent counts once the receiver has
read to the end. What a broken connection carried is sent again: each entry has its index, so that a receiver can tell.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
from collections.abc import Sequence

from ringfence.controller.ledger import LedgerKeeper
from ringfence.controller.settings import SyslogTarget
from ringfence.errors import RingfenceError
from ringfence.model.ledger import Entry, Outcome
from ringfence.store import ledger
from ringfence.store.engine import Store

logger = logging.getLogger(__name__)

POSITION = "ledger-forwarded"
SENT_AT_ONCE = 200
MOST_ON_ONE = 2000
"""Entries on one connection, and so the most that are sent twice."""
GATHER_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
LONGEST_PAUSE_SECONDS = 60.0
_AUDIT_FACILITY = 13
_SEVERITIES = {Outcome.DONE: 6, Outcome.DENIED: 4}


class SyslogForwarder:
    """Sends entries as they come, in a thread. `start`, then `stop`."""

    def __init__(self, store: Store, keeper: LedgerKeeper, target: SyslogTarget) -> None:
        self._store = store
        self._keeper = keeper
        self._target = target
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._forward, name="syslog", daemon=True)

    def start(self) -> None:
        """Begin where it stopped the last time."""
        self._thread.start()

    def stop(self) -> None:
        """End within a moment; what was not taken is sent at the next start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _forward(self) -> None:
        pause_seconds = GATHER_SECONDS
        while not self._stopping.wait(pause_seconds):
            try:
                self._keeper.catch_up()
                self._send_what_is_new()
                pause_seconds = GATHER_SECONDS
            except (OSError, RingfenceError) as error:
                logger.warning("syslog to %s:%d: %s", self._target.host, self._target.port, error)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)

    def _send_what_is_new(self) -> None:
        with self._store.reading() as session:
            first, newest = ledger.position(session, POSITION), ledger.checkpoint(session)
        end = min(newest.size, first + MOST_ON_ONE)
        if first >= end:
            return
        with self._connected() as tls:
            for begin in range(first, end, SENT_AT_ONCE):
                with self._store.reading() as session:
                    bodies = ledger.bodies(session, first=begin, most=min(SENT_AT_ONCE, end - begin))
                tls.sendall(frames([message(ledger.built(begin + at, body)) for at, body in enumerate(bodies)]))
            if end == newest.size:
                # Kept by the receiver, it holds the past against whoever has this controller.
                tls.sendall(frames([checkpoint_message(newest.note)]))
            _end(tls)
        # ORDER: read over there, then counted. A crash between sends the same again.
        with self._store.transaction() as session:
            ledger.set_position(session, POSITION, end)

    def _connected(self) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self._target.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        plain = socket.create_connection((self._target.host, self._target.port), timeout=PATIENCE_SECONDS)
        try:
            return context.wrap_socket(plain, server_hostname=self._target.host)
        except BaseException:
            plain.close()
            raise


def _end(tls: ssl.SSLSocket) -> None:
    """Say that this was all, and wait for the other side to say so too; raises `OSError` if it did not read it all.

    One that ends without a word has read it as well: with anything unread, its kernel would reset the connection.
    """
    try:
        tls.unwrap()
    except ssl.SSLEOFError:
        return
    except OSError as error:
        if error.errno:
            raise


def message(entry: Entry) -> bytes:
    """Write the entry as a message: facility log audit; a denied attempt is a warning."""
    return _message(entry.at, _SEVERITIES[entry.outcome], "ledger", entry.index + 1, entry.body)


def checkpoint_message(note: str) -> bytes:
    """Write a checkpoint as a message."""
    return _message("-", _SEVERITIES[Outcome.DONE], "checkpoint", None, json.dumps({"checkpoint": note}))


def frames(messages: Sequence[bytes]) -> bytes:
    """Frame messages by their length (RFC 5425, 4.3)."""
    return b"".join(b"%d %s" % (len(each), each) for each in messages)


def _message(at: str, severity: int, kind: str, number: int | None, text: str) -> bytes:
    # RFC 5424, 7.3.1: sequenceId is up to 2^31 - 1, and begins again at 1.
    data = "-" if number is None else f'[meta sequenceId="{(number - 1) % 0x7FFFFFFF + 1}"]'
    host = socket.gethostname() or "-"
    return f"<{8 * _AUDIT_FACILITY + severity}>1 {at} {host} ringfence - {kind} {data} {text}".encode()
