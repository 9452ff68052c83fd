"""Signing in by the organisation's provider: its identity becomes an account, its groups become roles."""

from __future__ import annotations

import logging
import re

from starlette.types import Scope

from ringfence.controller.parts import Parts
from ringfence.controller.provider import Identity, Provider, ProviderDenied
from ringfence.controller.settings import PROJECT_ROLES
from ringfence.controller.signing_in import Begun, SignIns
from ringfence.errors import NotFound, StillUsed
from ringfence.model.access import Role
from ringfence.model.accounts import Account, LastAdministrator, LastOwner
from ringfence.model.actors import Actor, ActorKind
from ringfence.model.names import ProjectId, check_account_name
from ringfence.model.sessions import Means
from ringfence.store import accounts, identities, members, projects
from ringfence.store.acting import acting
from ringfence.store.challenges import Purpose, add_challenge, take_challenge
from ringfence.store.engine import Session

logger = logging.getLogger(__name__)

CALLBACK = "/v1/session/oidc/callback"


def provider_of(parts: Parts) -> Provider:
    """Give the provider; raises `NoProvider`."""
    return Provider(parts.settings, parts.page_url + CALLBACK)


def begin_at_provider(parts: Parts) -> tuple[str, str]:
    """Begin a sign-in: gives where to send the browser, and the state that it has to come back with."""
    begun = provider_of(parts).begin()
    facts = {"state": begun.state, "nonce": begun.nonce, "verifier": begun.verifier}
    with parts.store.losable() as session:
        challenge_id = add_challenge(session, Purpose.PROVIDER, facts)
    return begun.url, f"{challenge_id}.{begun.state}"


def end_at_provider(parts: Parts, sign_ins: SignIns, scope: Scope, *, kept: str, state: str, code: str) -> Begun:
    """Begin the session of whoever came back with this code; `kept` is what their browser kept meanwhile."""
    attempt = sign_ins.unhindered(scope, "by the provider")
    challenge_id, _, kept_state = kept.partition(".")
    with parts.store.losable() as session:
        asked = take_challenge(session, Purpose.PROVIDER, challenge_id)
    # Without the browser's own state somebody could sign another one in to an account of theirs.
    if asked is None or not state or not asked.facts["state"] == kept_state == state:
        sign_ins.denied(attempt, "another state")
        raise ProviderDenied(why="the sign-in was begun in another browser, or too long ago")
    try:
        identity = provider_of(parts).end(code, nonce=asked.facts["nonce"], verifier=asked.facts["verifier"])
    except ProviderDenied as denied:
        sign_ins.denied(attempt, denied.why)
        raise
    person = Actor(kind=ActorKind.PERSON, id=identity.subject, name=identity.name, source=attempt.source)
    with acting(person), parts.store.transaction() as session:
        account = _account(session, identity)
        if account.disabled:
            sign_ins.denied(attempt, f"{account.name} is disabled")
            raise ProviderDenied(why="your account here is disabled")
        _give_roles(session, account, identity, parts)
        _give_memberships(session, account, identity, parts)
        grants = accounts.grants_of(session, account.id)
        return sign_ins.begin_in(session, scope, attempt, grants, Means.PROVIDER)


def _account(session: Session, identity: Identity) -> Account:
    account_id = identities.account_of(session, identity.issuer, identity.subject)
    if account_id is not None:
        return accounts.account(session, account_id)
    name = re.sub(r"[^a-z0-9._+@-]+", "-", (identity.email or identity.name or identity.subject).lower())
    name = check_account_name(name.strip("._+@-")[:120], field="preferred_username")
    return identities.give_account(
        session,
        identity.issuer,
        identity.subject,
        name=name,
        display_name=identity.display_name,
        email=identity.email.lower(),
    )


def _give_roles(session: Session, account: Account, identity: Identity, parts: Parts) -> None:
    """Give the account the roles of its groups, no others: the provider is where they are managed."""
    roles = {role for group, role in parts.settings.oidc_roles if group in identity.groups}
    if roles == account.roles:
        return
    try:
        accounts.change_account(session, account.id, roles=roles)
    except LastAdministrator:
        # The cloud is not left without anybody who may administer it, whatever the provider says.
        logger.warning("%s is in no group of administrators any more, and stays the last one", account.name)


def _give_memberships(session: Session, account: Account, identity: Identity, parts: Parts) -> None:
    """In each project that the settings speak of, give the account the first role its groups have there, or none."""
    held: dict[ProjectId, set[Role]] = {}
    for each in parts.settings.oidc_members:
        try:
            project_id = projects.project(session, each.project).id
        except NotFound:
            logger.warning(
                "the settings give group %s a role in project %s, which is not there", each.group, each.project
            )
            continue
        held.setdefault(project_id, set()).update({each.role} if each.group in identity.groups else ())
    for project_id, roles in held.items():
        wanted = next((role for role in PROJECT_ROLES if role in roles), None)
        try:
            _become_member(session, project_id, account, wanted)
        except LastOwner:
            # A project is never without its owner, whatever the provider says.
            logger.warning("%s owns project %s, and stays its owner", account.name, project_id)


def _become_member(session: Session, project_id: ProjectId, account: Account, wanted: Role | None) -> None:
    held = members.role_in(session, project_id, account.id)
    if held is wanted:
        return
    if wanted is not None:
        members.put_member(session, project_id, account.id, wanted)
        return
    try:
        members.remove_member(session, project_id, account.id)
    except StillUsed as used:
        # Every VM has an owner: who owns some there sees them until they are handed over, and does nothing more.
        logger.warning("%s stays in project %s to see what is theirs: %s", account.name, project_id, used.used_by)
        if held is not Role.PROJECT_VIEWER:
            members.put_member(session, project_id, account.id, Role.PROJECT_VIEWER)
