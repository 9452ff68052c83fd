"""The world in memory, failing on demand, held to the contract tests of the real one."""
