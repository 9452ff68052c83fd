"""The host's switch: who it is, where the southbound is, with which keys. No flows: those are OVN's."""

from __future__ import annotations

import json

from ringfence.agent import commands
from ringfence.agent.settings import Settings

_PATIENCE_SECONDS = 20.0


def apply_switch(settings: Settings) -> None:
    """Set what the switch needs to join the fabric; again changes nothing.

    The certificate's name is the `system-id`, because the southbound lets a host bind ports under that name only.
    """
    wanted = {
        "system-id": settings.host_id,
        "hostname": settings.name,
        "ovn-remote": settings.southbound,
        "ovn-encap-type": "geneve",
        "ovn-encap-ip": settings.underlay_address,
        "ovn-bridge": settings.integration_bridge,
    }
    if settings.datapath:
        wanted["ovn-bridge-datapath-type"] = settings.datapath
    # ORDER: keys first. With the remote set first, ovn-controller would dial without them and be refused.
    _vsctl("set-ssl", *[str(settings.identity_file)] * 2, str(settings.ca_file))
    _vsctl("set", "Open_vSwitch", ".", *(f"external_ids:{key}={json.dumps(value)}" for key, value in wanted.items()))


def datapath(settings: Settings) -> str:
    """Say which datapath the integration bridge has, or will have: `system` or `netdev`."""
    if settings.datapath:
        return settings.datapath
    asked = ("get", "Open_vSwitch", ".", "external_ids:ovn-bridge-datapath-type")
    told = commands.run(
        ["ovs-vsctl", "--if-exists", "--timeout=5", *asked], timeout_seconds=_PATIENCE_SECONDS, may_fail=True
    ).output
    return told.strip().strip('"') or "system"


def _vsctl(*arguments: str) -> None:
    commands.run(["ovs-vsctl", "--timeout=10", *arguments], timeout_seconds=_PATIENCE_SECONDS)
