"""The controller: lets people and hosts ask for things over HTTP, and joins all parts. Decides nothing itself."""
