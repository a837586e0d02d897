"""The discrete key-value bottleneck in evaluation, by distances to all keys; and the lower level of bi-level pruning."""
import sys
sys.dont_write_bytecode = True
import torch
from golden import Draw, layer, write

B, T, D, C, K, DK, CLASSES = 3, 5, 6, 4, 7, 3, 5


def weights(draw):
    return {"R": draw.normal(C * DK, D, scale=0.5), "K": draw.normal(C, K, DK), "N": draw.normal(C, K) ** 2,
            "V": draw.normal(C * K, CLASSES)}


# Traeuble et al. 2023, figure 1: heads by random projections, the nearest key of each, the mean of their values.
def dkvb(i, w):
    z = (i["x"] @ w["R"].T).reshape(B, T, C, 1, DK)
    nearest = torch.linalg.vector_norm(z - w["K"], dim=-1).argmin(-1)
    values = w["V"].reshape(C, K, CLASSES)
    return torch.stack([values[c][nearest[..., c]] for c in range(C)]).mean(0)


for name, length in (("dkvb", None), ("dkvb-padded", [5, 2, 4])):
    layer(name, "continual/dkvb", "heads=%d keys=%d key_width=%d" % (C, K, DK),
          "Traeuble et al. 2023, figure 1, as tensor operations", dkvb, lambda draw: {"x": draw.normal(B, T, D)}, weights,
          length, {"classes": CLASSES})


# What is not pruned goes as with momentum and L2; masks are the upper level's, which no optimiser of PyTorch has.
def bip(name, steps=5, n=12, rate=0.125, decay=0.0625, momentum=0.875):
    draw = Draw(name)
    w = draw.normal(n).requires_grad_(True)
    start, gradient, after = w.detach().clone(), draw.normal(steps, n), []
    o = torch.optim.SGD([w], lr=rate, weight_decay=decay, momentum=momentum)
    for g in gradient:
        w.grad = g.clone()
        o.step()
        after.append(w.detach().clone())
    write(name, "rule", "bip", "torch.optim.SGD", {"input/w": start, "input/g": gradient, "output": torch.stack(after)},
          {"rate": rate, "decay": decay}, "momentum=%g" % momentum)


bip("bip")
