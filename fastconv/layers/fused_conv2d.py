"""The fused convolution layer."""

import keras
from keras import constraints, initializers, regularizers

from fastconv import ops
from fastconv.layers import requirements
from fastconv.layers.activation import fused_activation
from fastconv.layers.dropout import next_seed
from fastconv.ops import arguments


@keras.saving.register_keras_serializable(package="fastconv")
class FusedConv2D(keras.layers.Conv2D):
    """Convolution, batch normalisation, activation, max pooling and dropout in one layer.

    Computes `dropout(pool(activation(batch_norm(conv2d(inputs, kernel) + bias))))`, where all but
    the convolution is optional. It stands for `keras.layers.Conv2D`, followed by
    `BatchNormalization`, `Activation`, `MaxPooling2D` and `Dropout` or `SpatialDropout2D`: the same
    weights under the same names and in the same order, so that `get_weights` and `set_weights` move
    them between the two, and the same behaviour in training, in inference and with
    `trainable=False`. With the same seed dropout's mask is the same, bit for bit, as without XLA in
    the stock layers; stock layers under XLA draw other numbers.

    None, `"linear"`, `"relu"`, `"leaky_relu"` and `keras.layers.ReLU` and `LeakyReLU` are computed
    inside the fused op; any other activation is applied by Keras's own code, after convolution and
    normalisation and before pooling, and dropout then is Keras's own too. As `keras.layers.Conv2D`,
    the layer takes no masks.

    Args:
        filters: int, the number of output channels.
        kernel_size: int or pair of ints.
        strides: int or pair of ints. Defaults to `(1, 1)`.
        padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        data_format: `"channels_last"`, or None if that is Keras's setting. Defaults to `None`.
        dilation_rate: int or pair of ints. Defaults to `(1, 1)`.
        groups: int, the number of channel groups. Defaults to `1`.
        activation: name, function or layer. Defaults to `None`.
        use_bias: bool. Defaults to `True`.
        kernel_initializer: Defaults to `"glorot_uniform"`.
        bias_initializer: Defaults to `"zeros"`.
        kernel_regularizer: Defaults to `None`.
        bias_regularizer: Defaults to `None`.
        activity_regularizer: a function of the layer's output. Defaults to `None`.
        kernel_constraint: Defaults to `None`.
        bias_constraint: Defaults to `None`.
        batch_norm: bool, whether to normalise; the arguments from `momentum` on are for that.
            Defaults to `False`.
        negative_slope: float >= 0, the slope of leaky ReLU below zero, with `activation` None or
            `"leaky_relu"`. None means the activation's own. Defaults to `None`.
        pool_size: int or pair of ints, the max pooling window; None for no pooling. Defaults to
            `None`.
        pool_strides: int or pair of ints; None means `pool_size`. Defaults to `None`.
        pool_padding: `"valid"` or `"same"`. Defaults to `"valid"`.
        momentum: float, of the moving averages. Defaults to `0.99`.
        epsilon: float, added to the variance. Defaults to `1e-3`.
        center: bool, whether there is a `beta`. Defaults to `True`.
        scale: bool, whether there is a `gamma`. Defaults to `True`.
        beta_initializer: Defaults to `"zeros"`.
        gamma_initializer: Defaults to `"ones"`.
        moving_mean_initializer: Defaults to `"zeros"`.
        moving_variance_initializer: Defaults to `"ones"`.
        beta_regularizer: Defaults to `None`.
        gamma_regularizer: Defaults to `None`.
        beta_constraint: Defaults to `None`.
        gamma_constraint: Defaults to `None`.
        synchronized: bool, whether the batch statistics are those over all replicas of a
            distribution strategy. Defaults to `False`.
        dropout: float from 0 to 1, the fraction of the outputs that training sets to 0, as
            `keras.layers.Dropout` does. Defaults to `0.0`.
        spatial_dropout: float from 0 to 1, the fraction of whole channels of an image, as
            `keras.layers.SpatialDropout2D`; at most one of the two may be other than 0. Defaults to
            `0.0`.
        seed: int, where dropout's sequence of masks begins; None for a new one. Defaults to `None`.
        **kwargs: those of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: tensor `(batch, height, width, channels)`.
        training: bool, whether the batch normalises itself and updates the moving averages (not
            with `trainable=False`), or the moving averages normalise it; and whether there is
            dropout.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, new_height, new_width, filters)`.

    Raises:
        RuntimeError: Keras's backend is not TensorFlow.
        ValueError: `data_format` is `"channels_first"`, or an argument or the input does not fit.

    Example:

    >>> layer = fastconv.layers.FusedConv2D(
    ...     64, 3, padding="same", activation="relu", batch_norm=True, pool_size=2
    ... )
    >>> layer(np.ones((8, 32, 32, 3))).shape
    TensorShape([8, 16, 16, 64])
    """

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        batch_norm=False,
        negative_slope=None,
        pool_size=None,
        pool_strides=None,
        pool_padding="valid",
        momentum=0.99,
        epsilon=1e-3,
        center=True,
        scale=True,
        beta_initializer="zeros",
        gamma_initializer="ones",
        moving_mean_initializer="zeros",
        moving_variance_initializer="ones",
        beta_regularizer=None,
        gamma_regularizer=None,
        beta_constraint=None,
        gamma_constraint=None,
        synchronized=False,
        dropout=0.0,
        spatial_dropout=0.0,
        seed=None,
        **kwargs,
    ):
        """Creates the layer; see the class."""
        requirements.check_backend(type(self))
        super().__init__(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        requirements.check_channels_last(self)
        self.batch_norm = batch_norm
        self.negative_slope = negative_slope
        self._fused_activation = fused_activation(self.activation, negative_slope)
        pooling = arguments.pooling(pool_size, pool_strides, pool_padding)
        self.pool_size = pooling["pool_size"] or None
        self.pool_strides = pooling["pool_strides"] or None
        self.pool_padding = pooling["pool_padding"].lower()
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.synchronized = synchronized
        _, self._dropout_rate = arguments.dropout_rates(dropout, spatial_dropout)
        self.dropout = dropout
        self.spatial_dropout = spatial_dropout
        self.seed = seed
        if self._dropout_rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.gamma = None
        self.beta = None
        self.moving_mean = None
        self.moving_variance = None

    def build(self, input_shape):
        """Creates the weights of Conv2D, then those of BatchNormalization."""
        super().build(input_shape)
        if not self.batch_norm:
            return
        # As in BatchNormalization: not cast with the inputs, so float32 under mixed precision.
        shape = (self.filters,)
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )
        self.moving_mean = self.add_weight(
            shape=shape,
            name="moving_mean",
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
        )
        self.moving_variance = self.add_weight(
            shape=shape,
            name="moving_variance",
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
        )

    def call(self, inputs, training=None):
        """Computes the block; see the class."""
        pooling = {
            "pool_size": self.pool_size,
            "pool_strides": self.pool_strides,
            "pool_padding": self.pool_padding,
        }
        if self._fused_activation is None:
            outputs = self.activation(self._fused(inputs, training))
            if self.pool_size is not None:
                outputs = ops.max_pool2d(outputs, **pooling)
            return self._stock_dropout(outputs) if training and self._dropout_rate else outputs
        if training and self._dropout_rate:
            pooling.update(
                dropout=self.dropout, spatial_dropout=self.spatial_dropout, seed=self._next_seed()
            )
        return self._fused(inputs, training, **self._fused_activation._asdict(), **pooling)

    def _stock_dropout(self, outputs):
        shape = keras.ops.shape(outputs)
        noise_shape = (shape[0], 1, 1, shape[3]) if self.spatial_dropout else None
        return keras.random.dropout(outputs, self._dropout_rate, noise_shape, self.seed_generator)

    def _next_seed(self):
        if self._dropout_rate == 1:  # no draw: nothing is random
            return keras.ops.zeros(2, "int32")
        return next_seed(self.seed_generator)

    def _fused(self, inputs, training, **block):
        convolution = {
            "bias": self.bias,
            "strides": self.strides,
            "padding": self.padding,
            "dilations": self.dilation_rate,
        }
        if not self.batch_norm:
            return ops.fused_conv2d(inputs, self.kernel, **convolution, **block)

        # Statistics are float32 for 16-bit inputs, whatever the weights' type.
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        moving_mean = keras.ops.cast(self.moving_mean, dtype)
        moving_variance = keras.ops.cast(self.moving_variance, dtype)
        use_batch = bool(training and self.trainable)
        outputs, mean, variance = ops.fused_conv2d_batch_norm(
            inputs,
            self.kernel,
            moving_mean,
            moving_variance,
            gamma=keras.ops.cast(self.gamma, dtype) if self.scale else None,
            beta=keras.ops.cast(self.beta, dtype) if self.center else None,
            training=use_batch,
            epsilon=self.epsilon,
            synchronized=self.synchronized,
            **convolution,
            **block,
        )
        if use_batch:
            keep, take = self.momentum, 1.0 - self.momentum
            self.moving_mean.assign(moving_mean * keep + mean * take)
            self.moving_variance.assign(moving_variance * keep + variance * take)
        return outputs

    def compute_output_shape(self, input_shape):
        """Returns the shape after pooling; sizes may be None."""
        shape = super().compute_output_shape(input_shape)
        if self.pool_size is None:
            return shape
        maps = keras.KerasTensor(shape)
        return keras.ops.max_pool(maps, self.pool_size, self.pool_strides, self.pool_padding).shape

    def enable_lora(self, *args, **kwargs):
        """Refuses: the fused op has no low-rank adaptation."""
        raise NotImplementedError(
            "FusedConv2D has no LoRA: call enable_lora on a keras.layers.Conv2D instead. "
            f"Received: layer={self.name}"
        )

    def save_own_variables(self, store):
        """Stores all weights, in the order of `get_weights`; Conv2D would store two."""
        keras.layers.Layer.save_own_variables(self, store)

    def load_own_variables(self, store):
        """Loads what `save_own_variables` stored."""
        keras.layers.Layer.load_own_variables(self, store)

    def get_config(self):
        """Returns the arguments, for `from_config`."""
        return {
            **super().get_config(),
            "batch_norm": self.batch_norm,
            "negative_slope": self.negative_slope,
            "pool_size": self.pool_size,
            "pool_strides": self.pool_strides,
            "pool_padding": self.pool_padding,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "dropout": self.dropout,
            "spatial_dropout": self.spatial_dropout,
            "seed": self.seed,
        }
