import numpy as np


class Layer(object):
    def __init__(self, name, trainable=False):
        self.name = name
        self.trainable = trainable
        self._saved_tensor = None

    def forward(self, input):
        pass

    def backward(self, grad_output):
        pass

    def update(self, config):
        pass

    def _saved_for_backward(self, tensor):
        self._saved_tensor = tensor


class Relu(Layer):
    def __init__(self, name):
        super(Relu, self).__init__(name)

    def forward(self, input):
        self._saved_for_backward(input)
        return np.maximum(0, input)

    def backward(self, grad_output):
        x = self._saved_tensor
        return np.where(x > 0, grad_output, 0)


class Sigmoid(Layer):
    def __init__(self, name):
        super(Sigmoid, self).__init__(name)

    def forward(self, input):
        y = 1 / (1 + np.exp(-input))
        self._saved_for_backward(y)
        return y

    def backward(self, grad_output):
        y = self._saved_tensor
        return grad_output * y * (1 - y)


class Gelu(Layer):
    def __init__(self, name):
        super(Gelu, self).__init__(name)

    def forward(self, input):
        self._saved_for_backward(input)
        return 0.5 * input * (1 + np.tanh(np.sqrt(2 / np.pi) * (input + 0.044715 * input ** 3)))

    def backward(self, grad_output):
        u = self._saved_tensor
        k = np.sqrt(2 / np.pi)
        t = np.tanh(k * (u + 0.044715 * u * u * u))
        return grad_output * (0.5 * (1 + t) + 0.5 * u * (1 - t ** 2) * k * (1 + 3 * 0.044715 * u * u))


class Linear(Layer):
    def __init__(self, name, in_num, out_num, init_std):
        super(Linear, self).__init__(name, trainable=True)
        self.in_num = in_num
        self.out_num = out_num
        self.W = np.random.randn(in_num, out_num) * init_std
        self.b = np.zeros(out_num)
        self.grad_W = np.zeros((in_num, out_num))
        self.grad_b = np.zeros(out_num)
        self.diff_W = np.zeros((in_num, out_num))
        self.diff_b = np.zeros(out_num)

    def forward(self, input):
        self._saved_for_backward(input)
        return np.dot(input, self.W) + self.b

    def backward(self, grad_output):
        self.grad_W = np.dot(self._saved_tensor.T, grad_output)
        self.grad_b = np.sum(grad_output, axis=0)
        return np.dot(grad_output, self.W.T)

    def update(self, config):
        mm = config['momentum']
        lr = config['learning_rate']
        wd = config['weight_decay']
        self.diff_W = mm * self.diff_W + (self.grad_W + wd * self.W)
        self.W = self.W - lr * self.diff_W
        self.diff_b = mm * self.diff_b + (self.grad_b + wd * self.b)
        self.b = self.b - lr * self.diff_b


class EuclideanLoss(object):
    def __init__(self, name):
        self.name = name

    def forward(self, input, target):
        return np.sum((input - target) ** 2) / (2 * len(input))

    def backward(self, input, target):
        return (input - target) / len(input)


class SoftmaxCrossEntropyLoss(object):
    def __init__(self, name):
        self.name = name

    def forward(self, input, target):
        e = np.exp(input - np.max(input, axis=1, keepdims=True))
        self.prob = e / np.sum(e, axis=1, keepdims=True)
        return -np.sum(target * np.log(self.prob)) / input.shape[0]

    def backward(self, input, target):
        return (self.prob - target) / input.shape[0]


class HingeLoss(object):
    def __init__(self, name, margin=5):
        self.name = name
        self.margin = margin

    def forward(self, input, target):
        own = np.sum(input * target, axis=1, keepdims=True)
        h = np.maximum(0, self.margin - own + input) * (1 - target)
        return np.mean(np.sum(h, axis=1))

    def backward(self, input, target):
        own = np.sum(input * target, axis=1, keepdims=True)
        mask = (self.margin - own + input > 0) * (1 - target)
        return (mask - target * np.sum(mask, axis=1, keepdims=True)) / input.shape[0]


class Network(object):
    def __init__(self):
        self.layer_list = []
        self.params = []
        self.num_layers = 0

    def add(self, layer):
        self.layer_list.append(layer)
        self.num_layers += 1

    def forward(self, input):
        output = input
        for i in range(self.num_layers):
            output = self.layer_list[i].forward(output)
        return output

    def backward(self, grad_output):
        grad_input = grad_output
        for i in range(self.num_layers - 1, -1, -1):
            grad_input = self.layer_list[i].backward(grad_input)

    def update(self, config):
        for i in range(self.num_layers):
            if self.layer_list[i].trainable:
                self.layer_list[i].update(config)
