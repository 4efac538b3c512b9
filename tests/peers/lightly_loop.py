# SPDX-License-Identifier: BSD-3-Clause
"""lightly's SimCLR on Fashion-MNIST: SimCLRTransform, NTXentLoss, the CNN and optimizer of experiments/quickstart.toml. Prints images
per second (samples, two views each) over the measured steps. usage: lightly_loop.py [steps] [workers]"""
import gzip, sys, time
import torch, torch.nn as nn
from PIL import Image
from lightly.loss import NTXentLoss
from lightly.transforms.simclr_transform import SimCLRTransform

torch.set_num_threads(2)
steps, workers = int(sys.argv[1]) if len(sys.argv) > 1 else 8, int(sys.argv[2]) if len(sys.argv) > 2 else 0
raw = gzip.open("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz").read()
images = torch.frombuffer(bytearray(raw[16:]), dtype=torch.uint8).view(-1, 28, 28).numpy()


class Views(torch.utils.data.Dataset):
    def __init__(self):
        self.transform = SimCLRTransform(input_size=28, gaussian_blur=0.0)

    def __len__(self):
        return len(images)

    def __getitem__(self, i):
        return self.transform(Image.fromarray(images[i]).convert("RGB"))


def small_cnn():
    layers, before = [], 3
    for width in (32, 64, 128):
        layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


torch.manual_seed(0)
net = nn.Sequential(small_cnn(), nn.Linear(128, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 128))
optimizer, loss_of = torch.optim.AdamW(net.parameters(), 1e-2, weight_decay=1e-4, fused=True), NTXentLoss(temperature=0.2)
batch = 256
loader = iter(torch.utils.data.DataLoader(Views(), batch_size=batch, shuffle=True, num_workers=workers, drop_last=True))
for step in range(-1, steps):
    if step == 0:
        begin = time.perf_counter()
    x0, x1 = next(loader)
    loss = loss_of(net(x0), net(x1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{steps * batch / (time.perf_counter() - begin):.0f}")
