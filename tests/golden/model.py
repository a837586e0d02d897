"""Whole models: tokens or frames in, blocks of torch.nn.RNN, logits out. PyTorch has the embedding and linear maps."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import layer, rms_norm

B, T, K, D, V, C = 2, 5, 3, 4, 6, 5       # K: width of a frame, D: of the blocks, V: tokens, C: outputs


# block0 and block1 are residual blocks without ffn (prenorm): y + rnn(rmsnorm(y)); the RNN's second bias is zero.
def block(y, w, n):
    name = "block%d." % n
    parts = [w[name + "mixer.W"], w[name + "mixer.U"], w[name + "mixer.b"], torch.zeros(D)]
    z = rms_norm(y, w[name + "norm.gain"])
    return y + torch.rnn_tanh(z, torch.zeros(1, B, D), parts, True, 1, 0.0, False, False, True)[0]


def block_weights(draw, depth):
    w = {}
    for n in range(depth):
        name = "block%d." % n
        w.update({name + "mixer.W": draw.normal(D, D), name + "mixer.U": draw.normal(D, D, scale=0.5),
                  name + "mixer.b": draw.normal(D), name + "norm.gain": draw.normal(D)})
    return w


def frames(i, w):
    parts = [w["block0.mixer.W"], w["block0.mixer.U"], w["block0.mixer.b"], torch.zeros(D)]
    y = torch.rnn_tanh(i["x"], torch.zeros(1, B, D), parts, True, 1, 0.0, False, False, True)[0]
    return F.linear(y, w["W_head"], w["b_head"])


def frames_weights(draw):
    return {"block0.mixer.W": draw.normal(D, K), "block0.mixer.U": draw.normal(D, D), "block0.mixer.b": draw.normal(D),
            "W_head": draw.normal(C, D), "b_head": draw.normal(C)}


def lm(tied):
    def f(i, w):
        y = F.embedding(i["x"].long(), w["embedding"])
        y = rms_norm(block(block(y, w, 0), w, 1), w["norm0.gain"])
        return F.linear(y, w["embedding"]) if tied else F.linear(y, w["W_head"], w["b_head"])
    return f


def lm_weights(tied):
    def make(draw):
        w = block_weights(draw, 2)
        w.update({"embedding": draw.normal(V, D), "norm0.gain": draw.normal(D)})
        if not tied:
            w.update({"W_head": draw.normal(C, D), "b_head": draw.normal(C)})
        return w
    return make


# The first of two heads: what the trunk gives, and beside it a layer of which the second head has the other rows.
def blockwise(i, w):
    y = rms_norm(block(F.embedding(i["x"].long(), w["embedding"]), w, 0), w["norm0.gain"])
    hidden = torch.relu(F.linear(y, w["W_1"], w["b_1"]))
    return F.linear(y + F.linear(hidden, w["W_2"], w["b_2"])[..., :D], w["W_head"], w["b_head"])


def blockwise_weights(draw):
    w = block_weights(draw, 1)
    w.update({"embedding": draw.normal(V, D), "norm0.gain": draw.normal(D), "W_head": draw.normal(C, D),
              "b_head": draw.normal(C), "W_1": draw.normal(6 * D, D), "b_1": draw.normal(6 * D),
              "W_2": draw.normal(2 * D, 6 * D), "b_2": draw.normal(2 * D)})
    return w


# read: every step, the last valid one, or the mean over the valid ones.
def classifier(read, length):
    def f(i, w):
        y = F.linear(i["x"], w["W_in"], w["b_in"])
        y = rms_norm(block(y, w, 0), w["norm0.gain"])
        if read == "last":
            y = torch.stack([row[n - 1] for row, n in zip(y, length)])
        if read == "mean":
            y = torch.stack([row[:n].mean(0) for row, n in zip(y, length)])
        return F.linear(y, w["W_head"], w["b_head"])
    return f


def classifier_weights(draw):
    w = block_weights(draw, 1)
    w.update({"W_in": draw.normal(D, K), "b_in": draw.normal(D), "norm0.gain": draw.normal(D),
              "W_head": draw.normal(C, D), "b_head": draw.normal(C)})
    return w


def real(draw):
    return {"x": draw.normal(B, T, K)}


def tokens(draw):
    return {"x": draw.below(V, B, T)}


common, source = "mixer=rnn width=%d" % D, "torch.nn.Embedding, RNN, Linear"
layer("frames", "model/frames", "mixer=rnn mixer.hidden=%d block=plain" % D, source, frames, real,
      frames_weights, numbers={"classes": C})
layer("lm", "model/lm", common + " depth=2", source, lm(False), tokens, lm_weights(False),
      numbers={"classes": C, "vocab": V})
layer("lm-tied", "model/lm", common + " depth=2 tied=on", source, lm(True), tokens, lm_weights(True),
      numbers={"classes": V, "vocab": V})
layer("blockwise", "model/blockwise", common + " heads=2 ratio=3", "torch.nn.Embedding, RNN, Linear, relu", blockwise,
      tokens, blockwise_weights, numbers={"classes": C, "vocab": V})
for read in ("every", "last", "mean"):
    layer("classifier-" + read, "model/classifier", common + " read=" + read, source, classifier(read, [5, 3]), real,
          classifier_weights, length=[5, 3], numbers={"classes": C})
