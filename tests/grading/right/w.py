"""Layers whose base class calls what the subclasses fill in; parameters and gradients as nested lists."""
import numpy as np


class Module(object):
    def __init__(self):
        self.output, self.gradInput = None, None

    def forward(self, input):
        return self.updateOutput(input)

    def backward(self, input, gradOutput):
        self.updateGradInput(input, gradOutput)
        self.accGradParameters(input, gradOutput)
        return self.gradInput

    def updateOutput(self, input):
        pass

    def updateGradInput(self, input, gradOutput):
        pass

    def accGradParameters(self, input, gradOutput):
        pass

    def zeroGradParameters(self):
        pass


class Linear(Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.W = np.random.uniform(-1, 1, size=(n_out, n_in)) / np.sqrt(n_in)
        self.b = np.zeros(n_out)
        self.gradW, self.gradb = np.zeros_like(self.W), np.zeros_like(self.b)

    def updateOutput(self, input):
        self.output = input.dot(self.W.T) + self.b
        return self.output

    def updateGradInput(self, input, gradOutput):
        self.gradInput = gradOutput.dot(self.W)
        return self.gradInput

    def accGradParameters(self, input, gradOutput):
        self.gradW += gradOutput.T.dot(input)
        self.gradb += gradOutput.sum(axis=0)

    def zeroGradParameters(self):
        self.gradW.fill(0)
        self.gradb.fill(0)


class LeakyReLU(Module):
    def __init__(self, slope=0.03):
        super().__init__()
        self.slope = slope

    def updateOutput(self, input):
        self.output = np.where(input > 0, input, self.slope * input)
        return self.output

    def updateGradInput(self, input, gradOutput):
        self.gradInput = gradOutput * np.where(input > 0, 1, self.slope)
        return self.gradInput


class SoftMax(Module):
    def updateOutput(self, input):
        e = np.exp(input - input.max(axis=1, keepdims=True))
        self.output = e / e.sum(axis=1, keepdims=True)
        return self.output

    def updateGradInput(self, input, gradOutput):
        p = self.output
        self.gradInput = p * gradOutput - p * (p * gradOutput).sum(axis=1, keepdims=True)
        return self.gradInput


class Sequential(Module):
    def __init__(self):
        super().__init__()
        self.modules = []

    def add(self, module):
        self.modules.append(module)

    def updateOutput(self, input):
        self.inputs = []
        for m in self.modules:
            self.inputs.append(input)
            input = m.forward(input)
        self.output = input
        return input

    def backward(self, input, gradOutput):
        for m, x in zip(reversed(self.modules), reversed(self.inputs)):
            gradOutput = m.backward(x, gradOutput)
        self.gradInput = gradOutput
        return gradOutput


class MSECriterion:
    def forward(self, input, target):
        return ((input - target) ** 2).sum() / len(input)

    def backward(self, input, target):
        return 2 * (input - target) / len(input)


def sgd_momentum(variables, gradients, config, state):
    old = state.setdefault('old_grads', {})
    number = 0
    for layer, layer_gradients in zip(variables, gradients):
        for value, gradient in zip(layer, layer_gradients):
            step = old.setdefault(number, np.zeros_like(gradient))
            step *= config['momentum']
            step += config['learning_rate'] * gradient
            value -= step
            number += 1
