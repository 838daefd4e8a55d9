"""How objects look in a notebook: tables (html.py), curves (curves.py), pictures (images.py).

Loaded when one is shown. Everything inherits the colours of the page around it, to be read in light and in dark
themes.
"""
