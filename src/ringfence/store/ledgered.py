"""Which tables the ledger tells of, and which of their columns: the reviewed list. How it is written is `triggers`'s.

Every table is in `LEDGERED` or in `UNLEDGERED`, and every column of a ledgered one in one of its three sets; a test
holds that, so that nobody adds a table without having thought of it.
"""

from __future__ import annotations

from dataclasses import dataclass

_VMS_PROJECT = "(SELECT project_id FROM vms WHERE id = {row}.vm_id)"
_ACCOUNTS_NAME = "(SELECT name FROM accounts WHERE id = {row}.account_id)"
_VMS_NAME = "(SELECT name FROM vms WHERE id = {row}.vm_id)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """How the ledger tells a table's rows. `id`, `name`, `related` and `project` are SQL over the row, `{row}`.

    `shown` columns are in the entry. Of `secret` ones it tells that there is a value and whether it changed, never the
    value. A change of `unrecorded` ones alone is no entry: counters, and what repeats something else.
    """

    kind: str
    shown: frozenset[str]
    secret: frozenset[str] = frozenset()
    unrecorded: frozenset[str] = frozenset()
    id: str = "{row}.id"
    name: str = "{row}.name"
    related: str = "''"
    project: str = "''"


def _columns(words: str) -> frozenset[str]:
    return frozenset(words.split())


LEDGERED: dict[str, Told] = {
    "zones": Told(
        kind="zone",
        shown=_columns("id name colour classification revision"),
        unrecorded=_columns("claim_changes"),
    ),
    "zone_mixes": Told(
        kind="mix",
        shown=_columns("zone_a zone_b"),
        id="{row}.zone_a",
        name=(
            "(SELECT name FROM zones WHERE id = {row}.zone_a) || ' and ' ||"
            " (SELECT name FROM zones WHERE id = {row}.zone_b)"
        ),
        related="{row}.zone_b",
    ),
    "accounts": Told(kind="account", shown=_columns("id name kind display_name email disabled revision")),
    "account_roles": Told(
        kind="role",
        shown=_columns("account_id role"),
        id="{row}.account_id",
        name="{row}.role || ' of ' || (SELECT name FROM accounts WHERE id = {row}.account_id)",
    ),
    "project_members": Told(
        kind="member",
        shown=_columns("project_id account_id role"),
        id="{row}.account_id",
        name=_ACCOUNTS_NAME,
        related="{row}.project_id",
        project="{row}.project_id",
    ),
    "passwords": Told(
        kind="password",
        shown=_columns("account_id changed_at"),
        secret=_columns("stored"),
        id="{row}.account_id",
        name=_ACCOUNTS_NAME,
    ),
    "passkeys": Told(
        kind="passkey",
        shown=_columns("id account_id name credential_id created_at"),
        secret=_columns("public_key"),
        unrecorded=_columns("uses last_used_at"),
        related="{row}.account_id",
    ),
    "identities": Told(
        kind="identity",
        shown=_columns("issuer subject account_id created_at"),
        id="{row}.account_id",
        name=_ACCOUNTS_NAME,
    ),
    "sessions": Told(
        kind="session",
        shown=_columns("id account_id means source client created_at expires_at"),
        secret=_columns("secret_sha256"),
        unrecorded=_columns("used_at"),
        name=_ACCOUNTS_NAME,
        related="{row}.account_id",
    ),
    "setup_links": Told(
        kind="setup link",
        shown=_columns("id account_id created_at expires_at used_at"),
        secret=_columns("secret_sha256"),
        name=_ACCOUNTS_NAME,
        related="{row}.account_id",
    ),
    "projects": Told(kind="project", shown=_columns("id name owner revision"), project="{row}.id"),
    "quotas": Told(
        kind="quota",
        shown=_columns("project_id vms vcpus memory_mib disk_bytes ports"),
        unrecorded=_columns("changes"),
        id="{row}.project_id",
        name="(SELECT name FROM projects WHERE id = {row}.project_id)",
        project="{row}.project_id",
    ),
    "handovers": Told(
        kind="hand-over",
        shown=_columns("id vm_id account_id offered_by created_at"),
        name=_VMS_NAME,
        related="{row}.vm_id",
        project=_VMS_PROJECT,
    ),
    "flavors": Told(kind="flavor", shown=_columns("id name vcpus memory_mib disk_bytes priority revision")),
    "images": Told(
        kind="image",
        shown=_columns("id name digest format file_bytes virtual_bytes source state revision"),
    ),
    "networks": Told(
        kind="network", shown=_columns("id name cidr project_id mtu revision"), project="{row}.project_id"
    ),
    "hosts": Told(
        kind="host",
        shown=_columns(
            "id name state underlay_address vcpus memory_mib disk_bytes revision"
            " certificate_serial certificate_fingerprint certificate_expires_at"
            " next_certificate_serial next_certificate_fingerprint next_certificate_expires_at"
        ),
        unrecorded=_columns("claim_changes"),
    ),
    "vms": Told(
        kind="VM",
        shown=_columns(
            "id name project_id zone_id owner flavor_id image_id vcpus memory_mib disk_bytes state labels host_id"
            " placement revision"
        ),
        # What a guest is told at its first start may hold passwords.
        secret=_columns("user_data"),
        project="{row}.project_id",
    ),
    "ports": Told(
        kind="port",
        shown=_columns("id vm_id network_id mac address position hosts"),
        name="{row}.address",
        related="{row}.vm_id",
        project=_VMS_PROJECT,
    ),
    "claims": Told(
        kind="placement",
        shown=_columns("vm_id host_id zone_id vcpus memory_mib disk_bytes"),
        id="{row}.vm_id",
        name=_VMS_NAME,
        related="{row}.host_id",
        project=_VMS_PROJECT,
    ),
    "policies": Told(
        kind="policy",
        shown=_columns(
            "id name project_id source_zone_id source_project_id source_labels target_zone_id target_project_id"
            " target_labels protocol ports revision"
        ),
        project="{row}.project_id",
    ),
    "operations": Told(
        kind="operation",
        shown=_columns("id kind state subject_id subject_name project_id asked created_at ended_at error asked_by"),
        # The evidence of a verification is large, and told where it belongs: with the operation.
        unrecorded=_columns("result version"),
        name="{row}.kind || ' ' || {row}.subject_name",
        related="{row}.subject_id",
        project="{row}.project_id",
    ),
    "invitations": Told(
        kind="invitation",
        shown=_columns("id name created_at expires_at used_at host_id"),
        secret=_columns("secret_sha256"),
    ),
    "tokens": Told(
        kind="token",
        shown=_columns("id account_id name scope created_at expires_at"),
        secret=_columns("secret_sha256"),
        unrecorded=_columns("last_used_at"),
        related="{row}.account_id",
    ),
}

UNLEDGERED: dict[str, str] = {
    "counters": "revisions and places reached, which say nothing that the changes behind them do not",
    "host_reports": "what hosts see, every few seconds: a report, not a change anybody made",
    "commands": "the post to hosts; the operation behind each is told",
    "operation_steps": "kept with their operation, and many",
    "known_devices": "a help against guessing: which browsers an account signed in from, forgotten by themselves",
    "sign_in_failures": "tallies that slow guessing down; each denied attempt is told as such",
    "challenges": "what a sign-in under way waits for, for minutes",
    "idempotency": "replies kept for a day, so that a request sent twice is done once",
    "ledger_actor_kinds": "the ledger's own",
    "ledger_pending": "the ledger's own",
    "ledger_entries": "the ledger's own",
    "ledger_tiles": "the ledger's own",
    "ledger_heads": "the ledger's own",
}
