"""`python -m bench [NAME …]`: measure the figures named, or all; a line and a JSON file each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from bench import demo, lab, ledger, listing, mailbox, signing_in
from bench.figures import Figure, Unmeasured
from ringfence.errors import RingfenceError

MEASURES: dict[str, Callable[[], Iterable[Figure]]] = {
    "mailbox-wake": mailbox.wake,
    "api-list": listing.pages,
    "login": signing_in.logins,
    "password-residue": signing_in.residue,
    "ledger": ledger.costs,
    "ledger-postgresql": ledger.costs,
    "ledger-verify": ledger.costs,
    "create": lab.create,
    "move-gap": lab.moves,
    "move-leaks": lab.moves,
    "demo-cold": demo.cold,
    "demo-warm": demo.warm,
}


def run(names: list[str]) -> int:
    unknown = [name for name in names if name not in MEASURES]
    if unknown:
        print(f"there is no figure {', '.join(unknown)}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    failed = False
    done: set[Callable[[], Iterable[Figure]]] = set()
    for measure in (MEASURES[name] for name in names or MEASURES):
        if measure not in done:
            done.add(measure)
            try:
                for figure in measure():
                    figure.write()
                    print(figure.line(), flush=True)
            except (RingfenceError, Unmeasured) as problem:
                # The others can be measured all the same.
                print(f"not measured: {problem}", file=sys.stderr)
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
