"""The pointer network and the two models it was set against (Vinyals et al. 2015): PyTorch has the LSTM; scores, blends
and log-probabilities are taken row by row, step by step, over a row's own elements."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import layer

B, T, K, D, E, H = 3, 6, 2, 4, 5, 3       # K: of an element, D: width, E and H: states of encoder and decoder
OUTSIDE = -100.0                          # what stands at letters that are no element of the row


# Our rows of an LSTM are i, f, o, g; PyTorch's i, f, g, o. Its second bias is zero.
def lstm(x, w, name, hidden):
    parts = [w[name + key].reshape(4, hidden, -1)[[0, 1, 3, 2]].reshape(w[name + key].shape) for key in ("W", "U", "b")]
    zero = torch.zeros(1, B, hidden)
    return torch.lstm(x, (zero, zero), parts + [torch.zeros(4 * hidden)], True, 1, 0.0, False, False, True)[0]


def model(readout, feed, length, letters):
    def f(i, w):
        e = lstm(F.linear(i["x"], w["W_enc"], w["b_enc"]), w, "encoder0.", E)
        rows = []
        code = torch.stack([F.linear(e[b, length[b] - 1], w["W_code"], w["b_dec"]) for b in range(B)])
        fed = F.linear(i["prefix"], w["W_dec"]) if feed else torch.zeros(B, T, D)
        d = lstm(fed + code[:, None, :], w, "decoder0.", H)
        for b in range(B):
            n = length[b]
            for step in range(T):
                state, own = d[b, step], e[b, :n]
                if readout != "none":
                    u = torch.stack([w["v"][0] @ torch.tanh(w["W_1"] @ own[j] + w["W_2"] @ state) for j in range(n)])
                if readout == "attention":
                    a = torch.exp(u) / torch.exp(u).sum()
                    state = torch.cat([state, sum(a[j] * own[j] for j in range(n))])
                if readout != "pointer":
                    u = (w["W_out"] @ state + w["b_out"])[:n]
                p = u - torch.log(torch.exp(u).sum())
                rows.append(torch.cat([p, torch.full((letters - len(p),), OUTSIDE)]))
        return torch.stack(rows).reshape(B, T, letters)
    return f


def weights(readout, feed, letters):
    def make(draw):
        w = {"W_enc": draw.normal(D, K), "b_enc": draw.normal(D), "b_dec": draw.normal(D), "W_code": draw.normal(D, E)}
        if feed:
            w["W_dec"] = draw.normal(D, K)
        for name, hidden in (("encoder0.", E), ("decoder0.", H)):
            w.update({name + "W": draw.normal(4 * hidden, D, scale=0.5), name + "b": draw.normal(4 * hidden, scale=0.5),
                      name + "U": draw.normal(4 * hidden, hidden, scale=0.5)})
        if readout != "none":
            w.update({"W_1": draw.normal(D, E), "W_2": draw.normal(D, H), "v": draw.normal(1, D)})
        if readout != "pointer":
            w.update({"W_out": draw.normal(letters, H + (E if readout == "attention" else 0)),
                      "b_out": draw.normal(letters)})
        return w
    return make


def inputs(draw):
    return {"x": draw.normal(B, T, K), "prefix": draw.normal(B, T, K)}


def case(name, readout, letters, feed=True, length=None):
    options = "width=%d encoder.hidden=%d decoder.hidden=%d readout=%s" % (D, E, H, readout)
    layer(name, "model/pointer", options + ("" if feed else " feed=nothing"),
          "torch.lstm; section 2 of Vinyals et al. 2015 (arXiv 1506.03134)", model(readout, feed, length or [T] * B, letters),
          inputs, weights(readout, feed, letters), length=length, numbers={"classes": letters})


case("pointer", "pointer", T)
case("pointer-padded", "pointer", T, length=[4, 6, 1])
case("pointer-unfed", "pointer", T, feed=False)
case("pointer-attention", "attention", 4)
case("pointer-attention-padded", "attention", 8, length=[4, 6, 1])
case("pointer-none", "none", T)
case("pointer-none-padded", "none", 4, length=[2, 6, 5])
