"""What should be, kept: SQLAlchemy over SQLite or PostgreSQL, one module a noun, and the constraints that never race.

Nothing here decides; what must hold whatever anyone decided (company, addresses, names) is a constraint or a trigger in
the database itself. Callers outside this package see `Store`, `Session`, plain functions and the nouns of `model`.
"""
