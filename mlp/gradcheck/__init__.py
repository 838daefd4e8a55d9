"""Gradient checking: is a hand-written ``backward`` the derivative of its ``forward``, and if not, why not?

>>> from mlp.gradcheck import check_layer
>>> result = check_layer(MyLinear(4, 3), np.random.default_rng(0).normal(size=(5, 4)))
>>> print(result)            # every gradient, its worst entry, and the likely mistakes
>>> if not result: ...       # truth value: did every check pass?
>>> result.assert_ok()       # in a test: AssertionError with the same text
>>> result.mistakes          # ('weight: is 1/N of the right gradient (N = 5, the batch size): ...',)

Read ``slopes.py`` first (the mathematics), then ``rounding.py`` (what its noise is), then ``mistakes.py`` and
``behaviour.py`` (the diagnosis).
"""

from mlp.gradcheck.check import check_function, check_layer, check_loss, check_network
from mlp.gradcheck.result import Comparison, GradcheckResult

__all__ = ["Comparison", "GradcheckResult", "check_function", "check_layer", "check_loss", "check_network"]
