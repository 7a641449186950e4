"""Moves what training changes from layers to layers."""


def copy_state(sources, targets):
    """Copies weights and the states of dropout's seed generators from layers to layers.

    Args:
        sources: list of built layers.
        targets: list of built layers with weights of equal shapes in equal order.
    """
    for source, target in zip(_state(sources), _state(targets), strict=True):
        target.assign(source)


def _state(layers):
    weights = [weight for layer in layers for weight in layer.weights]
    seeds = [layer.seed_generator.state for layer in layers if hasattr(layer, "seed_generator")]
    return weights + seeds
