"""A throw-away PostgreSQL cluster for tests: its own folder, a unix socket in it, no TCP, gone with its maker."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url, text

# Ends when its standard input does: at the end of the tests, and also when they are killed, by the kernel's doing.
# SAFETY: `$1` is the folder that mkdtemp made; nothing else is removed.
_KEEPER = """
trap '' INT TERM HUP
"$2/postgres" -D "$1/data" -c listen_addresses= -c unix_socket_directories="$1" -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off -c max_connections=200 -c shared_buffers=32MB -c autovacuum=off \
    >"$1/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
kill -QUIT $server
wait $server
cd / && rm -rf -- "$1"
"""


class PostgresCluster:
    """A running cluster. `database()` makes a new database and gives its URL."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count()
        self._admin = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def database(self) -> str:
        name = f"test{next(self._numbers)}"
        with self._admin.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        return self.url(name)

    def drop(self, url: str) -> None:
        name = make_url(url).database
        with self._admin.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))

    def close(self) -> None:
        self._admin.dispose()


@contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Run a cluster of the newest PostgreSQL installed; as its own user when we are root, because it refuses root."""
    programs = _programs()
    account = _account()
    folder = Path(tempfile.mkdtemp(prefix="ringfence-pg-", dir="/tmp"))  # a socket's path is short
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    keeper = None
    try:
        initdb = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "--no-sync"]
        made = subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C"], capture_output=True, text=True, check=False, cwd="/", **who
        )
        assert made.returncode == 0, made.stderr
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", str(folder), str(programs)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            **who,
        )
        _await_ready(folder, keeper, programs)
        cluster = PostgresCluster(folder)
        yield cluster
        cluster.close()
    finally:
        if keeper is not None:
            keeper.stdin.close()
            keeper.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parent.parent.name), default=None)
    assert newest is not None, "PostgreSQL is not installed: apt-get install postgresql"
    return newest.parent


def _account() -> pwd.struct_passwd | None:
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def _await_ready(folder: Path, keeper: subprocess.Popen[bytes], programs: Path) -> None:
    # pg_isready has no way to wait; the server takes about 0.1 s.
    deadline = time.monotonic() + 30
    while subprocess.run([programs / "pg_isready", "-q", "-h", folder], check=False).returncode != 0:
        assert keeper.poll() is None, "PostgreSQL ended at once"
        assert time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.02)
