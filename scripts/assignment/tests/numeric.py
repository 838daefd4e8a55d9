"""A derivative measured by moving one entry at a time: slow, simple, and independent of your formulas."""

import numpy as np


def numeric_gradient(f, array, h=1e-5):
    """The derivative of the number f() with respect to each entry of the array, which f looks at."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        original = array[index]
        array[index] = original + h
        high = f()
        array[index] = original - h
        low = f()
        array[index] = original
        gradient[index] = (high - low) / (2 * h)
    return gradient


def check_backward(layer, x, seed=0):
    """Fail unless layer.backward agrees with measured derivatives of layer.forward."""
    upstream = np.random.default_rng(seed).normal(size=layer.forward(x.copy()).shape)
    grad_x = layer.backward(upstream.copy())
    gradients = {"x": (x, grad_x)}
    for name in ("W", "b"):
        if hasattr(layer, name):
            gradients[name] = (getattr(layer, name), getattr(layer, "grad_" + name))
    for name, (array, gradient) in gradients.items():
        assert gradient.shape == array.shape, "the gradient of " + name + " has another shape"
        measured = numeric_gradient(lambda: np.sum(upstream * layer.forward(x)), array)
        np.testing.assert_allclose(gradient, measured, rtol=1e-5, atol=1e-7, err_msg="dL/d" + name)
