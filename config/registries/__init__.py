"""The keys of each registry, one file a registry: what a user writes below its name under `discovery`.

A model's `rules` say which of its keys go together. What is common to several registries:

- `waits`         how long polling waits, and how often it looks
- `engine`        what docker and swarm have in common
- `..together`    rules of tokens and logins
"""
