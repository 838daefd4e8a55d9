"""Run by extras.py in a process of its own: what augmentation costs, and what memory and precision can be saved.

    python -m benchmark_contenders.toolbox augmentation|memory|precision [ROUNDS]

Prints the rows of a table as tab-separated cells.
"""

import sys
import time
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from mlp import SGD, CrossEntropyLoss, Linear, Network, ReLU, Solver, load_mnist
from mlp.data.augmentation import Affine, AffineElastic, ElasticDistortion, GaussianNoise, Shift
from mlp.efficiency.memory import compression_error, measure_activation_bytes
from mlp.efficiency.mixed_precision import MixedPrecision
from mlp.efficiency.quantization import quantization_report
from mlp.layers import Compressed, Layer, Recompute

FILL = -128 / 255  # the background of MNIST as load_mnist gives it
AFFINE = {"degrees": 15, "shift": 2, "scale": 0.15, "shear": 15, "fill": FILL}


def augmentation(rounds: int) -> Iterator[list[str]]:
    """Processor time for the 60,000 training images, in batches of 100, the best of a few rounds."""
    x = load_mnist()[0].arrays(np.float32)[0]
    yield ["augmentation of 60,000 images", "seconds"]
    ways = {
        "GaussianNoise(0.1)": GaussianNoise(0.1),
        "Shift(2)": Shift(2, fill=FILL),
        "Affine: 15 degrees, 2 pixels, 15 %, shear 15": Affine(**AFFINE),
        "ElasticDistortion(34, 4)": ElasticDistortion(34, 4, fill=FILL),
        "AffineElastic, both in one resampling": AffineElastic(**AFFINE),
    }
    for name, augment in ways.items():
        seconds = []
        for _ in range(rounds):
            rng = np.random.default_rng(0)
            begin = time.process_time()
            for start in range(0, len(x), 100):
                augment.images(x[start : start + 100], rng)
            seconds.append(time.process_time() - begin)
        yield [name, f"{min(seconds):.2f}"]


def memory(rounds: int) -> Iterator[list[str]]:
    """Bytes that 784-1024-1024-1024-1024-10 remembers at batch 512, and the error of its gradient."""
    train = load_mnist()[0][:512]
    x, y = train.arrays(np.float32)
    ways = {
        "as it is": lambda *layers: layers,
        "Recompute, every hidden layer": lambda *layers: (Recompute(*layers),),
        'Compressed, storage="float16"': lambda *layers: (Compressed(*layers, storage="float16"),),
        'Compressed, storage="int8"': lambda *layers: (Compressed(*layers, storage="int8"),),
    }
    yield ["hidden layers", "held between the passes, MB", "peak of a step, MB", "gradient's relative error"]
    for name, wrap in ways.items():
        widths = [784, 1024, 1024, 1024, 1024]
        layers: list[Layer] = []
        for a, b in pairwise(widths):
            layers += wrap(Linear(a, b), ReLU())
        network = Network(*layers, Linear(1024, 10), rng=0, init="auto")
        held = measure_activation_bytes(network, x)
        error = compression_error(network, x, y, CrossEntropyLoss())["all"]
        yield [name, f"{held.held / 1e6:.1f}", f"{held.peak / 1e6:.1f}", f"{error:.1g}"]


def precision(rounds: int) -> Iterator[list[str]]:
    """784-512-10 after three epochs: trained in float32 and in mixed precision, and with int8 weights."""
    train, test = load_mnist()
    yield ["784-512-10 after 3 epochs", "test accuracy", "bytes of the weights", "skipped steps"]
    for name, mixed in (("float32", False), ("mixed precision", True)):
        network = Network(Linear(784, 512), ReLU(), Linear(512, 10), rng=2022)
        options = {"precision": MixedPrecision(network)} if mixed else {}
        solver = Solver(
            network, CrossEntropyLoss(), SGD(network.parameters, lr=0.05, momentum=0.9), epochs=3, **options
        )
        row = solver.fit(train, test)[-1]
        report = quantization_report(network, test)
        skipped = str(row["skipped_steps"]) if mixed else "–"
        yield [name, f"{row['test_accuracy']:.2%}", f"{report.bytes_before:,}", skipped]
        yield [f"{name}, then int8", f"{report.accuracy_after:.2%}", f"{report.bytes_after:,}", "–"]


if __name__ == "__main__":
    measure = {"augmentation": augmentation, "memory": memory, "precision": precision}[sys.argv[1]]
    for row in measure(int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        print(*row, sep="\t", flush=True)
