"""The program `ringfence-agent`: joins, runs either part, puts up the firewall. Arguments and exit codes only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ringfence import __version__
from ringfence.agent.settings import DEFAULT_FILE, read_settings
from ringfence.errors import RingfenceError
from ringfence.model.hosts import TokenInArguments

EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_UNFINISHED = 3, 4, 5
_UNITS = "ringfence-firewall ringfence-agent-root ringfence-agent"
_CODES = {"refused": EXIT_REFUSED, "unreachable": EXIT_UNREACHABLE}


def run(argv: Sequence[str] | None = None) -> int:
    """Run the program; gives its exit code."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    os.umask(0o022)
    try:
        if unknown and arguments.command == "join":
            raise TokenInArguments
        if unknown:
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return _do(arguments)
    except RingfenceError as error:
        sys.stderr.write(f"{error} [{error.code}]\n")
        return _CODES.get(error.family, EXIT_UNFINISHED)
    except KeyboardInterrupt:
        return 130


def _do(arguments: argparse.Namespace) -> int:
    settings = read_settings(arguments.settings)
    # Imported here: the root part has no use for TLS, and the other none for libvirt.
    match arguments.command:
        case "join":
            from ringfence.agent.join import join, read_token  # noqa: PLC0415

            if os.geteuid() != 0:
                sys.stderr.write("Joining writes to /etc and sets the switch: run it as root.\n")
                return EXIT_REFUSED
            token = read_token(arguments.token_file)
            joined = join(token, settings, anew=arguments.anew, tell=lambda line: print(line, flush=True))  # noqa: T201
            start = f"systemctl enable {_UNITS} && systemctl restart {_UNITS}"
            print(f"This host is {joined.name} now. Start it: {start}")  # noqa: T201
            return 0
        case "run":
            from ringfence.agent.link import run as run_link  # noqa: PLC0415

            return run_link(settings)
        case "firewall":
            from ringfence.agent.firewall import Firewall  # noqa: PLC0415

            Firewall(settings).reset()
            return 0
        case "privileged":
            from ringfence.agent.privileged import serve  # noqa: PLC0415

            return serve(settings)
    raise AssertionError(arguments.command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ringfence-agent", description="ringfence's part on a hypervisor.")
    parser.add_argument("--version", action="version", version=f"ringfence-agent {__version__}")
    parser.add_argument("--settings", type=Path, default=None, help=f"the settings file (default {DEFAULT_FILE})")
    commands = parser.add_subparsers(dest="command", required=True)
    # No abbreviations: what somebody took for an option that holds the token is refused as such.
    join = commands.add_parser("join", help="join the cloud that a token speaks of", allow_abbrev=False)
    join.description = "The token is asked for, or read from standard input. It is never an argument."
    join.add_argument("--token-file", type=Path, metavar="FILE", help="read the token from this file")
    join.add_argument("--anew", action="store_true", help="join as another, though this host has joined already")
    commands.add_parser("run", help="run the part that talks to the controller")
    commands.add_parser("firewall", help="put the firewall in place, before there is a network")
    commands.add_parser("privileged", help="run the root part, which talks to libvirt and to no network")
    return parser


if __name__ == "__main__":
    sys.exit(run())
