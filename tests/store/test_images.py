"""Images: found by name and digest, changed by an import, kept while a VM was started from them."""

from __future__ import annotations

import pytest

from ringfence.errors import NotFound, StillUsed
from ringfence.model.images import ImageFormat, ImageState
from ringfence.store import images

pytestmark = pytest.mark.store


def test_an_image_is_found_by_its_digest(cloud):
    with cloud.store.reading() as session:
        assert images.image_by_digest(session, "sha256:" + "0" * 64) == images.image(session, "tiny")
    with pytest.raises(NotFound), cloud.store.reading() as session:
        images.image_by_digest(session, "sha256:" + "1" * 64)


def test_an_import_fills_in_what_it_finds_out(store):
    facts = {"file_bytes": 0, "virtual_bytes": 0, "source": "upload", "format": ImageFormat.RAW}
    with store.transaction() as session:
        images.add_image(session, name="new", digest="sha256:x", state=ImageState.IMPORTING, **facts)
        found = {"format": ImageFormat.VPC, "file_bytes": 5, "virtual_bytes": 2**40, "state": ImageState.READY}
        done = images.change_image(session, "new", **found)
    assert (done.format, done.file_bytes, done.virtual_bytes, done.state) == tuple(found.values())


def test_an_image_that_a_vm_was_started_from_stays(cloud):
    cloud.add_vm("r")
    with pytest.raises(StillUsed), cloud.store.transaction() as session:
        images.remove_image(session, "tiny")
