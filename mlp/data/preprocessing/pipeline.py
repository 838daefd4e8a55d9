"""Several preprocessings in a row, which are fitted, used and saved as one."""

from __future__ import annotations

from collections.abc import Mapping

from mlp.arrays import Array
from mlp.checks import InputError
from mlp.data.preprocessing.base import Array64, Blocks, Preprocessing


class Pipeline(Preprocessing):
    """z = T_n(... T_1(x)): each step is fitted on what the steps before it make of the training set.

    Its state holds the arrays of step i as "i.name". Raises ``InputError`` for no steps.
    """

    def __init__(self, *steps: Preprocessing) -> None:
        if not steps or not all(isinstance(step, Preprocessing) for step in steps):
            raise InputError(f"Pipeline: the steps must be preprocessings, at least one, got {steps!r}")
        if len({id(step) for step in steps}) < len(steps):
            raise InputError(f"Pipeline: a step is given twice, got {steps!r}; make a second one")
        self.steps = steps
        self.keeps_features = all(step.keeps_features for step in steps)

    def fit_blocks(self, blocks: Blocks) -> None:
        for step in self.steps:
            step.fit_blocks(blocks)
            blocks = _transformed(blocks, step)

    def transform(self, x: Array) -> Array:
        for step in self.steps:
            x = step.transform(x)
        return x

    def inverse_transform(self, z: Array) -> Array:
        for step in reversed(self.steps):
            z = step.inverse_transform(z)
        return z

    def state_dict(self) -> dict[str, Array64]:
        return {
            f"{i}.{name}": array for i, step in enumerate(self.steps) for name, array in step.state_dict().items()
        }

    def check_state_dict(self, state: Mapping[str, Array]) -> None:
        parts = self._parts(state)
        if sum(map(len, parts)) < len(state):
            raise InputError(f"Pipeline of {len(parts)} steps: the state has others: {', '.join(state)}")
        for step, part in zip(self.steps, parts, strict=True):
            step.check_state_dict(part)

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        self.check_state_dict(state)
        for step, part in zip(self.steps, self._parts(state), strict=True):
            step.load_state_dict(part)

    def _parts(self, state: Mapping[str, Array]) -> list[dict[str, Array]]:
        starts = [f"{i}." for i in range(len(self.steps))]
        return [{n.removeprefix(start): a for n, a in state.items() if n.startswith(start)} for start in starts]

    def __repr__(self) -> str:
        return f"Pipeline({', '.join(map(repr, self.steps))})"


def _transformed(blocks: Blocks, step: Preprocessing) -> Blocks:
    return lambda: (step.transform(x) for x in blocks())
