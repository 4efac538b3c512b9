"""A loss of foil in a Python training loop. Usage: python train.py PREFIX/lib/libfoil_torch.so"""
import sys
import torch

torch.manual_seed(0)
images = torch.rand(256, 1, 28, 28)
encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 32))
optimizer = torch.optim.AdamW(encoder.parameters(), lr=1e-3)

torch.ops.load_library(sys.argv[1])
for step in range(20):
    views = [encoder(images + 0.1 * torch.randn_like(images)) for _ in range(2)]
    loss = torch.ops.foil.loss("infonce", "temperature = 0.2", views)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", loss.item())
