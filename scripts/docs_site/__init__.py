"""The documents as a site: guides and lessons (text.py, lessons.py), the reference (reference.py), the source
(source.py), equations (equations.py), the frame of every page (frame.py), and what checks the result (links.py)."""
