"""The ledger forwarded to Debian's rsyslog, as a security office has it, over TLS."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest
from tests.controller.conftest import settings_for, start_cloud

from ringfence.controller.authority import Authority
from ringfence.controller.settings import SyslogTarget

CONFIGURATION = """
global(workDirectory="{folder}" maxMessageSize="1m" defaultNetstreamDriver="ossl"
       defaultNetstreamDriverCAFile="{ca}" defaultNetstreamDriverCertFile="{certificate}"
       defaultNetstreamDriverKeyFile="{key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{port}")
template(name="parsed" type="string" string="%pri% %app-name% %msgid% %structured-data% %msg%\\n")
action(type="ompipe" pipe="{pipe}" template="parsed")
"""
FORM = re.compile(r'(\d+) ringfence (ledger|checkpoint) (\[meta sequenceId="\d+"\]|-) ?(.*)\n')


@dataclass
class Rsyslog:
    """A running rsyslogd; `lines` gives what it took in, as it parsed it."""

    port: int
    lines: TextIO


@pytest.fixture
def rsyslog(tmp_path) -> Iterator[Rsyslog]:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    pair = Authority(tmp_path / "siem-ca").certify(folder / "siem", name="siem", addresses=["127.0.0.1"])
    ca, pipe, port, configuration = (folder / name for name in ("../siem-ca/ca.crt", "pipe", "port", "rsyslog.conf"))
    text = CONFIGURATION.format(
        folder=folder, ca=ca.resolve(), certificate=pair.certificate, key=pair.key, port=port, pipe=pipe
    )
    configuration.write_text(text)
    for path in (pipe, port):
        os.mkfifo(path)
    # Open for writing too: reads then wait for the daemon, whenever it opens its end.
    with os.fdopen(os.open(pipe, os.O_RDWR), encoding="utf-8") as lines:
        # First, whether it takes the configuration: its reasons are then told, where a daemon that ended tells nothing.
        subprocess.run(["rsyslogd", "-N1", "-f", str(configuration)], check=True)
        daemon = subprocess.Popen(["rsyslogd", "-n", "-f", str(configuration), "-i", "NONE"])
        try:
            yield Rsyslog(port=int(port.read_text()), lines=lines)
        finally:
            daemon.terminate()
            daemon.wait()


def test_rsyslog_takes_every_entry_as_it_is_and_the_checkpoint_after_it(loop, tmp_path, rsyslog):
    target = SyslogTarget(host="127.0.0.1", port=rsyslog.port, ca=tmp_path / "siem-ca" / "ca.crt")
    cloud = start_cloud(loop, settings_for(tmp_path / "data", syslog=target))
    cloud.post("/v1/zones", {"name": "red"}, expect=201)
    cloud.http.get("/v1/zones", headers={"Authorization": "Bearer wrong"})
    size = len(cloud.get("/v1/ledger/entries", limit=1000)["items"])
    taken, kind = [], ""
    while len(taken) < size or kind != "checkpoint":
        priority, kind, number, text = FORM.fullmatch(rsyslog.lines.readline()).groups()
        if kind == "ledger":
            taken.append((int(priority), number, json.loads(text)))
    exported = cloud.http.get("/v1/ledger/export").text.splitlines()
    cloud.close()
    assert [told for _, _, told in taken[:size]] == [json.loads(line) for line in exported[:size]]
    for priority, number, told in taken:
        assert number == f'[meta sequenceId="{told["index"] + 1}"]'
        assert priority == (13 * 8 + 4 if told["outcome"] == "denied" else 13 * 8 + 6)
