"""The migrations: how the tables came to be, step by step, for both databases. `engine.migrate` runs them."""
