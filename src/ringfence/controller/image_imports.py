"""Imports of images from URLs: operations that the controller runs itself, in a few threads, from the start if need be.

An import changes nothing but a file and a row of the controller's own, so it needs no durable workflow: one that a
crash cut short is begun again at the next start. What is fetched, and from where, is `image_fetching`'s to refuse.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections.abc import Sequence

from ringfence.adapters.bells import Bells
from ringfence.controller.image_fetching import fetch
from ringfence.controller.image_files import ImageFiles, Kept
from ringfence.controller.problems import Bug, Stopping
from ringfence.controller.settings import Settings
from ringfence.errors import NotFound, RingfenceError
from ringfence.model.images import ImageState
from ringfence.model.names import OperationId
from ringfence.model.operations import Operation, OperationKind, OperationState, StepState
from ringfence.ports import Records
from ringfence.store import images
from ringfence.store.acting import acting
from ringfence.store.engine import Store

logger = logging.getLogger(__name__)

AT_ONCE = 2
STOP_SECONDS = 2.0


class ImageImports:
    """Runs imports. `start` may be called from any thread."""

    def __init__(self, store: Store, records: Records, files: ImageFiles, bells: Bells, settings: Settings) -> None:
        self._store = store
        self._records = records
        self._files = files
        self._bells = bells
        self._settings = settings
        self._waiting: queue.SimpleQueue[OperationId | None] = queue.SimpleQueue()
        # Daemons: a source that is silent must not keep a process that was told to stop.
        self._threads = [
            threading.Thread(target=self._work, name=f"image-import-{number}", daemon=True) for number in range(AT_ONCE)
        ]

    def launch(self, unfinished: Sequence[Operation]) -> None:
        """Begin to work, first at what an earlier process did not end."""
        for thread in self._threads:
            thread.start()
        for operation in unfinished:
            if operation.kind is OperationKind.IMPORT_IMAGE:
                self.start(operation.id)

    def start(self, operation_id: OperationId) -> None:
        """Run the import in the background."""
        self._waiting.put(operation_id)

    def stop(self) -> None:
        """End; what is under way is begun again at the next start. The bells must have stopped before."""
        for _ in self._threads:
            self._waiting.put(None)
        ends = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))

    def _work(self) -> None:
        while (operation_id := self._waiting.get()) is not None and not self._bells.stopped:
            try:
                operation = self._records.operation(operation_id)
                with acting(operation.actor):
                    self._import(operation)
            except Exception:
                logger.exception("the import %s broke off", operation_id)

    def _import(self, operation: Operation) -> None:
        if operation.state.ended:
            return
        self._records.operation_became(operation.id, OperationState.RUNNING)
        self._records.step_began(operation.id, 1, "fetch")
        try:
            kept = self._fetch(operation)
        except RingfenceError as error:
            self._end_badly(operation, error)
            return
        except Exception:
            incident = secrets.token_hex(4)
            logger.exception("incident %s: importing %s", incident, operation.subject_name)
            self._end_badly(operation, Bug(incident=incident))
            return
        detail = f"{kept.file_bytes} bytes, digest as asked, {kept.inspected.format}"
        self._records.step_ended(operation.id, 1, StepState.DONE, detail)
        result = {
            "format": kept.inspected.format.value,
            "file_bytes": kept.file_bytes,
            "virtual_bytes": kept.inspected.virtual_bytes,
        }
        self._records.operation_became(operation.id, OperationState.DONE, result=result)

    def _fetch(self, operation: Operation) -> Kept:
        wanted = str(operation.asked["digest"])
        with self._files.receive() as incoming:
            fetch(
                str(operation.asked["source"]),
                incoming.write,
                timeout_seconds=self._settings.import_seconds,
                bytes_limit=self._settings.image_bytes_limit,
                inside=self._settings.import_from_loopback,
                stopping=lambda: self._bells.stopped,
            )
            if self._bells.stopped:
                raise Stopping
            with self._files.lock:
                kept = incoming.keep(wanted)
                # ORDER: file, then row. A crash between leaves a file that the next import writes again.
                with self._store.transaction() as session:
                    images.change_image(
                        session,
                        operation.subject_id,
                        state=ImageState.READY,
                        format=kept.inspected.format,
                        file_bytes=kept.file_bytes,
                        virtual_bytes=kept.inspected.virtual_bytes,
                    )
        return kept

    def _end_badly(self, operation: Operation, error: RingfenceError) -> None:
        if self._bells.stopped:
            # It was this controller that gave up, not the source: the next start tries again.
            return
        self._records.step_ended(operation.id, 1, StepState.FAILED, error.message)
        # ORDER: the row goes first. A crash between leaves an import without its image, which ends as not found.
        try:
            with self._store.transaction() as session:
                images.remove_image(session, operation.subject_id)
        except NotFound:
            pass
        self._records.operation_became(operation.id, OperationState.FAILED, error=error.record())
