"""`ringfence-controller`: runs a controller until it is told to stop, or gets OVN's central ready. Decides nothing."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ringfence import __version__
from ringfence.adapters.northbound import TlsFiles
from ringfence.adapters.southbound import ROLE, bootstrap_southbound
from ringfence.controller.assembly import Controller, restrict_files
from ringfence.controller.authority import Authority
from ringfence.controller.settings import Settings, add_flags, from_flags
from ringfence.controller.setup_link import print_link
from ringfence.controller.web import is_built
from ringfence.errors import Invalid, RingfenceError


def run() -> None:
    """Run the program; what is refused is told in words and ends it with 1."""
    restrict_files()
    try:
        sys.exit(_main(sys.argv[1:]))
    except (RingfenceError, OSError) as error:
        sys.exit(f"ringfence-controller: {error}")


def _main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="ringfence-controller", allow_abbrev=False, description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    add_flags(parser, os.environ)
    verbs = parser.add_subparsers(dest="verb", metavar="", title="instead of running a controller")
    certify = verbs.add_parser("certify", help="issue a key and certificate, for the OVN central for example")
    certify.add_argument("--name", required=True, help="its name; the files are NAME.key and NAME.crt")
    certify.add_argument("--address", required=True, action="append", help="a name or address it is reached at")
    certify.add_argument("--out", required=True, type=Path, help="folder for the files")
    link = verbs.add_parser("setup-link", help="print a link by which somebody chooses a password, once")
    link.add_argument("--account", help="whose password; without it, a first administrator's", default="")
    bootstrap = verbs.add_parser("bootstrap-southbound", help=f"put the role {ROLE} into OVN's southbound")
    # A default here would hide the flag given before the verb.
    bootstrap.add_argument("--southbound", default=argparse.SUPPRESS, help="unix:PATH or ssl:HOST:PORT")
    given = parser.parse_args(arguments)
    settings = from_flags(given)
    if given.verb == "bootstrap-southbound":
        return _bootstrap(settings)
    if given.verb == "setup-link":
        print_link(settings, given.account)
        return 0
    if given.verb == "certify":
        return _certify(settings, given.name, given.address, given.out)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    asyncio.run(_serve(settings))
    return 0


def _certify(settings: Settings, name: str, addresses: list[str], folder: Path) -> int:
    authority = Authority(settings.data / "ca")
    pair = authority.certify(folder.resolve(), name=name, addresses=addresses)
    ca = folder.resolve() / "ca.crt"
    ca.write_text(authority.certificate_pem)
    sys.stdout.write(f"{pair.key}\n{pair.certificate}\n{ca}\n")
    return 0


def _bootstrap(settings: Settings) -> int:
    if not settings.southbound:
        raise Invalid(field="southbound", why="say which: --southbound unix:PATH or ssl:HOST:PORT")
    tls = None
    if settings.southbound.startswith("ssl:"):
        authority = Authority(settings.data / "ca")
        # A pair of its own: the controller that may be running has another, with its addresses in it.
        pair = authority.certify(settings.data / "tls", name="bootstrap", addresses=())
        tls = TlsFiles(key=str(pair.key), certificate=str(pair.certificate), ca=str(authority.certificate_file))
    bootstrap_southbound(settings.southbound, tls=tls)
    sys.stdout.write(f"the southbound has the role {ROLE}\n")
    return 0


async def _serve(settings: Settings) -> None:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    controller = Controller(settings)
    await controller.start()
    _tell(controller)
    try:
        await told_to_stop.wait()
    finally:
        await controller.stop()


def _tell(controller: Controller) -> None:
    scheme = "https" if controller.settings.tls else "http"
    url = f"{scheme}://{controller.api_address}"
    lines = [
        f"ringfence controller {__version__}",
        f"  API             {url}   (described at {url}/docs)",
        f"  web             {url if is_built() else 'not built: run make web in the checkout'}",
        f"  hosts dial      https://{controller.agents_address}",
        f"  CA fingerprint  {controller.fingerprint}",
    ]
    if controller.first_token is not None:
        # SAFETY: the only time it is ever shown; the store holds its digest.
        lines += [f"  admin token     {controller.first_token}", "  Keep the token now: it is not shown again."]
    sys.stdout.write("\n".join(lines) + "\n")
    controller.print_setup_link()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
