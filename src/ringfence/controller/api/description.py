"""Print the API's description (OpenAPI) without a controller: the web interface's types are made from it."""

from __future__ import annotations

import json
import sys

from ringfence.controller.api.application import routes


def main() -> None:
    """Print it as JSON."""
    json.dump(routes().openapi(), sys.stdout, indent=1, sort_keys=True)


if __name__ == "__main__":
    main()
