# SPDX-License-Identifier: BSD-3-Clause
"""A plain batched PyTorch loop with the recipe of experiments/quickstart.toml: NT-Xent, the same CNN, optimizer and augmentations, the
augmentations vectorised over the batch. Prints images per second (samples, two views each) over the measured steps.
usage: torch_loop.py [steps] [small_cnn|resnet18] [batch]"""
import gzip, sys, time
import torch, torch.nn as nn, torch.nn.functional as F

torch.set_num_threads(2)
batch = int(sys.argv[3]) if len(sys.argv) > 3 else 256
steps, model = int(sys.argv[1]) if len(sys.argv) > 1 else 60, sys.argv[2] if len(sys.argv) > 2 else "small_cnn"
size, channels = (28, 1) if model == "small_cnn" else (32, 3)


def fashion_mnist():
    raw = gzip.open("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz").read()
    return torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).view(-1, 1, 28, 28)


def small_cnn():
    layers, before = [], channels
    for width in (32, 64, 128):
        layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 128


def resnet18():
    import torchvision
    net = torchvision.models.resnet18()
    net.conv1, net.maxpool, net.fc = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity(), nn.Identity()
    return net, 512


def augment(x):  # uint8 [B, C, H, W] -> float: crop of scale 0.4 to 1, flip, brightness and contrast, drawn per sample
    n = len(x)
    x = x.float() / 255
    area, ratio = torch.empty(n).uniform_(0.4, 1), torch.exp(torch.empty(n).uniform_(-0.2877, 0.2877))
    w, h = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(n, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = w * torch.where(torch.rand(n) < 0.5, -1.0, 1.0), h
    theta[:, 0, 2], theta[:, 1, 2] = (1 - w) * (torch.rand(n) * 2 - 1), (1 - h) * (torch.rand(n) * 2 - 1)
    x = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False, padding_mode="reflection")
    on = (torch.rand(n) < 0.8).float().view(-1, 1, 1, 1)
    bright = 1 + on * torch.empty(n, 1, 1, 1).uniform_(-0.6, 0.6)
    x = (x * bright).clamp(0, 1)
    contrast = 1 + on * torch.empty(n, 1, 1, 1).uniform_(-0.6, 0.6)
    return (x * contrast + x.mean((1, 2, 3), keepdim=True) * (1 - contrast)).clamp(0, 1)


def nt_xent(z, temperature=0.2):
    z = F.normalize(z)
    s = z @ z.T / temperature
    s.fill_diagonal_(float("-inf"))
    n = len(z) // 2
    return F.cross_entropy(s, torch.arange(2 * n).roll(n))


torch.manual_seed(0)
images = fashion_mnist() if model == "small_cnn" else torch.randint(0, 256, (4096, 3, 32, 32), dtype=torch.uint8)
encoder, width = small_cnn() if model == "small_cnn" else resnet18()
head = nn.Sequential(nn.Linear(width, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128))
net = nn.Sequential(encoder, head)
optimizer = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=1e-4, fused=True)
for step in range(-5, steps):
    if step == 0:
        begin = time.perf_counter()
    index = torch.randint(0, len(images), (batch,))
    x = torch.cat([augment(images[index]), augment(images[index])])
    loss = nt_xent(net(x))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{steps * batch / (time.perf_counter() - begin):.0f}")
