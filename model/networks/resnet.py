"""Residual networks of He et al. 2015 for small images, and their plain counterparts."""

from model.frameworks import keras

layers = keras.layers


def convolution_block(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, *, has_batch_norm: bool
) -> keras.KerasTensor:
    """Returns `x` after a convolution without bias and a batch normalisation, or after a convolution with bias alone.

    The bias is left out where the normalisation's offset takes its place.

    Args:
        x: Feature maps, shape [batch, height, width, channels].
        filters: Number of output channels.
        kernel: Height and width of the kernel in pixels.
        stride: Step of the kernel in pixels.
        name: Name of the layers.
        has_batch_norm: Whether a normalisation takes the bias's place.
    """
    x = layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        use_bias=not has_batch_norm,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    if not has_batch_norm:
        return x
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def residual_block(
    x: keras.KerasTensor, filters: int, stride: int, *, has_shortcut: bool, name: str, has_batch_norm: bool
) -> keras.KerasTensor:
    """Returns ReLU(F(x) + shortcut(x)), F being two 3×3 convolutions; without a shortcut ReLU(F(x)).

    The shortcut is the identity where the shape stays, else a 1×1 convolution with the block's stride.

    Args:
        x: Feature maps, shape [batch, height, width, channels].
        filters: Number of output channels.
        stride: Step of the block's first convolution in pixels.
        has_shortcut: False builds the plain network's block.
        name: Prefix of the layers' names.
        has_batch_norm: False leaves the normalisations out.

    Source: He et al. 2015, arXiv:1512.03385, equations 1 (identity) and 2 (projection).
    """
    y = convolution_block(x, filters, 3, stride, f"{name}_1", has_batch_norm=has_batch_norm)
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = convolution_block(y, filters, 3, 1, f"{name}_2", has_batch_norm=has_batch_norm)
    if has_shortcut:
        shortcut = x
        if stride > 1 or x.shape[-1] != filters:
            shortcut = convolution_block(x, filters, 1, stride, f"{name}_shortcut", has_batch_norm=has_batch_norm)
        y = layers.Add(name=f"{name}_add")([y, shortcut])
    return layers.ReLU(name=f"{name}_relu2")(y)


def build_resnet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    depth: int,
    width: int = 16,
    stem_stride: int = 2,
    has_shortcuts: bool = True,
    has_batch_norm: bool = True,
) -> keras.Model:
    """Returns the network of 6n+2 weighted layers: a stem, three stages of n blocks, a linear classifier.

    The stages have `width`, 2 × `width` and 4 × `width` channels; the second and third halve height and width.
    The scaling of pixels is a part of the model, so that a saved model takes the images as they are stored.

    Args:
        image_shape: Height, width and channels of an image of pixels from 0 to 255.
        num_classes: Number of logits.
        depth: 6n+2 weighted layers: 8, 14, 20, 32, 44, 56, 110, …
        width: Channels of the first stage.
        stem_stride: Step of the first convolution in pixels. The paper has 1; 2 quarters the computation, at which
            digits lose nothing.
        has_shortcuts: False builds the plain network of the same depth and width.
        has_batch_norm: False leaves the normalisations out and gives each convolution a bias: to see what they do for
            the gradients. Such a network is not meant to be trained as it is.

    Raises:
        ValueError: `depth` is not 6n+2 or a size is below 1.

    Source: He et al. 2015, arXiv:1512.03385, section 4.2, with projection shortcuts (option B).
    """
    blocks_per_stage, remainder = divmod(depth - 2, 6)
    if remainder or blocks_per_stage < 1:
        raise ValueError(f"depth must be 6n+2 (8, 14, 20, 32, 44, 56, 110, …). Received: {depth}.")
    if width < 1 or stem_stride < 1:
        raise ValueError(f"width and stem_stride must be at least 1. Received: {width} and {stem_stride}.")

    images = keras.Input(image_shape, name="pixels")
    x = layers.Rescaling(1 / 127.5, offset=-1, name="scale")(images)
    x = convolution_block(x, width, 3, stem_stride, "stem", has_batch_norm=has_batch_norm)
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(3):
        for block in range(blocks_per_stage):
            stride = 2 if stage > 0 and block == 0 else 1
            name = f"stage{stage + 1}_block{block + 1}"
            x = residual_block(
                x, width * 2**stage, stride, has_shortcut=has_shortcuts, name=name, has_batch_norm=has_batch_norm
            )
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(num_classes, name="logits")(x)
    return keras.Model(images, logits, name=f"{'resnet' if has_shortcuts else 'plain'}{depth}")
