"""The throw-away PostgreSQL of the tests goes away with who made it, even if that was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.store.postgres import postgres_cluster

pytestmark = pytest.mark.store


def run_until_killed(told: Connection) -> None:
    with postgres_cluster() as cluster:
        told.send(cluster.folder)
        signal.pause()


def test_a_cluster_whose_maker_is_killed_leaves_no_folder_and_no_server():
    fresh = multiprocessing.get_context("spawn")
    ours, theirs = fresh.Pipe()
    maker = fresh.Process(target=run_until_killed, args=(theirs,))
    maker.start()
    folder: Path = ours.recv()
    server = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    os.kill(maker.pid, signal.SIGKILL)
    maker.join()
    deadline = time.monotonic() + 20
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
