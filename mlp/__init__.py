"""A multilayer perceptron in pure NumPy."""
