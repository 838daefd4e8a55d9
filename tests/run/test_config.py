"""Settings from YAML files and options: what is accepted, what overrides what, and how the rest is refused."""

import dataclasses
import inspect

import numpy as np
import pytest
import yaml
from running import PROJECT, SCRIPT, launch, wait

from mlp import SGD, InputError
from mlp.initializers import INITIALIZERS
from mlp.losses import LOSSES
from mlp.optim import OPTIMIZERS, register_optimizer
from mlp.run.building import make_configured_loss, make_configured_optimizer, make_network
from mlp.run.config import RunConfig, read_config
from mlp.run.options import parse_arguments
from mlp.run.settings import TOPICS
from mlp.run.yaml_files import read_mapping, to_yaml

SWEEP = PROJECT / "configs" / "wandb" / "sweep.yaml"  # for wandb, which makes options of it
RECIPES = sorted((PROJECT / "configs").glob("*.yaml"))
FIELDS = [f.name for f in dataclasses.fields(RunConfig)]

# For every setting: another value that is accepted, and values that are not, as YAML.
TABLE = {
    "hidden": ([7, 5], ["abc", "[0]", "[-1]", "[1.5]", "[[1]]", "[true]", "[1, a]", "0", "null", "{a: 1}"]),
    "activation": ("GeLU", ["Relo", "5", "null", "[ReLU]"]),
    "loss": ("Hinge", ["CrossEntropie", "5", "null"]),
    "margin": (0.5, ["0", "-1", ".nan", ".inf", "abc", "null", "[1]", "true"]),
    "init_std": (0.1, ["-0.01", ".nan", "abc", "null", "true"]),
    "learning_rate": (0.1, ["-0.1", ".nan", "-.inf", "abc", "{a: 1}", "true", "9" * 400]),
    "momentum": (0.5, ["-0.1", "1.1", ".nan", "abc", "null"]),
    "dampening": (0.5, ["-0.1", "1.1", ".nan", "abc", "null"]),
    "nesterov": (True, ["maybe", "2", "null", "[true]"]),
    "weight_decay": (0.1, ["-0.1", ".inf", "abc", "null"]),
    "normalization": ("BatchNorm", ["Batch", "5", "null"]),
    "dropout": (0.5, ["1", "-0.1", "1.5", ".nan", "abc", "null"]),
    "residual": (True, ["maybe", "2", "null"]),
    "init": ("he_normal", ["he", "constant", "5", "null"]),
    "init_bias": (0.01, [".nan", ".inf", "abc", "null"]),
    "label_smoothing": (0.1, ["1", "-0.1", ".nan", "abc", "null"]),
    "class_weights": (True, ["maybe", "2", "null"]),
    "l1": (0.1, ["-0.1", ".inf", "abc", "null"]),
    "l2": (0.1, ["-0.1", ".inf", "abc", "null"]),
    "max_norm": (3.0, ["0", "-1", ".nan", "abc", "true"]),
    "optimizer": ("Adam", ["Adamm", "5", "null"]),
    "beta1": (0.5, ["1", "-0.1", ".nan", "abc", "null"]),
    "beta2": (0.5, ["1", "-0.1", ".nan", "abc", "null"]),
    "schedule": ("cosine", ["cosinus", "5", "null"]),
    "warmup_epochs": (0.5, ["-1", ".nan", "abc", "null"]),
    "decay_epochs": (2.5, ["0", "-1", ".nan", "abc", "null"]),
    "milestones": ([2, 3], ["abc", "[0]", "[1.5]", "2.5", "null", "[[1]]", "[true]"]),
    "decay_factor": (0.5, ["-0.1", "1.1", ".nan", "abc", "null"]),
    "plateau_patience": (3, ["-1", "1.5", "abc", "true"]),
    "clip_norm": (1.0, ["0", "-1", ".nan", "abc", "true"]),
    "clip_value": (1.0, ["0", "-1", ".nan", "abc", "true"]),
    "accumulate": (2, ["0", "-1", "1.5", "abc", "null"]),
    "weight_average": (0.9, ["1", "-0.1", ".nan", "abc", "null"]),
    "early_stopping": (3, ["0", "-1", "1.5", "abc", "true"]),
    "validation": (0.1, ["1", "-0.1", ".nan", "abc", "null"]),
    "upsample": (True, ["maybe", "2", "null"]),
    "preprocessing": ("standardize", ["whiten", "5", "null"]),
    "pca": (20, ["0", "-1", "1.5", "abc", "true"]),
    "rotation": (15.0, ["-1", "361", ".nan", "abc", "null"]),
    "shift": (2.0, ["-1", ".inf", "abc", "null"]),
    "scaling": (0.1, ["1", "-0.1", ".nan", "abc", "null"]),
    "shear": (10.0, ["-1", "81", ".nan", "abc", "null"]),
    "elastic": (34.0, ["-1", ".inf", "abc", "null"]),
    "elastic_sigma": (3.0, ["0", "-1", ".nan", "abc", "null"]),
    "noise": (0.1, ["-1", ".inf", "abc", "null"]),
    "mixup": (0.2, ["-1", ".inf", "abc", "null"]),
    "adversarial": (0.1, ["-1", ".inf", "abc", "null"]),
    "mask_salient": (0.1, ["1", "-0.1", ".nan", "abc", "null"]),
    "threads": (2, ["0", "-1", "1.5", "abc", "true"]),
    "prefetch": (0, ["-1", "1.5", "abc", "null", "true"]),
    "batch_size": (10, ["0", "-5", "1.5", "abc", "true", "301"]),
    "epochs": (3, ["-1", "1.5", "ten", "null", "true"]),
    "seed": (0, ["-1", "1.5", "abc", "null", "true"]),
    "mixed_precision": (True, ["maybe", "2", "null"]),
    "recompute": (True, ["maybe", "2", "null"]),
    "dtype": ("float64", ["float16", "int32", "64", "null"]),
    "data": ("folder", ["5", "[a]", "/nowhere"]),
    "train_samples": (5, ["0", "-1", "1.5", "abc", "true", "301"]),
    "test_samples": (5, ["0", "-1", "1.5", "abc", "true", "101"]),
    "data_parallel": (2, ["0", "-1", "1.5", "abc", "null"]),
    "tensor_parallel": (2, ["0", "-1", "1.5", "abc", "null"]),
    "pipeline_stages": (2, ["0", "-1", "1.5", "abc", "null"]),
    "microbatches": (8, ["0", "-1", "1.5", "abc", "null"]),
    "pipeline_schedule": ("GPipe", ["Gpip", "5", "null"]),
    "shard": (1, ["-1", "4", "1.5", "abc", "null", "true"]),
    "output": ("folder", ["5", "[a]"]),
    "tracking": ("offline", ["on", "wandb", "null", "1"]),
    "project": ("thesis", ["''", "5", "null"]),
    "group": ("night", ["5", "[a]", "true"]),
    "log_every": (7, ["0", "-1", "2.5", "abc", "null"]),
    "inspect": (True, ["maybe", "2", "null"]),
    "checkpoint_seconds": (0.5, ["-1", ".nan", ".inf", "abc", "null"]),
}  # fmt: skip
# Settings that have an effect only beside others.
COMPANIONS = {
    "margin": {"loss": "Hinge"}, "beta1": {"optimizer": "Adam"}, "beta2": {"optimizer": "Adam"},
    "decay_epochs": {"schedule": "step_decay"}, "decay_factor": {"schedule": "step_decay"},
    "milestones": {"schedule": "multi_step"},
    "early_stopping": {"validation": 0.2}, "plateau_patience": {"validation": 0.2},
    "elastic_sigma": {"elastic": 34.0}, "prefetch": {"noise": 0.1}, "shard": {"data_parallel": 2},
    "microbatches": {"pipeline_stages": 2}, "pipeline_schedule": {"pipeline_stages": 2},
}  # fmt: skip
REFUSED = [
    pytest.param(name, value, id=f"{name}-{value[:9]}") for name, (_, values) in TABLE.items() for value in values
]
TEXTS = ("data", "output", "project", "group")  # as options these take any text, "5" as well


def parse(*arguments, base=None):
    return parse_arguments(list(arguments), "program", "description", base=base)[0]


@pytest.fixture
def write(tmp_path):
    """write(text) -> the path of a YAML file"""

    def call(text, name="settings.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


def plain(text) -> str:
    return "".join(c for c in str(text).lower() if c not in " '\"")


def test_every_setting_is_in_the_table():
    assert set(TABLE) == set(FIELDS)


def test_default_yaml_is_the_defaults():
    values = yaml.safe_load((PROJECT / "configs" / "default.yaml").read_text(encoding="utf-8"))
    assert set(values) == set(FIELDS)
    assert RunConfig(**values) == RunConfig() == read_config(PROJECT / "configs" / "default.yaml") == parse()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_load_and_build(recipe):
    config = parse(f"--config={recipe}")
    network = make_network(config, 784, 10, 0)
    assert (network.in_features, network.out_features) == (784, 10)
    make_configured_loss(config), make_configured_optimizer(config, network.parameters)
    if recipe.stem != "default":
        assert set(RunConfig().changes(config)) == set(yaml.safe_load(recipe.read_text(encoding="utf-8")))


def test_the_sweep_tries_settings_that_are_accepted():
    for name, choice in yaml.safe_load(SWEEP.read_text(encoding="utf-8"))["parameters"].items():
        tried = choice.get("values") or [choice.get("value", choice.get("min")), choice.get("max")]
        for value in filter(None, tried):
            assert getattr(parse(f"--{name}={value}"), name) == value


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_can_be_given_in_each_way(name, write):
    value, companions = TABLE[name][0], COMPANIONS.get(name, {})
    expected = RunConfig(**{name: value}, **companions)
    assert expected != RunConfig(**companions)
    others = [f"--{other}={setting}" for other, setting in companions.items()]
    assert parse(f"--config={write(yaml.safe_dump({name: value} | companions))}") == expected
    text = str(value).lower() if isinstance(value, bool) else str(value)
    assert parse(f"--{name}={text}", *others) == parse(f"--{name}", text, *others) == expected


def test_later_files_and_options_win(write):
    a = write("epochs: 1\nseed: 1\nloss: MSE\n", "a.yaml")
    b = write("epochs: 2\nseed: 2\n", "b.yaml")
    found = parse(f"--config={a}", f"--config={b}", "--epochs=3", "--hidden=4", "--hidden=5")
    assert (found.loss, found.seed, found.epochs, found.hidden) == ("MSE", 2, 3, [5])
    assert parse(f"--config={b}", f"--config={a}").seed == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--hidden=[256, 128]", "--learning_rate=0.1"], {"hidden": [256, 128], "learning_rate": 0.1}),
        (["--hidden=[]", "--nesterov=true"], {"hidden": [], "nesterov": True}),
        (["--hidden=256,128", "--nesterov=True"], {"hidden": [256, 128], "nesterov": True}),
        (["--hidden", "[64]", "--weight_decay=1e-3"], {"hidden": [64], "weight_decay": 1e-3}),
        (["--activation=gelu", "--loss=hinge"], {"activation": "GeLU", "loss": "Hinge"}),
        (["--learning_rate=1", "--group=null"], {"learning_rate": 1.0}),
        (["--group=5", "--project=1e5"], {"group": "5", "project": "1e5"}),
    ],
    ids=" ".join,
)
def test_what_a_shell_or_a_sweep_may_write(arguments, expected):
    assert parse(*arguments) == RunConfig(**expected)


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_wrong_value_is_one_line(name, value, refused, write, tmp_path):
    file = write(f"{name}: {value}")
    ways = [f"--config={file}"]
    if name not in TEXTS:
        option = str(yaml.safe_load(value)) if value.strip(".-") in ("nan", "inf") else value
        ways.append(f"--{name}={option}")
    for way in ways:
        message = refused(f"--output={tmp_path / 'run'}", way).removeprefix(f"{file}: ")
        assert message.startswith(f"{name}: got ")
        assert any(plain(got)[:40] in plain(message) for got in (value, yaml.safe_load(value)))
        assert "; accepted: " in message
        assert "<class" not in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", FIELDS)
def test_a_misspelt_setting_is_one_line(name, refused, write):
    typo = f"{name}x"
    assert refused(f"--{typo}=1") == f"unknown setting {typo!r}; did you mean {name}?"
    file = write(f"{typo}: 1")
    assert refused(f"--config={file}") == f"{file}: unknown key {typo!r} (value 1); did you mean {name}?"
    if "_" in name:
        assert f"did you mean {name}?" in refused(f"--{name.replace('_', '-')}=1")


@pytest.mark.parametrize("arguments", [["--zzzz=1"], ["zzzz"], ["--zzzz", "1"]], ids=" ".join)
def test_an_unknown_setting_names_all(arguments, refused):
    message = refused(*arguments)
    assert message.startswith("unknown setting 'zzzz'; accepted: ")
    assert all(name in message for name in FIELDS)


@pytest.mark.parametrize("name", ["epochs", "nesterov", "config"])
def test_an_option_without_a_value(name, refused):
    assert name in refused(f"--{name}")


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- 1\n- 2\n",
        "hello",
        "a: b: c",
        "\t",
        b"\xff\xfe\x80",
        "\x00",
        "epochs: !!python/name:os.system",
    ],
    ids=repr,
)
def test_a_broken_file_is_one_line_that_names_it(text, refused, write):
    assert "settings.yaml" in refused(f"--config={write(text)}")


@pytest.mark.parametrize("name", ["missing.yaml", ".", "missing/folder.yaml"])
def test_a_missing_file_is_one_line_that_names_it(name, refused, tmp_path):
    assert str(tmp_path / name) in refused(f"--config={tmp_path / name}")


@pytest.mark.parametrize("text", ["", "# nothing is changed\n"])
def test_an_empty_file_changes_nothing(text, write):
    assert parse(f"--config={write(text)}") == RunConfig()


@pytest.mark.parametrize(
    "options", [{"momentum": 0}, {"momentum": 0.9, "dampening": 0.1}], ids=["no momentum", "dampening"]
)
def test_nesterov_needs_momentum(options, refused):
    message = refused("--nesterov=true", *(f"--{name}={value}" for name, value in options.items()))
    assert message == "nesterov: got True; accepted: false unless momentum is above 0 and dampening 0"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["mixup=0.2", "loss=Hinge"], "mixup: got 0.2; accepted: 0 unless the loss takes soft labels"),
        (
            ["mixed_precision=true", "dtype=float64"],
            "mixed_precision: got True; accepted: false unless dtype is float32",
        ),
        (["data_parallel=2", "inspect=true"], "inspect: got True; accepted: false unless there is one process"),
        (["tensor_parallel=2", "l2=0.1"], "l2: got 0.1; accepted: 0 unless tensor_parallel and pipeline_stages"),
        (["tensor_parallel=2", "dropout=0.1"], "dropout: got 0.1; accepted: 0 unless tensor_parallel is 1"),
        (["pipeline_stages=2", "accumulate=2"], "accumulate: got 2; accepted: 1 unless pipeline_stages is 1"),
        (["pipeline_stages=2", "shard=1"], "shard: got 1; accepted: 0 unless tensor_parallel and"),
        (
            ["residual=true"],
            "residual: got True; accepted: false unless a hidden layer keeps its width, here '784-",
        ),
        (["pipeline_stages=2", "data_parallel=2"], "pipeline_stages: got 2; accepted: 1 unless data_parallel and"),
        (
            ["data_parallel=2"],
            "data 2 × tensor 1 × pipeline 1: for 2 processes, there are 1; start with python -m mlp.p",
        ),
        (["early_stopping=3"], "early_stopping: got 3; accepted: null unless validation is above 0"),
        (["plateau_patience=0"], "plateau_patience: got 0; accepted: null unless validation is above 0"),
        (["shift=2", "pca=5"], "shift: got 2.0; accepted: 0 unless preprocessing is none and pca null"),
        (["elastic=34", "preprocessing=center"], "elastic: got 34.0; accepted: 0 unless preprocessing is none"),
        (["warmup_epochs=3"], "warmup_epochs: got 3; accepted: less than the 3 epochs"),
        (["validation=0.001"], "validation: got 0.001: "),
        (
            ["validation=0.95", "batch_size=30"],
            "batch_size: got 30; accepted: an integer from 1 to 15, the training",
        ),
        (["pca=800"], "preprocessing: PCA.fit: 800 axes need"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_settings_that_do_not_go_together(options, message, refused):
    assert refused(*(f"--{option}" for option in options)).startswith(message)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", (256, 128)), ("hidden", 256), ("learning_rate", "0.1"), ("learning_rate", 10**400),
        ("epochs", 2.0), ("seed", None), ("data", 5), ("nesterov", 1), ("activation", None),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_in_python_values_are_checked_as_well(name, value):
    with pytest.raises(InputError, match=f"^{name}: got .*; accepted: "):
        RunConfig(**{name: value})


@pytest.mark.parametrize(
    "settings",
    [
        *({name: value} | COMPANIONS.get(name, {}) for name, (value, _) in TABLE.items()),
        {"hidden": [], "learning_rate": 1e-300, "init_std": 5e-324, "seed": 10**30},
        *({name: text} for name in ("group", "project") for text in ("5", "1e5", "true", "[1]", "é: #")),
    ],
    ids=str,
)
def test_resolved_settings_read_back(settings, write):
    config = RunConfig(**settings)
    assert read_config(write(to_yaml(config.as_dict()))) == config


class TestWithoutEffect:
    """What was given and would be ignored is refused; a default, and the record of an older version, never are."""

    IDLE = (
        (["margin=0.5"], "margin: got 0.5; accepted: 0.1 unless the loss is CrammerSinger or Hinge"),
        (["momentum=0.5", "optimizer=AdaGrad"], "momentum: got 0.5; accepted: 0.9 unless the optimizer is "),
        (["momentum=0", "optimizer=Adam"], "momentum: got 0.0; accepted: 0.9 unless the optimizer is "),
        (["dampening=0.5", "optimizer=AdamW"], "dampening: got 0.5; accepted: 0 unless the optimizer is SGD"),
        (["nesterov=true", "optimizer=Adam"], "nesterov: got True; accepted: false unless the optimizer is "),
        (["beta1=0.8"], "beta1: got 0.8; accepted: 0.9 unless the optimizer is Adam, AdamW"),
        (["beta2=0.8", "optimizer=RMSProp"], "beta2: got 0.8; accepted: 0.999 unless the optimizer is Adam"),
        (["label_smoothing=0.1", "loss=Hinge"], "label_smoothing: got 0.1; accepted: 0 unless the loss is CE"),
        (["class_weights=true", "loss=MSE"], "class_weights: got True; accepted: false unless the loss is "),
        (["init_std=0.1", "init=he_normal"], "init_std: got 0.1; accepted: 0.01 unless init is normal"),
        (["decay_epochs=3"], "decay_epochs: got 3.0; accepted: 10 unless the schedule is "),
        (["decay_factor=0.5", "schedule=cosine"], "decay_factor: got 0.5; accepted: 0.1 unless the schedule is "),
        (["elastic_sigma=3"], "elastic_sigma: got 3.0; accepted: 4 unless elastic is above 0"),
        (["microbatches=8"], "microbatches: got 8; accepted: 4 unless a pipeline has microbatches"),
        (
            ["microbatches=8", "pipeline_stages=2", "pipeline_schedule=model-parallel"],
            "microbatches: got 8; accepted: 4 unless a pipeline has microbatches",
        ),
        (["pipeline_schedule=GPipe"], "pipeline_schedule: got 'GPipe'; accepted: 1F1B unless pipeline_stages is "),
        (["shard=1"], "shard: got 1; accepted: 0 unless data_parallel is above 1"),
    )

    @pytest.mark.parametrize(("options", "message"), IDLE, ids=lambda value: str(value)[:40])
    def test_it_is_refused_as_option_file_and_argument(self, options, message, refused, write):
        assert refused(*(f"--{option}" for option in options)).startswith(message)
        text = "\n".join(option.replace("=", ": ") for option in options)
        assert refused(f"--config={write(text)}").startswith(message)
        with pytest.raises(InputError) as error:
            RunConfig(**yaml.safe_load(text))
        assert str(error.value).startswith(message)

    @pytest.mark.parametrize("optimizer", OPTIMIZERS)
    @pytest.mark.parametrize("loss", LOSSES)
    def test_a_default_is_never_refused(self, optimizer, loss):
        assert parse(f"--optimizer={optimizer}", f"--loss={loss}", "--margin=0.1", "--beta1=0.9").loss == loss

    def test_only_the_settings_as_they_end_up_count(self, write):
        margin, hinge = write("margin: 0.5", "margin.yaml"), write("loss: Hinge", "hinge.yaml")
        assert parse(f"--config={margin}", "--loss=hinge").margin == 0.5
        assert parse(f"--config={margin}", f"--config={hinge}").margin == 0.5

    @pytest.mark.parametrize("ways", [["--config={}"], ["--config={}", "--epochs=5"]])
    def test_a_record_of_before_is_read_and_says_what_it_ignores(self, ways, write, caplog):
        record = RunConfig().as_dict() | {"margin": 0.5, "beta1": 0.8, "shard": 1, "microbatches": 8}
        path = write(yaml.safe_dump(record))
        found = parse(*(way.format(path) for way in ways))
        assert dataclasses.replace(found, epochs=10) == RunConfig()
        ignored = {line.split(": ")[1] for line in caplog.messages}
        assert ignored == {"margin", "beta1", "microbatches", "shard"}
        assert "margin: 0.5 has no effect unless the loss is CrammerSinger or Hinge; 0.1 is taken" in caplog.text

    def test_what_a_change_leaves_without_effect_goes_back_to_its_default(self):
        """A run of a pipeline, resumed by one process; but what is given with the change is refused as ever."""
        stored = RunConfig(pipeline_stages=2, microbatches=8, pipeline_schedule="GPipe")
        assert parse("--pipeline_stages=1", base=stored) == RunConfig()
        with pytest.raises(InputError, match=r"^microbatches: got 8; accepted: 4 unless a pipeline"):
            parse("--pipeline_stages=1", "--microbatches=8", base=stored)

    def test_a_run_of_before_is_resumed(self, train, done):
        path = done / "config.yaml"
        path.write_text(path.read_text().replace("margin: 0.1", "margin: 0.5"))
        assert train(f"--resume={done}", "--epochs=4")[0] == 0

    def test_what_cannot_be_done_is_refused_in_a_record_too(self, write, refused):
        record = RunConfig().as_dict() | {"mixed_precision": True, "dtype": "float64"}
        assert "mixed_precision: got True; accepted: false unless dtype is float32" in refused(
            f"--config={write(yaml.safe_dump(record))}"
        )


class TestPartsOfOnesOwn:
    """What is registered can be chosen, and is told the settings that its constructor names."""

    @pytest.fixture
    def told(self):
        found: dict = {}

        @register_optimizer("NewOne")
        class NewOne(SGD):
            def __init__(self, parameters, lr=0.03, beta1=0.5, weight_decay=0.0):
                found.update(lr=lr, beta1=beta1, weight_decay=weight_decay)
                super().__init__(parameters, lr)

        yield found
        del OPTIMIZERS["NewOne"]

    def test_an_optimizer_is_told_its_settings(self, told):
        config = parse("--optimizer=newone", "--beta1=0.8")
        make_configured_optimizer(config, make_network(config, 4, 3, 0).parameters)
        assert told == {"lr": 0.03, "beta1": 0.8, "weight_decay": 1e-5}

    def test_and_no_others(self, told, refused):
        message = refused("--optimizer=NewOne", "--beta2=0.8")
        assert message.startswith("beta2: got 0.8; accepted: 0.999 unless the optimizer is Adam")
        assert "NewOne" not in message
        assert "NewOne" in refused("--optimizer=NewTwo")

    def test_an_initializer(self, monkeypatch):
        monkeypatch.setitem(INITIALIZERS, "ones", lambda: lambda shape, rng: np.ones(shape))
        assert make_network(parse("--init=ones"), 4, 3, 0).parameters["0.weight"].data.min() == 1


class TestLearningRate:
    @pytest.mark.parametrize("name", OPTIMIZERS)
    def test_it_is_the_optimizers_own_unless_given(self, name):
        config = parse(f"--optimizer={name}")
        own = inspect.signature(OPTIMIZERS[name]).parameters["lr"].default
        assert config.lr == config.as_dict()["learning_rate"] == own
        assert make_configured_optimizer(config, make_network(config, 4, 3, 0).parameters).lr == own
        assert parse(f"--optimizer={name}", "--lr=0.25").lr == 0.25

    def test_that_of_sgd_stays(self):
        assert RunConfig().lr == 0.05
        assert RunConfig() == RunConfig(learning_rate=0.05)

    def test_an_optimizer_chosen_later_brings_its_own(self):
        assert dataclasses.replace(RunConfig(), optimizer="Adam").lr == 0.001
        assert dataclasses.replace(RunConfig(learning_rate=0.05), optimizer="Adam").lr == 0.05

    def test_its_short_name(self, write, refused):
        assert parse("--lr", "0.1") == parse(f"--config={write('lr: 0.1')}") == RunConfig(learning_rate=0.1)
        twice = write("lr: 1\nlearning_rate: 1")
        assert "learning_rate is given twice" in refused(f"--config={twice}")


class TestAsPeopleWrite:
    @pytest.mark.parametrize("text", ["-1e-3", "-0.001", "-.001", "-1E-3"])
    def test_negative_numbers(self, text):
        assert parse("--init_bias", text) == parse(f"--init_bias={text}") == RunConfig(init_bias=-0.001)

    @pytest.mark.parametrize("text", ["None", "null", "none", "~"])
    @pytest.mark.parametrize("name", ["batch_size", "pca", "early_stopping", "clip_norm", "max_norm", "group"])
    def test_null(self, name, text):
        assert getattr(parse(f"--{name}={text}"), name) is None

    @pytest.mark.parametrize("name", FIELDS)
    def test_an_empty_option(self, name, refused):
        assert refused(f"--{name}=").startswith(f"{name}: got ''; accepted: ")

    @pytest.mark.parametrize("text", ["[256", "256,,128", "256,", ",", "[,]", "1.5", "(1,2)", "9" * 5000])
    def test_what_is_no_list(self, text, refused):
        assert refused(f"--hidden={text}").startswith("hidden: got '")

    def test_the_users_home(self, monkeypatch, refused):
        monkeypatch.setenv("HOME", "/somewhere")
        assert parse("--output=~/x", "--data=~").output == "/somewhere/x"
        assert "output: got '~nobody-here/x'" in refused("--output=~nobody-here/x")

    def test_scalars_of_yaml_mean_what_they_look_like(self, write):
        """Not 8, 90 and a date, as YAML 1.1 says."""
        values = read_mapping(write("a: 010\nb: 1:30\nc: 2001-02-30\nd: 1e-5\ne: yes\nf: ~\ng: .5\nh: +7\ni: 0x1F"))
        assert [*values.values()] == [10, "1:30", "2001-02-30", 1e-5, True, None, 0.5, 7, "0x1F"]

    @pytest.mark.parametrize("name", ["resume", "config", "data", "output"])
    def test_a_path_whose_name_is_too_long(self, name, refused):
        assert "a" * 300 in refused(f"--{name}={'a' * 300}")

    def test_help_by_topic(self, capsys):
        with pytest.raises(SystemExit) as end:
            parse("--help")
        out = capsys.readouterr().out
        assert end.value.code == 0
        positions = [out.index(f"\n{topic}:\n") for topic in TOPICS.values()]
        assert positions == sorted(positions)
        assert out.index("\nthe optimizer:\n") < out.index("--momentum") < out.index("\nthe data:\n")
        assert " at 0x" not in out
        assert "function" not in out


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().epochs = 5


def test_the_real_script_refuses_and_helps():
    line = "run_mlp.py: unknown setting 'learning-rate'; did you mean learning_rate?\n"
    assert wait(launch(SCRIPT, "--learning-rate=0.1")) == (2, "", line)
    status, out, err = wait(launch(SCRIPT, "--help"))
    assert (status, err) == (0, "")
    assert all(f"--{name}" in out for name in [*FIELDS, "config", "resume"])
