"""Frozen evaluation sets: a recipe that another team can rebuild from its own copies, and check.

``recipe`` is the format, ``from_set`` makes its rows, ``match`` finds a team's own sources,
``replay`` renders with the stored gains, ``verdict`` compares what came out.
"""
