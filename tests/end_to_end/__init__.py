"""The whole of pointsman against real servers: a real registry, real instances, real clients, each a process.

Each test prints what it measured; `pytest -s tests/end_to_end` shows it.
"""
