# SPDX-License-Identifier: BSD-3-Clause
"""Writes the vectors beside this file: what torchvision makes of fixed images with fixed parameters, in float64.

python tests/golden/augment/make.py     (torch 2.11.0, torchvision 0.26.0, safetensors)
"""
import itertools
import os

import torch
import torchvision
from safetensors.torch import save_file
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


def images(seed, count, channels, height, width):
    """uint8, smooth enough to have colours, with flat and gray parts where maxima tie."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 5, 4, generator=generator)
    fine = torch.rand(count, channels, height, width, generator=generator)
    x = 0.7 * torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") + 0.3 * fine
    x[:, :, :2, :3] = x[:, :1, :2, :3]
    x[:, :, -1] = 1
    x[:, :, -2] = 0
    return (x * 255).round().to(torch.uint8)


def real(x):
    return x.to(torch.float64) / 255


def each(x, f, parameters):
    return torch.stack([f(image, *p) for image, p in zip(x, parameters)])


def write(name, **tensors):
    path = os.path.join(HERE, name + ".safetensors")
    made_by = {"torchvision": torchvision.__version__, "torch": torch.__version__}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata=made_by)
    print(name, os.path.getsize(path))


# Boxes: inside, whole, one pixel, one line, smaller and larger than the result, of the result's size, at each border.
boxes = [(3, 2, 9, 11), (0, 0, 23, 19), (22, 18, 1, 1), (5, 0, 1, 19), (0, 7, 23, 2), (1, 1, 13, 10), (10, 8, 13, 11)]
x = images(1, len(boxes), 3, 23, 19)
crop = lambda image, t, l, h, w: F.resized_crop(image, t, l, h, w, [13, 10], antialias=True)
# How often each top, left, height and width comes in 200,000 draws on an image of 24 x 32.
torch.manual_seed(0)
blank = torch.zeros(1, 24, 32)
drawn = torch.tensor([RandomResizedCrop.get_params(blank, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(200_000)])
counts = torch.stack([torch.bincount(column, minlength=33) for column in drawn.unbind(1)])
write("random_resized_crop", images=x, boxes=torch.tensor(boxes), result=each(real(x), crop, boxes), counts=counts)

x = images(2, 3, 3, 7, 5)
write("horizontal_flip", images=x, result=F.horizontal_flip(real(x)))

x = images(3, 3, 3, 7, 9)
write("grayscale", images=x, result=F.rgb_to_grayscale(real(x), num_output_channels=3))

x = images(4, 3, 3, 7, 9)
write("solarize", images=x, threshold=torch.tensor([0.4], dtype=torch.float64), result=F.solarize(real(x), 0.4))

x = images(5, 3, 3, 7, 9)
mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
write("normalize", images=x, mean=torch.tensor(mean, dtype=torch.float64), std=torch.tensor(std, dtype=torch.float64),
      result=F.normalize(real(x), mean, std))

x, sigma = images(6, 5, 3, 13, 11), [0.1, 0.5, 1.0, 1.7, 2.0]
blur = {f"result.{size}": each(real(x), lambda image, s: F.gaussian_blur(image, [size, size], [s, s]), [(s,) for s in sigma])
        for size in (1, 3, 9, 21)}
write("gaussian_blur", images=x, sigma=torch.tensor(sigma, dtype=torch.float64), **blur)

# All 24 orders of brightness, contrast, saturation, hue (0 to 3), each with factors of its own, at the ends of the ranges too.
CHANGES = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]


def jitter(image, order, factor):
    for change in order:
        image = CHANGES[change](image, factor[change])
    return image


orders = list(itertools.permutations(range(4)))
generator = torch.Generator().manual_seed(7)
factor = torch.rand(24, 4, generator=generator, dtype=torch.float64) * 2
factor[:, 3] = factor[:, 3] / 2 - 0.5
factor[0], factor[1] = torch.tensor([0.0, 2, 2, 0.5]), torch.tensor([2.0, 0, 0, -0.5])
x, one = images(8, 24, 3, 9, 7), images(9, 24, 1, 9, 7)
parameters = list(zip(orders, factor.tolist()))
alone = torch.stack([torch.stack([CHANGES[c](real(x)[0], value[c]) for value in ([0.3, 0.3, 0.3, -0.2], [1.6, 1.6, 1.6, 0.4])])
                     for c in range(4)])
write("color_jitter", images=x, one_channel=one, order=torch.tensor(orders), factor=factor, result=each(real(x), jitter, parameters),
      one_channel_result=each(real(one), jitter, parameters), alone=alone)
