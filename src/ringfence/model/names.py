"""Ids and names: what a valid one looks like. Making new ids needs a clock and is not done here."""

from __future__ import annotations

import re
from typing import NewType

from ringfence.errors import Invalid

ZoneId = NewType("ZoneId", str)
ProjectId = NewType("ProjectId", str)
HostId = NewType("HostId", str)
ImageId = NewType("ImageId", str)
FlavorId = NewType("FlavorId", str)
NetworkId = NewType("NetworkId", str)
PortId = NewType("PortId", str)
VmId = NewType("VmId", str)
PolicyId = NewType("PolicyId", str)
OperationId = NewType("OperationId", str)
AccountId = NewType("AccountId", str)
TokenId = NewType("TokenId", str)
SessionId = NewType("SessionId", str)
PasskeyId = NewType("PasskeyId", str)

NAME_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A name is a DNS label (RFC 1123): it becomes a guest's host name and stands in switches' rules."""
ACCOUNT_PATTERN = r"^[a-z0-9]([a-z0-9._+@-]{0,118}[a-z0-9])?$"
"""An account's name may be a mail address. Lower case only, so that no two look alike."""
LABEL_KEY_PATTERN = r"^[a-z0-9]([a-z0-9./-]{0,61}[a-z0-9])?$"
LABEL_VALUE_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$|^$"
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def check_name(name: str, *, field: str = "name") -> str:
    """Give the name back, or refuse it as `Invalid`."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise Invalid(
            field=field, why="a name has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at an end"
        )
    return name


def check_account_name(name: str, *, field: str = "name") -> str:
    """Give the name back, or refuse it as `Invalid`."""
    if not re.fullmatch(ACCOUNT_PATTERN, name):
        why = "an account's name has 1 to 120 lower-case letters, digits and ._+@-, at its ends a letter or digit"
        raise Invalid(field=field, why=why)
    return name


def check_labels(labels: dict[str, str]) -> dict[str, str]:
    """Give the labels back, or refuse them as `Invalid`: at most 32, keys and values of at most 63 characters."""
    if len(labels) > 32:
        raise Invalid(field="labels", why="a VM has at most 32 labels")
    for key, value in labels.items():
        if not re.fullmatch(LABEL_KEY_PATTERN, key):
            raise Invalid(field=f"labels.{key[:80]}", why="a key has lower-case letters, digits, and . / - inside")
        if not re.fullmatch(LABEL_VALUE_PATTERN, value):
            raise Invalid(field=f"labels.{key}", why="a value has letters, digits, and . _ - inside")
    return labels
