"""Accounts, and requests in their name, for tests of who may what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from tests.controller.conftest import Cloud

from ringfence.model.access import Role
from ringfence.model.accounts import AccountKind
from ringfence.model.images import ImageFormat
from ringfence.model.operations import OperationState
from ringfence.model.policies import Protocol, Selector
from ringfence.store import (
    accounts,
    flavors,
    hosts,
    images,
    members,
    networks,
    operations,
    policies,
    projects,
    tokens,
    vms,
    zones,
)
from ringfence.store import handovers as offers
from ringfence.store.engine import Session, Store

MIB = 1 << 20


@dataclass
class Tenant:
    """A project with one of everything, whose names and ids nobody else is to learn."""

    name: str
    ids: Mapping[str, str]
    names: Mapping[str, str]

    @property
    def telling(self) -> set[str]:
        """What tells of the tenant, wherever it shows up."""
        return {*self.ids.values(), *self.names.values()}


def store_of(cloud: Cloud) -> Store:
    return cloud.controller._parts.store


def sign_in(cloud: Cloud, account: str, **how: Any) -> httpx.Client:
    """Make a token for the account and a client that carries it."""
    with store_of(cloud).transaction() as session:
        number = len(tokens.tokens(session, account=account).items)
        _, secret = tokens.add_token(session, account=account, name=f"t{number}", **how)
    return client_with(cloud, secret)


def client_with(cloud: Cloud, secret: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {secret}"}
    return httpx.Client(base_url=cloud.http.base_url, headers=headers, trust_env=False, timeout=30)


@contextmanager
def signed_in(cloud: Cloud, account: str, **how: Any) -> Iterator[httpx.Client]:
    with sign_in(cloud, account, **how) as client:
        yield client


def add_person(cloud: Cloud, name: str, *roles: Role, **projects_held: Role) -> str:
    with store_of(cloud).transaction() as session:
        added = accounts.add_account(session, name=name, kind=AccountKind.PERSON, roles=roles)
        for project, role in projects_held.items():
            members.put_member(session, project, name, role)
    return added.id


def furnish_cloud(cloud: Cloud, mark: str = "", *, address: str = "192.0.2.1") -> dict[str, str]:
    """Make what belongs to no project, `mark` ending each name; gives the ids."""
    with store_of(cloud).transaction() as session:
        zone = zones.add_zone(session, name=f"red{mark}", colour="red", classification="")
        flavor = flavors.add_flavor(session, name=f"tiny{mark}", vcpus=1, memory_mib=64, disk_bytes=MIB)
        image = images.add_image(
            session,
            name=f"disk{mark}",
            digest="sha256:" + "0" * 64,
            format=ImageFormat.RAW,
            file_bytes=MIB,
            virtual_bytes=MIB,
            source="test",
        )
        host = hosts.add_host(session, name=f"h1{mark}", underlay_address=address)
        shared = networks.add_network(session, name=f"shared{mark}", cidr="10.0.0.0/24")
    return {"zone": zone.id, "flavor": flavor.id, "image": image.id, "host": host.id, "network": shared.id}


def add_tenant(cloud: Cloud, name: str, mark: str = "", *, cidr: str = "10.1.0.0/24") -> Tenant:
    """Make a project that has one of everything, of what was furnished with this mark."""
    with store_of(cloud).transaction() as session:
        return _tenant(session, name, mark, cidr)


def _tenant(session: Session, name: str, mark: str, cidr: str) -> Tenant:
    owner = f"{name}-owner"
    project = projects.add_project(session, name=name, owner=owner)
    second = accounts.person_named(session, f"{name}-second")
    members.put_member(session, name, second.name, Role.PROJECT_MEMBER)
    network = networks.add_network(session, name=f"{name}-net", cidr=cidr, project=name)
    vm, created = vms.add_vm(
        session,
        name=f"{name}-vm",
        project=name,
        zone=f"red{mark}",
        flavor=f"tiny{mark}",
        image=f"disk{mark}",
        networks=[f"{name}-net"],
    )
    operations.operation_became(session, created.id, OperationState.DONE)
    own = Selector(project_id=project.id)
    policy = policies.add_policy(
        session, name=f"{name}-policy", source=own, target=own, protocol=Protocol.TCP, project_id=project.id
    )
    offered = offers.offer(session, vm.id, second.name, offered_by=owner)
    token, _ = tokens.add_token(session, account=owner, name=f"{name}-token")
    ids = {
        "project": project.id,
        "network": network.id,
        "vm": vm.id,
        "operation": created.id,
        "policy": policy.id,
        "handover": offered.id,
        "token": token.id,
        "account": accounts.account(session, owner).id,
        "second": second.id,
        "port": vm.ports[0].id,
    }
    names = {
        "project": name,
        "owner": owner,
        "second": second.name,
        "network": network.name,
        "vm": vm.name,
        "policy": policy.name,
        "token": token.name,
    }
    return Tenant(name=name, ids=ids, names=names)
