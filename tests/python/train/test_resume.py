"""Interrupted trainings end as uninterrupted ones: in every bit, where the kernels repeat."""

import functools
import json
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
from commands import refusal
from helpers import REPOSITORY
from image_folders import write_dataset
from interrupts import send_signal

from fastconv import cli
from fastconv.train import Run

EPOCHS = 4
STEPS = 5
# Dropout, batch normalisation, a learning rate that falls, slots of RMSprop, augmentation, and a
# last batch that is smaller.
SETTINGS = ["--image-size", "12", "--batch-size", "4", "--patience", "0", "--seed", "5"]
TIMES = ("seconds", "images_per_second", "input_share")

pytestmark = pytest.mark.usefixtures("needs_native")  # TensorFlow's own kernels need not repeat


def arguments(data, output, precision="float32"):
    return [
        *("train", "fruits360", "--data", str(data), "--output", str(output)),
        *("--epochs", str(EPOCHS), "--precision", precision, *SETTINGS),
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("photos"), train=9, test=3)


def whole_run(data, folder, precision):
    assert cli.main(arguments(data, folder / "whole", precision)) == 0
    return Run(folder / "whole")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run without an interrupt."""
    return whole_run(data, tmp_path_factory.mktemp("whole"), "float32")


def assert_equal_runs(run, whole):
    def facts(row):
        return {name: value for name, value in row.items() if name not in TIMES}

    assert list(map(facts, run.history)) == list(map(facts, whole.history))
    assert run.result["best_epoch"] == whole.result["best_epoch"]
    # With the optimizer's state.
    model, expected = (keras.saving.load_model(one.model_file) for one in (run, whole))
    variables = zip(
        [*model.variables, *model.optimizer.variables],
        [*expected.variables, *expected.optimizer.variables],
        strict=True,
    )
    for variable, other in variables:
        if "seed_generator" not in variable.path:  # which Keras's files leave out
            np.testing.assert_array_equal(variable, other, err_msg=variable.path)


def test_the_run_is_worth_comparing(whole):
    assert [row["epoch"] for row in whole.history] == list(range(1, EPOCHS + 1))
    assert len({row["loss"] for row in whole.history}) == EPOCHS
    assert not whole.resume_folder.exists()


@pytest.mark.parametrize(
    ("number", "epoch", "step"),
    [
        (signal.SIGINT, 0, 0),
        (signal.SIGINT, 1, 3),
        (signal.SIGTERM, 2, 1),
        (signal.SIGINT, EPOCHS - 1, STEPS - 1),
    ],
)
def test_resuming_gives_the_uninterrupted_result(
    data, whole, tmp_path, monkeypatch, capfd, number, epoch, step
):
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    output = tmp_path / "a run"
    with monkeypatch.context() as patch:
        send_signal(number, epoch, step, patch.setattr)
        assert cli.main(arguments(data, output)) == 130
    assert capfd.readouterr().err.splitlines()[-1] == (
        f"fastconv: interrupted, saved after step {step} of epoch {epoch + 1}; "
        f"continue with: fastconv train --resume '{output}'"
    )
    assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    assert cli.main(["train", "--resume", str(output)]) == 0
    assert_equal_runs(Run(output), whole)


@pytest.fixture
def python_handles_interrupts():
    """Else a shell's background jobs, which ignore SIGINT, would ignore the second one, too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handles_interrupts")
def test_a_second_signal_ends_at_once(data, whole, tmp_path, monkeypatch, capfd):
    output = tmp_path / "run"
    with monkeypatch.context() as patch:
        send_signal(signal.SIGINT, 1, 3, patch.setattr, times=2)
        assert cli.main(arguments(data, output)) == 130
    last = capfd.readouterr().err.splitlines()[-1]
    assert "nothing saved since the last epoch; continue with: fastconv train --resume" in last
    assert cli.main(["train", "--resume", str(output)]) == 0
    assert_equal_runs(Run(output), whole)


def test_repeated_interrupts_and_mixed_precision(data, tmp_path, monkeypatch):
    whole = whole_run(data, tmp_path, "mixed_float16")  # whose optimizer scales the loss
    output = tmp_path / "run"
    for command, place in (
        (arguments(data, output, "mixed_float16"), (0, 2)),
        (["train", "--resume", str(output)], (0, 4)),
        (["train", "--resume", str(output)], (2, 1)),
    ):
        with monkeypatch.context() as patch:
            send_signal(signal.SIGINT, *place, patch.setattr)
            assert cli.main(command) == 130
    assert cli.main(["train", "--resume", str(output)]) == 0
    assert_equal_runs(Run(output), whole)


def test_early_stopping_remembers(data, tmp_path, monkeypatch):
    """With a learning rate that changes nothing, no epoch is better than the first."""
    options = ["--learning-rate", "1e-30", "--patience", "3", "--epochs", "9"]
    output = tmp_path / "run"
    with monkeypatch.context() as patch:
        send_signal(signal.SIGINT, 2, 1, patch.setattr)
        assert cli.main([*arguments(data, output), "--variant", "v1", *options]) == 130
    assert cli.main(["train", "--resume", str(output)]) == 0
    result = Run(output).result
    assert (result["best_epoch"], result["epochs"], result["stopped"]) == (1, 4, "early stopping")


def test_what_was_killed_is_resumed(data, whole, tmp_path, capsys):
    """Nothing was saved in the epoch of kill -9: it is done again."""
    output = tmp_path / "run"
    script = (
        f"import sys; sys.path[:0] = {[str(REPOSITORY / 'tests' / 'python'), *sys.path]}\n"
        "import interrupts\n"
        "from fastconv import cli\n"
        f"interrupts.send_signal({signal.SIGKILL:d}, 2, 3)\n"
        f"cli.main({arguments(data, output)})"
    )
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [row["epoch"] for row in Run(output).history] == [1, 2]
    assert cli.main(["train", "--resume", str(output)]) == 0
    assert "at epoch 3, step 1" in capsys.readouterr().out
    assert_equal_runs(Run(output), whole)


@pytest.fixture
def interrupted(data, tmp_path, monkeypatch):
    output = tmp_path / "run"
    with monkeypatch.context() as patch:
        send_signal(signal.SIGINT, 1, 1, patch.setattr)
        assert cli.main([*arguments(data, output), "--variant", "v1"]) == 130
    return output


def test_times_add_up(interrupted):
    run, file = Run(interrupted), interrupted / "resume" / "state.npz"
    with np.load(file) as state:
        saved = dict(state)
    point = json.loads(str(saved["point"]))
    assert 0 < point["wait_seconds"] < point["seconds"]
    assert point["wall_seconds"] > point["seconds"] + run.history[0]["seconds"]
    # As if it had begun an hour before: so long the rest cannot take.
    point |= {"wait_seconds": 3600.0, "seconds": 3700.0, "wall_seconds": 3800.0}
    np.savez(file, **(saved | {"point": json.dumps(point)}))
    assert cli.main(["train", "--resume", str(interrupted)]) == 0
    row = run.history[1]
    assert row["seconds"] > 3700
    assert row["images_per_second"] == pytest.approx(18 / row["seconds"])
    assert row["seconds"] * row["input_share"] > 3600
    assert row["input_share"] < 1
    assert run.result["wall_seconds"] > 3800


def test_other_settings_or_images_are_refused(data, interrupted, capsys):
    resume = functools.partial(refusal, capsys, "train", "--resume", interrupted)
    assert "epochs=9 instead of 4" in resume("--epochs", 9)
    assert "system=cifar10 instead of fruits360" in resume("cifar10")
    assert "leave --output out" in resume("--output", "elsewhere")
    for split in ("train", "test"):
        moved = data / split / "cat" / "0.png"
        moved.rename(data / "moved.png")
        try:
            assert "images are not those" in resume("--epochs", EPOCHS)
        finally:
            (data / "moved.png").rename(moved)
    state = interrupted / "resume" / "state.npz"
    state.write_bytes(state.read_bytes()[:-50])
    line = resume()
    assert "state is damaged" in line
    assert str(state) in line


def test_only_unfinished_runs_are_resumed(whole, tmp_path, capsys):
    for folder, words in ((whole.path, "has finished"), (tmp_path, "no readable config.json")):
        line = refusal(capsys, "train", "--resume", folder)
        assert words in line
        assert str(folder) in line


def test_a_new_run_leaves_an_old_one_alone(data, whole, interrupted, capsys):
    before = whole.model_file.read_bytes()
    assert cli.main(arguments(data, whole.path)) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert whole.model_file.read_bytes() == before
    assert cli.main(arguments(data, interrupted)) == 2
    assert "--resume" in capsys.readouterr().err


def test_a_copied_run_resumes_where_it_lies(interrupted, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(interrupted, copy)
    shutil.rmtree(interrupted)
    assert cli.main(["train", "--resume", str(copy)]) == 0
    assert Run(copy).finished
