"""An image is taken from the cache as long as nothing it is made of has changed, and never after."""

from dataclasses import replace

import pytest

from ringfence.lab import guests
from ringfence.lab.rootfs import Recipe

pytestmark = pytest.mark.unit

RECIPE = Recipe(name="builder", variant="extract", packages=("busybox", "kmod"))


@pytest.fixture
def sources(tmp_path):
    made = [tmp_path / "rc", tmp_path / "inittab"]
    for file in made:
        file.write_text(f"what {file.name} says")
    return made


def test_the_key_is_the_same_for_the_same_packages_and_files_in_any_order(sources):
    other = replace(RECIPE, packages=("kmod", "busybox"))
    assert guests.made_of([RECIPE], sources) == guests.made_of([other], sources[::-1])


def test_another_package_or_variant_or_recipe_makes_another_key(sources):
    recipes = [
        [RECIPE],
        [replace(RECIPE, packages=("busybox",))],
        [replace(RECIPE, variant="minbase")],
        [RECIPE, replace(RECIPE, variant="minbase")],
    ]
    assert len({guests.made_of(each, sources) for each in recipes}) == len(recipes)


def test_a_changed_file_makes_another_key_and_text_moved_between_files_does_too(sources):
    before = guests.made_of([RECIPE], sources)
    sources[0].write_text("what rc")
    sources[1].write_text(" sayswhat inittab says")
    moved = guests.made_of([RECIPE], sources)
    sources[1].write_text("another word")
    assert len({before, moved, guests.made_of([RECIPE], sources)}) == 3
