"""Losses per position, and the gradient of the model's output, with PyTorch's losses."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import Draw, write

B, T, K = 3, 5, 4


def objective(name, of, source, f, target):
    draw = Draw(name)
    output = draw.normal(B, T, K, scale=3.0).requires_grad_(True)
    target = target(draw)
    loss = f(output, target)
    cotangent = draw.normal(B, T)
    (loss * cotangent).sum().backward()
    write(name, "objective", of, source, {"input/output": output, "input/target": target, "output": loss,
                                          "cotangent": cotangent, "gradient/input/output": output.grad})


# A target below zero means that there is none.
def classes(draw):
    target = draw.below(K, B, T)
    target[0, 3] = target[2, 0] = -1
    return target


def cross_entropy(y, t):
    loss = F.cross_entropy(y.reshape(-1, K), t.reshape(-1).long(), reduction="none", ignore_index=-1)
    return loss.reshape(B, T)


objective("ce", "ce", "torch.nn.functional.cross_entropy", cross_entropy, classes)
objective("bernoulli", "bernoulli", "torch.nn.functional.binary_cross_entropy_with_logits",
          lambda y, t: F.binary_cross_entropy_with_logits(y, t, reduction="none").sum(-1),
          lambda draw: draw.below(2, B, T, K).double())
objective("mse", "mse", "torch.nn.functional.mse_loss", lambda y, t: F.mse_loss(y, t, reduction="none").sum(-1),
          lambda draw: draw.normal(B, T, K))
