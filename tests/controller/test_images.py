"""Images get in whole, checked and told apart, or not at all."""

from __future__ import annotations

import functools
import hashlib
import http.server
import socket
import stat
import threading
import time
from collections.abc import Iterator

import pytest
from tests.controller.conftest import settings_for, start_cloud

from ringfence.controller import image_files

pytestmark = pytest.mark.store

MIB = 1 << 20
DISK = b"disk" + bytes(3 * MIB - 4)


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def fetch(cloud, source: str, *, digest: str = "", expect: int = 202) -> dict:
    body = {"name": "debian", "digest": digest or digest_of(DISK), "source": source}
    return cloud.post("/v1/images", body, expect=expect)


def kept(cloud) -> list[str]:
    return sorted(path.name for path in cloud.controller.settings.images.iterdir())


def test_an_upload_is_kept_under_its_digest_and_told_by_content(cloud_on_both) -> None:
    cloud = cloud_on_both
    image = cloud.upload("debian", DISK, digest_of(DISK))
    assert (image["state"], image["format"], image["file_bytes"], image["virtual_bytes"]) == (
        "ready",
        "raw",
        3 * MIB,
        3 * MIB,
    )
    assert image["source"] == "upload"
    assert kept(cloud) == [digest_of(DISK)[7:]]
    assert stat.S_IMODE(cloud.controller.settings.images.stat().st_mode) == 0o700
    assert cloud.upload("debian", DISK, digest_of(DISK), expect=200)["id"] == image["id"]
    assert cloud.upload("debian", b"", digest_of(b""), expect=409)["code"] == "name-taken"
    assert cloud.upload("again", DISK, digest_of(DISK).upper().replace("SHA256", "sha256"))["digest"] == image["digest"]
    cloud.delete("/v1/images/debian", expect=204)
    assert kept(cloud) == [digest_of(DISK)[7:]]
    cloud.delete("/v1/images/again", expect=204)
    assert kept(cloud) == []


def test_what_is_refused_leaves_nothing(cloud) -> None:
    assert cloud.upload("a", DISK, digest_of(b"other"), expect=422)["code"] == "wrong-digest"
    assert (
        cloud.upload("a", b"QFI\xfb" + bytes(1020), digest_of(b"QFI\xfb" + bytes(1020)), expect=422)["code"]
        == "image-refused"
    )
    assert cloud.upload("a", DISK, "md5:0", expect=422)["code"] == "invalid"
    assert cloud.upload("A", DISK, digest_of(DISK), expect=422)["code"] == "invalid"
    assert kept(cloud) == []
    assert cloud.get("/v1/images")["items"] == []


def test_an_image_larger_than_allowed_is_refused_told_or_not(loop, tmp_path) -> None:
    cloud = start_cloud(loop, settings_for(tmp_path / "data", image_bytes_limit=2 * MIB))
    try:
        assert cloud.upload("a", DISK, digest_of(DISK), expect=413)["code"] == "too-large"
        pieces = (DISK[at : at + 65536] for at in range(0, len(DISK), 65536))
        told = cloud.http.put("/v1/images/a/file", params={"digest": digest_of(DISK)}, content=pieces)
        assert (told.status_code, told.json()["code"]) == (413, "too-large")
        assert kept(cloud) == []
    finally:
        cloud.close()


def test_a_full_disk_is_told_and_leaves_nothing(cloud, monkeypatch) -> None:
    def full(_self, _chunk):
        with image_files._full_disk_told():
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_files.Incoming, "write", full)
    told = cloud.upload("a", DISK, digest_of(DISK), expect=507)
    assert (told["code"], told["family"]) == ("controller-full", "refused")
    monkeypatch.undo()
    monkeypatch.setattr(image_files, "SPARE_BYTES", 1 << 60)
    assert cloud.upload("a", DISK, digest_of(DISK), expect=507)["code"] == "controller-full"
    assert kept(cloud) == []


def test_an_upload_that_breaks_off_leaves_nothing(cloud) -> None:
    address = cloud.controller.api_address
    head = (
        f"PUT /v1/images/a/file?digest={digest_of(DISK)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cloud.token}\r\n"
    )
    with socket.create_connection((address.host, address.port)) as broken:
        broken.sendall(f"{head}Content-Length: {len(DISK)}\r\n\r\n".encode() + DISK[:MIB])
        _until(lambda: len(kept(cloud)) == 1)
    _until(lambda: kept(cloud) == [])
    assert cloud.get("/v1/images")["items"] == []


def test_what_an_earlier_controller_left_half_is_swept_away(loop, tmp_path) -> None:
    first = start_cloud(loop, settings_for(tmp_path / "data"))
    first.upload("debian", DISK, digest_of(DISK))
    first.close()
    (tmp_path / "data" / "images" / ".incoming-0123").write_bytes(b"half")
    (tmp_path / "data" / "images" / ("0" * 64)).write_bytes(b"of no image")
    second = start_cloud(loop, settings_for(tmp_path / "data"), token=first.token)
    try:
        assert kept(second) == [digest_of(DISK)[7:]]
    finally:
        second.close()


released, asked = threading.Event(), threading.Event()


@pytest.fixture
def site(tmp_path) -> Iterator[str]:
    """A web site with a disk on it, redirects, and a page that is slow until `released`."""
    released.clear()
    asked.clear()

    class Pages(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            moved = {"/moved": "/disk.raw", "/loop": "/loop", "/inside": "file:///etc/shadow"}.get(self.path)
            if moved is not None:
                self.send_response(302)
                self.send_header("Location", moved)
                self.end_headers()
            elif self.path == "/slow" and not released.is_set():
                asked.set()
                released.wait(60)
                self.close_connection = True
            elif self.path == "/slow":
                self.path = "/disk.raw"
                super().do_GET()
            elif self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", str(len(DISK)))
                self.end_headers()
                self.wfile.write(DISK[:1000])
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            return

    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "disk.raw").write_bytes(DISK)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Pages, directory=tmp_path / "site"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_image_is_fetched_by_an_operation(cloud, site) -> None:
    asked = cloud.post(
        "/v1/images", {"name": "debian", "digest": digest_of(DISK), "source": f"{site}/moved"}, expect=202
    )
    assert (asked["state"], asked["format"]) == ("importing", None)
    ended = cloud.end_of(asked["operation"])
    assert (ended["state"], ended["result"]["format"]) == ("done", "raw"), ended
    image = cloud.get("/v1/images/debian")
    assert (image["state"], image["file_bytes"], image["source"]) == ("ready", 3 * MIB, f"{site}/moved")
    assert kept(cloud) == [digest_of(DISK)[7:]]


@pytest.mark.parametrize(
    ("path", "digest", "code"),
    [
        ("/disk.raw", digest_of(b"other"), "wrong-digest"),
        ("/none", digest_of(DISK), "source-unreachable"),
        ("/short", digest_of(DISK), "source-unreachable"),
        ("/loop", digest_of(DISK), "source-refused"),
        ("/inside", digest_of(DISK), "source-refused"),
    ],
)
def test_an_import_that_fails_says_why_and_leaves_nothing(cloud, site, path, digest, code) -> None:
    asked = fetch(cloud, f"{site}{path}", digest=digest)
    ended = cloud.end_of(asked["operation"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", code)
    assert kept(cloud) == []
    assert cloud.get("/v1/images")["items"] == []


def test_an_import_cut_short_by_a_stop_is_done_after_the_next_start(loop, tmp_path, site) -> None:
    first = start_cloud(loop, settings_for(tmp_path / "data"))
    operation = fetch(first, f"{site}/slow")["operation"]
    assert asked.wait(20)
    began = time.monotonic()
    first.close()
    assert time.monotonic() - began < 5
    released.set()
    second = start_cloud(loop, settings_for(tmp_path / "data"), token=first.token)
    try:
        assert second.end_of(operation)["state"] == "done"
        assert second.get("/v1/images/debian")["state"] == "ready"
        assert kept(second) == [digest_of(DISK)[7:]]
    finally:
        second.close()


def test_nothing_is_fetched_from_the_inside_unless_that_is_allowed(loop, tmp_path, site) -> None:
    cloud = start_cloud(loop, settings_for(tmp_path / "data", import_from_loopback=False))
    try:
        for source in (f"{site}/disk.raw", f"{site}/disk.raw".replace("127.0.0.1", "localhost")):
            asked = fetch(cloud, source, expect=202)
            ended = cloud.end_of(asked["operation"])
            assert ended["error"]["code"] == "source-refused"
            assert "inside" in ended["error"]["message"]
        for source in ("file:///etc/shadow", "http://u:p@example.org/"):
            told = fetch(cloud, source, expect=422)
            assert told["code"] == "source-refused"
    finally:
        cloud.close()


def _until(true) -> None:
    """Wait for something that another process's kernel tells the controller: there is no event to await."""
    ends = time.monotonic() + 10
    while not true():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)
