# SPDX-License-Identifier: BSD-3-Clause
"""GRACE on Cora in plain PyTorch with the recipe of experiments/graph/grace.toml: the adjacency of each view and the features as sparse
CSR, the loss as one matrix of all pairs a direction. Prints epochs per second over the measured ones.
usage: grace_loop.py CORA.safetensors [epochs] [threads]"""
import json, struct, sys, time, warnings
import torch, torch.nn as nn, torch.nn.functional as F

warnings.filterwarnings("ignore", message="Sparse")
epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 20
torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)


def tensors(path):
    raw = open(path, "rb").read()
    size = struct.unpack("<Q", raw[:8])[0]
    kinds = {"I32": torch.int32, "I64": torch.int64, "F32": torch.float32}
    for name, entry in json.loads(raw[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            data = bytearray(raw[8 + size + begin:8 + size + end])
            yield name, torch.frombuffer(data, dtype=kinds[entry["dtype"]]).view(entry["shape"])


class Graph:  # A^ = D^-1/2 (A + I) D^-1/2 and its transpose, for the backward pass
    def __init__(self, edges):
        loop = torch.arange(nodes)
        source, target = torch.cat([edges[0], loop]), torch.cat([edges[1], loop])
        scale = torch.zeros(nodes).index_add_(0, target, torch.ones(len(target))).rsqrt()
        weight = scale[source] * scale[target]
        self.there = torch.sparse_coo_tensor(torch.stack([target, source]), weight, (nodes, nodes)).coalesce().to_sparse_csr()
        self.back = torch.sparse_coo_tensor(torch.stack([source, target]), weight, (nodes, nodes)).coalesce().to_sparse_csr()


class Product(torch.autograd.Function):  # of a constant matrix, with the transpose that its backward pass needs
    @staticmethod
    def forward(ctx, there, back, x):
        ctx.back = back
        return there @ x

    @staticmethod
    def backward(ctx, gradient):
        return None, None, ctx.back @ gradient


class GCN(nn.Module):
    def __init__(self, wide, hidden):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.empty(2 * hidden, wide)), nn.Parameter(torch.empty(hidden, 2 * hidden))])
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(2 * hidden)), nn.Parameter(torch.zeros(hidden))])
        for weight in self.weights:
            nn.init.xavier_uniform_(weight)

    def forward(self, x, xt, graph):
        h = Product.apply(x, xt, self.weights[0].t())
        h = F.relu(Product.apply(graph.there, graph.back, h) + self.biases[0])
        return F.relu(Product.apply(graph.there, graph.back, h @ self.weights[1].t()) + self.biases[1])


def masked(p):  # features with zeroed columns as CSR, and their transpose
    values = features.values() * (torch.rand(columns) >= p).float()[features.col_indices()]
    return (torch.sparse_csr_tensor(features.crow_indices(), features.col_indices(), values, (nodes, columns)),
            torch.sparse_csr_tensor(turned.crow_indices(), turned.col_indices(), values[place], (columns, nodes)))


def dropped(p):
    return Graph(edges[:, torch.rand(edges.shape[1]) >= p])


def one_way(a, b, tau=0.4):
    between, within = a @ b.t() / tau, (a @ a.t() / tau).fill_diagonal_(float("-inf"))
    return torch.cat([between, within], 1).logsumexp(1) - between.diagonal()


torch.manual_seed(0)
data = dict(tensors(sys.argv[1]))
nodes, columns = data["x_shape"].tolist()
row, column = data["x_indices"].long()
total = torch.zeros(nodes).index_add_(0, row, data["x_values"]).clamp(min=1)
features = torch.sparse_coo_tensor(torch.stack([row, column]), data["x_values"] / total[row], (nodes, columns)).coalesce()
number = torch.sparse_coo_tensor(features.indices().flip(0), torch.arange(features._nnz()) + 1., (columns, nodes)).coalesce()
turned, features, place = number.to_sparse_csr(), features.to_sparse_csr(), number.values().long() - 1
edges = data["edge_index"].long()
encoder, head = GCN(columns, 128), nn.Sequential(nn.Linear(128, 128), nn.ELU(), nn.Linear(128, 128))
optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()], 5e-4, weight_decay=1e-5)
for epoch in range(-3, epochs):
    if epoch == 0:
        begin = time.perf_counter()
    views = [encoder(*masked(p_f), dropped(p_e)) for p_e, p_f in ((0.2, 0.3), (0.4, 0.4))]
    a, b = (F.normalize(head(z)) for z in views)
    loss = (one_way(a, b) + one_way(b, a)).mean() / 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{epochs / (time.perf_counter() - begin):.3f}")
print(f"loss {loss.item():.4f}", file=sys.stderr)
