"""Times a training step of the documented systems in stock Keras, fastconv and PyTorch.

The variants run in turn in one process: stock Keras and fastconv each with `jit_compile=False`
("plain") and with `jit_compile=True` ("XLA"). What `model.compile()` chooses by itself ("default")
is one of the two; the report says which. A step is what `model.fit` runs per batch: fetching it,
forward, loss, backward, optimizer and metrics, through the model's own train function, until all of
it is done. The batch is random and stays in memory.

With `--steps-per-execution N`, three more variants run N steps in a call, compiled by XLA: stock
Keras, which calls a program per step ("grouped"), and both with `fastconv.fuse_steps`, which makes
one program of them ("one program").

On a GPU, the batch is copied from the CPU's memory in every step, as in `fit`.
"""

from benchmarks import command, comparison, plots, systems


def _add_options(parser):
    parser.add_argument(
        "--steps-per-execution",
        type=command.count,
        metavar="N",
        help="above 1 also time groups of N steps (default: 20 on a GPU; 1 on a CPU, where the "
        "program of the stock model takes N times as long to compile)",
    )


PART = command.Part(
    name="train_step",
    description=__doc__,
    measure=lambda options: comparison.measure(
        options, systems.training_step, "training_step", options.steps_per_execution
    ),
    markdown=comparison.markdown,
    plot=lambda results, path: plots.speed_ups(results, path, "training step"),
    defaults={"cpu": {"steps_per_execution": 1}, "gpu": {"steps_per_execution": 20}},
    add_options=_add_options,
)

if __name__ == "__main__":
    PART.run()
