"""Adaptation: from whatever interface a student chose to the arrays that the definitions speak of.

``remote.py`` talks to the objects in the child, ``layers.py``, ``losses.py``,
  ``updates.py`` and ``networks.py`` find
out how they want to be constructed and called. What was inferred is kept and shown.
"""
