import numpy as np


class LinearLayer:
    def __init__(self, input_dim, output_dim):
        self.input_dim = input_dim
        self.output_dim = output_dim
        self.weight = np.random.standard_normal((input_dim, output_dim))
        self.bias = np.zeros(output_dim)
        self.weight_gradient = np.zeros((input_dim, output_dim))
        self.bias_gradient = np.zeros(output_dim)

    def forward(self, inputs):
        self.inputs = inputs
        outputs = np.empty((inputs.shape[0], self.output_dim))
        for n in range(inputs.shape[0]):
            for j in range(self.output_dim):
                total = self.bias[j]
                for i in range(self.input_dim):
                    total += inputs[n, i] * self.weight[i, j]
                outputs[n, j] = total
        return outputs

    def backward(self, output_gradients):
        self.weight_gradient[...] = 0
        self.bias_gradient[...] = 0
        input_gradients = np.zeros_like(self.inputs)
        for n in range(output_gradients.shape[0]):
            self.bias_gradient += output_gradients[n]
            self.weight_gradient += np.outer(self.inputs[n], output_gradients[n])
            input_gradients[n] = self.weight.dot(output_gradients[n])
        return input_gradients


class HingeLoss:
    def __init__(self, delta=1.0):
        self.delta = delta

    def forward(self, scores, labels):
        self.scores, self.labels = scores, labels
        total = 0.0
        for n in range(len(scores)):
            c = int(np.argmax(labels[n]))
            for k in range(scores.shape[1]):
                if k != c:
                    total += max(0.0, scores[n, k] - scores[n, c] + self.delta)
        return total / len(scores)

    def backward(self, scores, labels):
        grad = np.zeros_like(scores)
        for n in range(len(scores)):
            c = int(np.argmax(labels[n]))
            for k in range(scores.shape[1]):
                if k != c and scores[n, k] - scores[n, c] + self.delta > 0:
                    grad[n, k] += 1
                    grad[n, c] -= 1
        return grad / len(scores)


class TanhActivation:
    def forward(self, inputs):
        self.outputs = np.zeros_like(inputs)
        for index, value in np.ndenumerate(inputs):
            self.outputs[index] = np.tanh(value)
        return self.outputs

    def backward(self, output_gradients):
        return np.multiply(1 - self.outputs * self.outputs, output_gradients)


class SoftmaxLayer:
    def forward(self, inputs):
        self.outputs = np.zeros_like(inputs)
        for n, row in enumerate(inputs):
            e = np.exp(row - row.max())
            self.outputs[n] = e / e.sum()
        return self.outputs

    def backward(self, output_gradients):
        result = np.zeros_like(output_gradients)
        for n in range(len(self.outputs)):
            y = self.outputs[n].reshape(-1, 1)
            jac = np.diagflat(y) - y @ y.T
            result[n] = jac @ output_gradients[n]
        return result


class MomentumOptimizer:
    def __init__(self, layers, learning_rate=0.1, momentum=0.9):
        self.layers = layers
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.velocities = [(np.zeros_like(l.weight), np.zeros_like(l.bias)) for l in layers]

    def step(self):
        for i, layer in enumerate(self.layers):
            vw, vb = self.velocities[i]
            vw = self.momentum * vw - self.learning_rate * layer.weight_gradient
            vb = self.momentum * vb - self.learning_rate * layer.bias_gradient
            layer.weight += vw
            layer.bias += vb
            self.velocities[i] = (vw, vb)
