"""The table of epochs."""

import numpy as np
import pytest

from mlp import History, InputError

ROWS = [
    {"step": 10, "epoch": 1, "train_loss": 2.0, "train_accuracy": 0.25},
    {"step": 20, "epoch": 2, "train_loss": 0.5, "train_accuracy": 0.75, "test_loss": 1.0},
]


@pytest.fixture
def history():
    return History([dict(row) for row in ROWS])


def test_rows_and_columns(history):
    assert (len(history), list(history), history[0], history[-1]) == (2, ROWS, ROWS[0], ROWS[1])
    assert history.columns == ["step", "epoch", "train_loss", "train_accuracy", "test_loss"]
    assert history["train_loss"].tolist() == [2.0, 0.5]
    assert history["epoch"].dtype == np.float64
    np.testing.assert_array_equal(history["test_loss"], [np.nan, 1.0])
    history.append({"step": 30})
    assert len(history) == 3


def test_an_unknown_column_names_the_known_ones(history):
    with pytest.raises(KeyError, match="no column 'loss'; there are: step, epoch, train_loss"):
        history["loss"]
    with pytest.raises(KeyError, match="none yet"):
        History()["loss"]


def test_it_prints_itself(history):
    assert repr(history).splitlines() == [
        "step  epoch  train_loss  train_accuracy  test_loss",
        "  10      1      2.0000          0.2500           ",
        "  20      2      0.5000          0.7500     1.0000",
    ]
    assert repr(History()) == "History(no epochs yet)"


def test_it_plots_itself(history):
    assert [ax.get_ylabel() for ax in history.plot().axes] == ["loss", "accuracy (%)"]
    with pytest.raises(InputError, match="no epoch has finished"):
        History().plot()


def test_histories_share_nothing():
    History().append({"step": 1})
    assert len(History()) == 0
