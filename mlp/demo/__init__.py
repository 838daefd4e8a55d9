"""Draw a digit and watch a network read it: the drawing (drawing.py), what the network says and why (reader.py),
which network (choose.py), the page (page.html), and who serves it to this computer alone (server.py)."""
