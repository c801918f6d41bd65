"""PyTorch's eager training of the same network: a contestant of `benchmarks.peers`, in an environment of its own.

As a person would write it: channels last, the loss fetched in each step, no shifts, no data loader beside it. On a GPU
the bytes of a batch are copied there, and cuDNN tries its algorithms.
"""

import functools
import json
from pathlib import Path
from typing import Any

from benchmarks.turns import Case, Train, parse_options, repeat, take_turns


def main() -> None:
    """Takes turns."""
    options = parse_options("benchmarks.contestant_pytorch", __doc__)
    take_turns({case: make_pytorch(options.data_dir, case, is_on_gpu=options.gpu) for case in options.cases})


def make_pytorch(data_dir: Path, case: Case, *, is_on_gpu: bool = False) -> Train:
    """Returns PyTorch's training, with the baseline's loss and optimizer."""
    import torch  # type: ignore[import-not-found]  # noqa: PLC0415 - in its environment, once the threads are set

    device = torch.device("cuda" if is_on_gpu else "cpu")
    if is_on_gpu:
        torch.backends.cudnn.benchmark = True
    else:
        torch.set_num_threads(1)
    torch.manual_seed(0)
    images, labels = read_images(data_dir)
    model = build_resnet8(images.shape[1], int(labels.max()) + 1, case.stride)
    model = model.to(device, memory_format=torch.channels_last)
    loss_function = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model.train()

    def compute() -> int:
        chosen = torch.randint(len(images), (case.batch_size,))
        batch, expected = images[chosen].to(device), labels[chosen].to(device)
        pixels = batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_function(model(pixels), expected)
        loss.backward()
        optimizer.step()
        loss.item()
        return case.batch_size

    return functools.partial(repeat, compute)


def read_images(data_dir: Path) -> tuple[Any, Any]:
    """Returns the training images, uint8, shape [n, channels, height, width], and their labels, int64, shape [n]."""
    import numpy as np  # noqa: PLC0415
    import torch  # noqa: PLC0415

    shape = json.loads((data_dir / "manifest.json").read_text(encoding="utf-8"))["image_shape"]
    images = np.fromfile(data_dir / "train_images.bin", np.uint8).reshape(-1, *shape)
    labels = np.fromfile(data_dir / "train_labels.bin", np.int32)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels.astype(np.int64))


def build_resnet8(channels: int, num_classes: int, stride: int, width: int = 16) -> Any:
    """Returns the network of `model.networks.resnet` with a block a stage."""
    from torch import nn  # noqa: PLC0415

    def convolution(inputs: int, outputs: int, kernel: int, step: int) -> Any:
        layer = nn.Conv2d(inputs, outputs, kernel, step, padding=kernel // 2, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(outputs))

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, step: int) -> None:
            super().__init__()
            self.first, self.second = convolution(inputs, outputs, 3, step), convolution(outputs, outputs, 3, 1)
            self.shortcut = nn.Identity() if inputs == outputs else convolution(inputs, outputs, 1, step)
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.second(self.relu(self.first(x))) + self.shortcut(x))

    return nn.Sequential(
        convolution(channels, width, 3, stride),
        nn.ReLU(inplace=True),
        Block(width, width, 1),
        Block(width, 2 * width, 2),
        Block(2 * width, 4 * width, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, num_classes),
    )


if __name__ == "__main__":
    main()
