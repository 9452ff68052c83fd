"""Prints set-up links. The password process makes the secret and writes it out itself; its digest alone comes here."""

from __future__ import annotations

from ringfence.controller.passwords import Passwords
from ringfence.controller.settings import Settings
from ringfence.store import accounts, passwords, setup_links
from ringfence.store.engine import Store, open_store

BEFORE = "  set-up link     "


def print_first_link(store: Store, process: Passwords, url: str) -> None:
    """Print the link by which the first administrator is made, unless somebody can sign in already."""
    with store.reading() as session:
        if passwords.can_anybody_sign_in(session):
            return
    _print(store, process, url, account_id=None)


def print_link(settings: Settings, account: str) -> None:
    """Print a link for this account, or for a first administrator: whoever has the controller's files may do so."""
    store, process = open_store(settings.database), Passwords()
    try:
        account_id = None
        if account:
            with store.reading() as session:
                account_id = accounts.account(session, account).id
        _print(store, process, settings.page_url(settings.listen), account_id=account_id)
    finally:
        process.stop()
        store.close()


def _print(store: Store, process: Passwords, url: str, *, account_id: str | None) -> None:
    # ORDER: printed, then kept. A crash between leaves a link that opens nothing.
    digest = process.print_secret(f"{BEFORE}{url}/setup#", "\n  It serves once, within a day.\n")
    with store.transaction() as session:
        setup_links.add_setup_link(session, digest, account_id=account_id)
