"""Times a training step of the documented systems in stock Keras, fastconv and PyTorch.

The variants run in turn in one process: stock Keras and fastconv each with `jit_compile=False`
("plain") and with `jit_compile=True` ("XLA"). What `model.compile()` chooses by itself ("default")
is one of the two; the report says which. A step is what `model.fit` runs per batch: fetching it,
forward, loss, backward, optimizer and metrics, through the model's own train function, until all of
it is done. The batch is random and stays in memory.
"""

from benchmarks import command, comparison, plots, systems

PART = command.Part(
    name="train_step",
    description=__doc__,
    measure=lambda options: comparison.measure(options, systems.training_step, "training_step"),
    markdown=comparison.markdown,
    plot=lambda results, path: plots.speed_ups(results, path, "training step"),
)

if __name__ == "__main__":
    PART.run()
