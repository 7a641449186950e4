"""Times a prediction of the documented systems in stock Keras, fastconv and PyTorch.

The variants of `train_step`, on what `model.predict` runs per batch: fetching it, the forward pass
without dropout and with batch normalisation by its moving statistics, and the result as an array.
The batch is random and stays in memory.
"""

from benchmarks import command, comparison, plots, systems

PART = command.Part(
    name="inference",
    description=__doc__,
    measure=lambda options: comparison.measure(options, systems.prediction_step, "prediction_step"),
    markdown=comparison.markdown,
    plot=lambda results, path: plots.speed_ups(results, path, "prediction"),
    defaults={"cpu": {}, "gpu": {}},
)

if __name__ == "__main__":
    PART.run()
