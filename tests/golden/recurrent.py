"""Recurrent cells: PyTorch's own, and by autograd where it has none."""
import sys
sys.dont_write_bytecode = True
import torch
from golden import layer

B, T, D, H = 3, 6, 4, 5


def x(draw):
    return {"x": draw.normal(B, T, D)}


def zeros():
    return torch.zeros(1, B, H)


def weights(gates, bias=True, extra=None):
    def make(draw):
        w = {"W": draw.normal(gates * H, D, scale=0.5), "U": draw.normal(gates * H, H, scale=0.5)}
        if bias:
            w["b"] = draw.normal(gates * H, scale=0.5)
        for key, shape in (extra or {}).items():
            w[key] = draw.normal(*shape, scale=0.5)
        return w
    return make


# PyTorch has two biases; ours is the first, its second is zero (but see GRU).
def flat(w, order=None):
    parts = [w["W"], w["U"]] + ([w["b"], torch.zeros_like(w["b"])] if "b" in w else [])
    return [p if order is None else p.reshape(4, H, -1)[order].reshape(p.shape) for p in parts]


def rnn(function):
    return lambda i, w: function(i["x"], zeros(), flat(w), "b" in w, 1, 0.0, False, False, True)[0]


# Our rows are i, f, o, g; PyTorch's i, f, g, o.
def lstm(i, w):
    return torch.lstm(i["x"], (zeros(), zeros()), flat(w, [0, 1, 3, 2]), "b" in w, 1, 0.0, False, False, True)[0]


# Both have rows r, z, n. Our c is the last third of PyTorch's second bias, whose rest is zero.
def gru_after(i, w):
    parts = [w["W"], w["U"]]
    if "b" in w:
        parts += [w["b"], torch.cat([torch.zeros(2 * H), w["c"]])]
    return torch.gru(i["x"], zeros(), parts, "b" in w, 1, 0.0, False, False, True)[0]


# Cho et al. 2014, eq. 5-8: the reset gate meets the state before the product.
def gru_before(i, w):
    h, all_h = torch.zeros(B, H), []
    Wr, Wz, W = w["W"].split(H)
    Ur, Uz, U = w["U"].split(H)
    br, bz, b = w["b"].split(H) if "b" in w else (0, 0, 0)
    for t in range(T):
        u = i["x"][:, t]
        r = torch.sigmoid(u @ Wr.T + h @ Ur.T + br)
        z = torch.sigmoid(u @ Wz.T + h @ Uz.T + bz)
        new = torch.tanh(u @ W.T + (r * h) @ U.T + b)
        h = z * h + (1 - z) * new
        all_h.append(h)
    return torch.stack(all_h, 1)


# Graves 2013, eq. 7-11; W_ci, W_cf, W_co are diagonal: the rows of p. Our rows of W: i, f, o, g.
def lstm_peepholes(i, w):
    h, c, all_h = torch.zeros(B, H), torch.zeros(B, H), []
    Wxi, Wxf, Wxo, Wxc = w["W"].split(H)
    Whi, Whf, Who, Whc = w["U"].split(H)
    bi, bf, bo, bc = w["b"].split(H)
    Wci, Wcf, Wco = w["p"]
    for t in range(T):
        x_t = i["x"][:, t]
        in_gate = torch.sigmoid(x_t @ Wxi.T + h @ Whi.T + Wci * c + bi)
        forget = torch.sigmoid(x_t @ Wxf.T + h @ Whf.T + Wcf * c + bf)
        c = forget * c + in_gate * torch.tanh(x_t @ Wxc.T + h @ Whc.T + bc)
        out = torch.sigmoid(x_t @ Wxo.T + h @ Who.T + Wco * c + bo)
        h = out * torch.tanh(c)
        all_h.append(h)
    return torch.stack(all_h, 1)


size = "hidden=%d" % H
RNN, LSTM, GRU = "torch.nn.RNN", "torch.nn.LSTM", "torch.nn.GRU"
layer("rnn-tanh", "recurrent/rnn", size, RNN, rnn(torch.rnn_tanh), x, weights(1))
layer("rnn-relu", "recurrent/rnn", size + " nonlinearity=relu", RNN, rnn(torch.rnn_relu), x, weights(1))
layer("rnn-nobias", "recurrent/rnn", size + " bias=off", RNN, rnn(torch.rnn_tanh), x, weights(1, False))
layer("rnn-padded", "recurrent/rnn", size, RNN, rnn(torch.rnn_tanh), x, weights(1), length=[6, 2, 5])
layer("lstm", "recurrent/lstm", size, LSTM, lstm, x, weights(4))
layer("lstm-nobias", "recurrent/lstm", size + " bias=off", LSTM, lstm, x, weights(4, False))
layer("lstm-padded", "recurrent/lstm", size, LSTM, lstm, x, weights(4), length=[3, 6, 1])
layer("lstm-peepholes", "recurrent/lstm", size + " peepholes=on", "Graves 2013, eq. 7-11, by autograd",
      lstm_peepholes, x, weights(4, True, {"p": (3, H)}))
layer("gru-after", "recurrent/gru", size + " reset=after", GRU, gru_after, x, weights(3, True, {"c": (H,)}))
layer("gru-after-nobias", "recurrent/gru", size + " reset=after bias=off", GRU, gru_after, x, weights(3, False))
layer("gru-before", "recurrent/gru", size + " reset=before", "Cho et al. 2014, eq. 5-8, by autograd", gru_before, x,
      weights(3))
layer("gru-padded", "recurrent/gru", size + " reset=before", "Cho et al. 2014, eq. 5-8, by autograd", gru_before, x,
      weights(3), length=[2, 6, 4])
