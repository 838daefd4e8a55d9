import numpy as np


class Layer:
    def __init__(self):
        self.params, self.grads = {}, {}

    def forward(self, inputs):
        raise NotImplementedError

    def backward(self, grad):
        raise NotImplementedError


class Linear(Layer):
    def __init__(self, input_size, output_size):
        super().__init__()
        self.params["w"] = np.random.randn(input_size, output_size)
        self.params["b"] = np.random.randn(output_size)

    def forward(self, inputs):
        self.inputs = inputs
        return inputs @ self.params["w"] + self.params["b"]

    def backward(self, grad):
        self.grads["w"] = self.inputs.T @ grad
        self.grads["b"] = grad.sum(axis=0)
        return grad @ self.params["w"].T


class Activation(Layer):
    def __init__(self, function, derivative):
        super().__init__()
        self.function, self.derivative = function, derivative

    def forward(self, inputs):
        self.inputs = inputs
        return self.function(inputs)

    def backward(self, grad):
        return grad * self.derivative(self.inputs)


class Tanh(Activation):
    def __init__(self):
        super().__init__(np.tanh, lambda x: 1 - np.tanh(x) ** 2)
