"""Layers at each position, and the wirings: activations, normalisation, feed-forward layers, residual blocks."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import conv_causal, layer, rms_norm

B, T, D = 3, 5, 6


def x(draw):
    return {"x": draw.normal(B, T, D, scale=2.0)}


for name, f in (("relu", F.relu), ("silu", F.silu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh)):
    layer(name, "activation/" + name, "", "torch." + name, lambda i, w, f=f: f(i["x"]), x)
layer("gelu-exact", "activation/gelu", "form=exact", "torch.nn.functional.gelu", lambda i, w: F.gelu(i["x"]), x)
layer("gelu-tanh", "activation/gelu", "form=tanh", "torch.nn.functional.gelu, approximate",
      lambda i, w: F.gelu(i["x"], approximate="tanh"), x)

layer("layernorm", "normalisation/layernorm", "", "torch.nn.functional.layer_norm",
      lambda i, w: F.layer_norm(i["x"], (D,), w["gain"], w["bias"], 1e-5), x,
      lambda draw: {"gain": draw.normal(D), "bias": draw.normal(D)})
layer("layernorm-bare", "normalisation/layernorm", "gain=off bias=off eps=0.125", "torch.nn.functional.layer_norm",
      lambda i, w: F.layer_norm(i["x"], (D,), None, None, 0.125), x)
layer("rmsnorm", "normalisation/rmsnorm", "", "Zhang and Sennrich 2019, eq. 4, by autograd",
      lambda i, w: rms_norm(i["x"], w["gain"]), x, lambda draw: {"gain": draw.normal(D)})
layer("rmsnorm-bare", "normalisation/rmsnorm", "gain=off eps=0.125", "Zhang and Sennrich 2019, eq. 4, by autograd",
      lambda i, w: rms_norm(i["x"], eps=0.125), x)


# Vaswani et al. 2017, eq. 2; torch's Linear keeps weights (out, in), as we do.
def mlp(act, prefix=""):
    def f(i, w, y=None):
        y = F.linear(i["x"] if y is None else y, w[prefix + "W_1"], w.get(prefix + "b_1"))
        return F.linear(act(y), w[prefix + "W_2"], w.get(prefix + "b_2"))
    return f


def mlp_weights(ratio, bias=True, prefix=""):
    def make(draw):
        w = {prefix + "W_1": draw.normal(ratio * D, D, scale=0.5), prefix + "W_2": draw.normal(D, ratio * D, scale=0.5)}
        if bias:
            w.update({prefix + "b_1": draw.normal(ratio * D), prefix + "b_2": draw.normal(D)})
        return w
    return make


LINEAR = "Vaswani et al. 2017, eq. 2, with torch.nn.functional.linear"
layer("mlp", "ffn/mlp", "", LINEAR, mlp(F.gelu), x, mlp_weights(4))
layer("mlp-relu", "ffn/mlp", "ratio=2 bias=off act=relu", LINEAR, mlp(F.relu), x, mlp_weights(2, False))
layer("swiglu", "ffn/swiglu", "ratio=1.5 multiple=3", "Shazeer 2020, eq. 6",
      lambda i, w: F.linear(F.silu(F.linear(i["x"], w["W"])) * F.linear(i["x"], w["V"]), w["W_2"]), x,
      lambda draw: {"W": draw.normal(9, D), "V": draw.normal(9, D), "W_2": draw.normal(D, 9)})


# The mixer of the wirings is torch.nn.RNN, with one bias ours and its second one zero.
def rnn(y, w, hidden):
    parts = [w["mixer0.W"], w["mixer0.U"], w["mixer0.b"], torch.zeros(hidden)]
    return torch.rnn_tanh(y, torch.zeros(1, B, hidden), parts, True, 1, 0.0, False, False, True)[0]


def rnn_weights(draw, hidden):
    return {"mixer0.W": draw.normal(hidden, D, scale=0.5), "mixer0.U": draw.normal(hidden, hidden, scale=0.5),
            "mixer0.b": draw.normal(hidden)}


def block_weights(hidden, norms, ffn, conv=0, bias=False):
    def make(draw):
        w = rnn_weights(draw, hidden)
        for n in range(norms):
            w["norm%d.gain" % n] = draw.normal(D)
            if bias:
                w["norm%d.bias" % n] = draw.normal(D)
        if ffn:
            w.update(mlp_weights(2, True, "ffn0.")(draw))
        if conv:
            w["conv"] = draw.normal(D, conv)
        if hidden != D:
            w["W_o"] = draw.normal(D, hidden)
        return w
    return make


# Xiong et al. 2020, table 1 (pre-LN), with RMSNorm.
def prenorm(ffn):
    def f(i, w):
        y = i["x"] + rnn(rms_norm(i["x"], w["norm0.gain"]), w, D)
        if ffn:
            y = y + mlp(F.gelu, "ffn0.")(i, w, rms_norm(y, w["norm1.gain"]))
        return y
    return f


# Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x)).
def postnorm(ffn):
    def f(i, w):
        y = F.layer_norm(i["x"] + rnn(i["x"], w, D), (D,), w["norm0.gain"], w["norm0.bias"], 1e-5)
        if ffn:
            y = F.layer_norm(y + mlp(F.gelu, "ffn0.")(i, w, y), (D,), w["norm1.gain"], w["norm1.bias"], 1e-5)
        return y
    return f


# A convolution before the mixer, and a map back to the width after it.
def prenorm_wide(i, w):
    y = F.silu(conv_causal(rms_norm(i["x"], w["norm0.gain"]), w["conv"]))
    return i["x"] + F.linear(rnn(y, w, 4), w["W_o"])


POSTNORM = "Vaswani et al. 2017, section 3.1, by autograd"
layer("plain", "wiring/plain", "mixer=rnn", "torch.nn.RNN", lambda i, w: rnn(i["x"], w, D), x,
      lambda draw: rnn_weights(draw, D))
layer("prenorm", "wiring/prenorm", "mixer=rnn", "Xiong et al. 2020, table 1, by autograd", prenorm(False), x,
      block_weights(D, 1, False))
layer("prenorm-ffn", "wiring/prenorm", "mixer=rnn ffn=mlp ffn.ratio=2", "Xiong et al. 2020, table 1, by autograd",
      prenorm(True), x, block_weights(D, 2, True))
layer("prenorm-wide", "wiring/prenorm", "mixer=rnn mixer.hidden=4 conv=3", "Xiong et al. 2020, table 1, by autograd",
      prenorm_wide, x, block_weights(4, 1, False, 3))
layer("postnorm", "wiring/postnorm", "mixer=rnn", POSTNORM, postnorm(False), x,
      block_weights(D, 1, False, 0, True))
layer("postnorm-ffn", "wiring/postnorm", "mixer=rnn ffn=mlp ffn.ratio=2", POSTNORM,
      postnorm(True), x, block_weights(D, 2, True, 0, True))
