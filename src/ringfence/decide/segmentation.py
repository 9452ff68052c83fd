"""Compile policies and VMs into what OVN's northbound should hold, and the smallest change towards it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ringfence.model.networks import Network, Port
from ringfence.model.policies import Policy
from ringfence.model.vms import Vm


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What the fence is made from, as of one moment. `revision` grows with every change of any part of it.

    `ports` are those of `vms`; a port whose `hosts` is empty is not to be bound anywhere.
    """

    revision: int
    networks: tuple[Network, ...]
    vms: tuple[Vm, ...]
    ports: tuple[Port, ...]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """What the northbound should hold (fields to be designed with the compiler)."""

    revision: int
