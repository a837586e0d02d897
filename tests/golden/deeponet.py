"""Operators: DeepONet (Lu et al. 2021, theorem 1) by torch.nn.functional.linear, its stacked form by einsum, and the
fully connected network on both inputs side by side."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import layer

B, T, M, D, N, P, C = 2, 3, 6, 2, 5, 4, 3      # M sensors, D coordinates, N units, P terms, C outputs


def inputs(draw):
    return {"x": draw.normal(B, T, M), "y": draw.normal(B, T, D)}


def net(x, w, name, layers, last):
    for i in range(layers):
        x = F.linear(x, w["%s_W_%d" % (name, i)], w["%s_b_%d" % (name, i)])
        x = torch.relu(x) if i + 1 < layers or last else x
    return x


def deeponet(stacked, bias, branch, trunk):
    def f(i, w):
        if stacked:
            h = torch.relu(F.linear(i["x"], w["branch_W_0"], w["branch_b_0"])).reshape(B, T, C * P, N)
            b = torch.einsum("btkn,kn->btk", h, w["branch_c"]) + w["branch_d"]
        else:
            b = net(i["x"], w, "branch", branch + 1, False)
        t = net(i["y"], w, "trunk", trunk, True)
        y = torch.einsum("btcp,btp->btc", b.reshape(B, T, C, P), t)
        return y + w["b_0"] if bias else y
    return f


def mapping(w, draw, name, i, out, wide):
    w["%s_W_%d" % (name, i)] = draw.normal(out, wide, scale=0.6)
    w["%s_b_%d" % (name, i)] = draw.normal(out, scale=0.6)


def weights(stacked, bias, branch, trunk):
    def make(draw):
        w, wide = {}, M
        for i in range(branch):
            mapping(w, draw, "branch", i, C * P * N if stacked else N, wide)
            wide = N
        if stacked:
            w["branch_c"], w["branch_d"] = draw.normal(C * P, N), draw.normal(C * P)
        else:
            mapping(w, draw, "branch", branch, C * P, wide)
        wide = D
        for i in range(trunk):
            mapping(w, draw, "trunk", i, N if i + 1 < trunk else P, wide)
            wide = N
        if bias:
            w["b_0"] = draw.normal(C)
        return w
    return make


for name, stacked, bias, branch, trunk in (("deeponet", False, True, 1, 2), ("deeponet-deep", False, False, 2, 3),
                                           ("deeponet-stacked", True, True, 1, 2)):
    layer(name, "model/deeponet", "p=%d width=%d branch=%d trunk=%d form=%s bias=%s" % (
        P, N, branch, trunk, "stacked" if stacked else "unstacked", "on" if bias else "off"),
        "Lu et al. 2021, theorem 1 and section 2, torch.nn.functional.linear", deeponet(stacked, bias, branch, trunk),
        inputs, weights(stacked, bias, branch, trunk), numbers={"classes": C})


def joined(i, w):
    x = torch.cat([i["x"], i["y"]], -1)
    for k in range(3):
        x = F.linear(x, w["net0.W_%d" % k], w["net0.b_%d" % k])
        x = torch.relu(x) if k < 2 else x
    return x


def joined_weights(draw):
    sizes = (M + D, N, N, C)
    w = {}
    for k in range(3):
        w["net0.W_%d" % k] = draw.normal(sizes[k + 1], sizes[k], scale=0.6)
        w["net0.b_%d" % k] = draw.normal(sizes[k + 1], scale=0.6)
    return w


layer("joined", "model/joined", "net.depth=2 net.width=%d" % N, "torch.nn.functional.linear", joined, inputs,
      joined_weights, numbers={"classes": C})
