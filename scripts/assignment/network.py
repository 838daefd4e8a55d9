"""A network: layers one after the other."""


class Network:
    """y = f_n(... f_2(f_1(x)))."""

    def __init__(self):
        self.layer_list = []

    def add(self, layer):
        """Append a layer."""
        self.layer_list.append(layer)

    def forward(self, x):
        # Task: pass x through all layers, the first one first, and return the last output.
        ### BEGIN SOLUTION
        for layer in self.layer_list:
            x = layer.forward(x)
        return x
        ### END SOLUTION

    def backward(self, grad_y):
        # Task: pass the gradient through all layers in the opposite order, and return the last result.
        ### BEGIN SOLUTION
        for layer in reversed(self.layer_list):
            grad_y = layer.backward(grad_y)
        return grad_y
        ### END SOLUTION
