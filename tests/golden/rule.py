"""Five steps of an optimiser of torch.optim on given gradients: the weight after each step."""
import sys
sys.dont_write_bytecode = True
import torch
from golden import Draw, write

N, STEPS = 12, 5


def rule(name, of, options, optimiser, rate, decay, **more):
    draw = Draw(name)
    w = draw.normal(N).requires_grad_(True)
    start, gradient, after = w.detach().clone(), draw.normal(STEPS, N), []
    o = optimiser([w], lr=rate, weight_decay=decay, **more)
    for g in gradient:
        w.grad = g.clone()
        o.step()
        after.append(w.detach().clone())
    write(name, "rule", of, "torch.optim." + optimiser.__name__,
          {"input/w": start, "input/g": gradient, "output": torch.stack(after)},
          {"rate": rate, "decay": decay}, options)


SGD, Adam, AdamW = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
rule("sgd", "sgd", "momentum=0", SGD, 0.125, 0)
rule("sgd-momentum", "sgd", "momentum=0.875", SGD, 0.125, 0.0625, momentum=0.875)
rule("sgd-nesterov", "sgd", "momentum=0.875 nesterov=on", SGD, 0.125, 0.0625, momentum=0.875, nesterov=True)
rule("adam", "adam", "", Adam, 0.125, 0)
rule("adam-decay", "adam", "beta1=0.75 beta2=0.9375 eps=0.125", Adam, 0.125, 0.25, betas=(0.75, 0.9375), eps=0.125)
rule("adamw", "adamw", "", AdamW, 0.125, 0)
rule("adamw-decay", "adamw", "beta1=0.75 beta2=0.9375 eps=0.125", AdamW, 0.125, 0.25, betas=(0.75, 0.9375), eps=0.125)
