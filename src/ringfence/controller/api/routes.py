"""What each route needs: the one table of it, by the route's name. A route that is not in it does not open.

What a permission is, and which role has it, is `model/access`'s and `decide/access`'s; how a need is enforced is
`controller/enforcement`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.routing import BaseRoute

from ringfence.controller.enforcement import Need, Of
from ringfence.model.access import Permission

P = Permission

ROUTES: Mapping[str, Need] = {
    "list_zones": Need(P.ZONE_READ),
    "create_zone": Need(P.ZONE_MANAGE),
    "get_zone": Need(P.ZONE_READ),
    "change_zone": Need(P.ZONE_MANAGE),
    "delete_zone": Need(P.ZONE_MANAGE),
    "list_projects": Need(P.PROJECT_READ, Of.LIST),
    "create_project": Need(P.PROJECT_MANAGE),
    "get_project": Need(P.PROJECT_READ, Of.PROJECT),
    "change_project": Need(P.PROJECT_MANAGE, Of.PROJECT),
    "delete_project": Need(P.PROJECT_MANAGE, Of.PROJECT),
    "list_members": Need(P.PROJECT_READ, Of.PROJECT),
    "put_member": Need(P.MEMBER_MANAGE, Of.PROJECT),
    "delete_member": Need(P.MEMBER_MANAGE, Of.PROJECT),
    "list_hosts": Need(P.HOST_READ),
    "invite_host": Need(P.HOST_MANAGE),
    "get_host": Need(P.HOST_READ),
    "cordon_host": Need(P.HOST_MANAGE),
    "uncordon_host": Need(P.HOST_MANAGE),
    "delete_host": Need(P.HOST_MANAGE),
    "list_images": Need(P.IMAGE_READ),
    "import_image": Need(P.IMAGE_MANAGE),
    "get_image": Need(P.IMAGE_READ),
    "upload_image": Need(P.IMAGE_MANAGE),
    "delete_image": Need(P.IMAGE_MANAGE),
    "list_flavors": Need(P.FLAVOR_READ),
    "create_flavor": Need(P.FLAVOR_MANAGE),
    "get_flavor": Need(P.FLAVOR_READ),
    "change_flavor": Need(P.FLAVOR_MANAGE),
    "delete_flavor": Need(P.FLAVOR_MANAGE),
    "list_networks": Need(P.NETWORK_READ, Of.LIST),
    "create_network": Need(P.NETWORK_MANAGE, Of.BODY),
    "get_network": Need(P.NETWORK_READ, Of.NETWORK),
    "change_network": Need(P.NETWORK_MANAGE, Of.NETWORK),
    "delete_network": Need(P.NETWORK_MANAGE, Of.NETWORK),
    "list_policies": Need(P.POLICY_READ, Of.LIST),
    "create_policy": Need(P.POLICY_MANAGE, Of.BODY),
    "get_policy": Need(P.POLICY_READ, Of.POLICY),
    "change_policy": Need(P.POLICY_MANAGE, Of.POLICY),
    "delete_policy": Need(P.POLICY_MANAGE, Of.POLICY),
    "list_vms": Need(P.VM_READ, Of.LIST),
    "create_vm": Need(P.VM_CREATE, Of.BODY),
    "get_vm": Need(P.VM_READ, Of.VM),
    "change_vm": Need(P.VM_CHANGE, Of.VM),
    "delete_vm": Need(P.VM_DELETE, Of.VM),
    "start_vm": Need(P.VM_OPERATE, Of.VM),
    "stop_vm": Need(P.VM_OPERATE, Of.VM),
    "move_vm": Need(P.VM_PLACE, Of.VM),
    "open_console": Need(P.VM_CONSOLE, Of.VM),
    "open_screen": Need(P.VM_CONSOLE, Of.VM),
    "offer_vm": Need(P.VM_HAND_OVER, Of.VM),
    "list_handovers": Need(None, Of.ASKER),
    "accept_handover": Need(None, Of.ASKER),
    "delete_handover": Need(None, Of.ASKER),
    "list_operations": Need(P.VM_READ, Of.LIST),
    "get_operation": Need(P.VM_READ, Of.OPERATION),
    "follow_operation": Need(P.VM_READ, Of.OPERATION),
    "create_verification": Need(P.CLOUD_VERIFY),
    "list_roles": Need(None, Of.ASKER),
    "get_session": Need(None, Of.ASKER),
    "get_session_key": Need(None, Of.NOBODY),
    "create_session": Need(None, Of.NOBODY),
    "delete_session": Need(None, Of.ASKER),
    "list_own_sessions": Need(None, Of.ASKER),
    "delete_own_session": Need(None, Of.OWN),
    "change_own_password": Need(None, Of.OWN),
    "begin_provider_session": Need(None, Of.NOBODY),
    "end_provider_session": Need(None, Of.NOBODY),
    "ask_to_sign_in": Need(None, Of.NOBODY),
    "create_session_by_passkey": Need(None, Of.NOBODY),
    "list_passkeys": Need(None, Of.ASKER),
    "ask_for_passkey": Need(None, Of.OWN),
    "create_passkey": Need(None, Of.OWN),
    "delete_passkey": Need(None, Of.OWN),
    "get_setup": Need(None, Of.NOBODY),
    "create_setup": Need(None, Of.NOBODY),
    "create_setup_link": Need(P.ACCOUNT_MANAGE, Of.ACCOUNT),
    "list_accounts": Need(P.ACCOUNT_READ),
    "create_account": Need(P.ACCOUNT_MANAGE),
    "get_account": Need(P.ACCOUNT_READ, Of.ACCOUNT),
    "change_account": Need(P.ACCOUNT_MANAGE, Of.ACCOUNT),
    "delete_account": Need(P.ACCOUNT_MANAGE, Of.ACCOUNT),
    "list_tokens": Need(None, Of.ASKER),
    "create_token": Need(None, Of.ASKER),
    "delete_token": Need(None, Of.ASKER),
    "get_about": Need(None, Of.NOBODY),
    "docs": Need(None, Of.NOBODY),
    "get_overview": Need(P.CLOUD_READ),
    "follow_changes": Need(None, Of.ASKER),
    "get_fence": Need(P.POLICY_READ),
    "try_fence_change": Need(P.POLICY_READ),
    "try_placement": Need(P.HOST_READ),
    "get_vm_custody": Need(P.LEDGER_READ),
    "list_ledger_entries": Need(P.LEDGER_READ),
    "get_ledger_entry": Need(P.LEDGER_READ),
    "prove_ledger_entry": Need(P.LEDGER_READ),
    "get_ledger_checkpoint": Need(P.LEDGER_READ),
    "prove_ledger_consistency": Need(P.LEDGER_READ),
    "get_ledger_key": Need(P.LEDGER_READ),
    "export_ledger": Need(P.LEDGER_READ),
}
"""Route → what it needs. `Of.ASKER`: one's own things; the route itself sees to it that they are."""


def check_routes(routes: Iterable[BaseRoute]) -> None:
    """See that every route has its need and every need its route: a bug otherwise, and nothing opens."""
    names = [str(getattr(route, "name", "")) for route in routes]
    assert sorted(names) == sorted(ROUTES), f"routes without needs, or needs without routes: {set(names) ^ set(ROUTES)}"
