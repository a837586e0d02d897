"""Whole mixers: linear attention, DeltaNet, gated DeltaNet, softmax attention."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import conv_causal, layer, rms_norm
from memory import attention, delta_rule, gated_linear_rule, linear_rule

B, T, D, H = 2, 6, 8, 2


def x(draw):
    return {"x": draw.normal(B, T, D)}


def heads(y):
    return y.reshape(B, T, H, -1)


def linear(i, w, name):
    return i["x"] @ w[name].T


# Keys with a convolution are divided by their length: large enough that none comes near zero, where float loses digits.
# Those without are not: small enough that the memory does not explode.
def projections(draw, dk, dv, conv):
    scale = 1.0 if conv else 0.3
    w = {"W_q": draw.normal(H * dk, D, scale=scale), "W_k": draw.normal(H * dk, D, scale=scale),
         "W_v": draw.normal(H * dv, D, scale=0.5), "W_o": draw.normal(D, H * dv, scale=0.5)}
    if conv:
        w.update(conv_q=draw.normal(H * dk, conv), conv_k=draw.normal(H * dk, conv),
                 conv_v=draw.normal(H * dv, conv, scale=0.5))
    return w


def branch(x_in, w, which, silu):
    y = x_in @ w["W_" + which].T
    if "conv_" + which in w:
        y = conv_causal(y, w["conv_" + which])
    return heads(F.silu(y) if silu else y)


# x / sqrt(sum x^2 + eps), eps inside the root as in the published kernels.
def l2(y):
    return y * torch.rsqrt(y.pow(2).sum(-1, keepdim=True) + 1e-6)


# Katharopoulos et al. 2020, sections 3.2-3.3, before the sums are reordered: weights sim(q_i, k_j), j <= i.
def linear_attention(feature, normalise):
    def f(i, w):
        conv = "conv_q" in w
        q, k, v = (branch(i["x"], w, which, conv) for which in "qkv")
        if feature == "elu":
            similarity = torch.einsum("bihd,bjhd->bhij", F.elu(q) + 1, F.elu(k) + 1)
        else:
            similarity = torch.einsum("bihd,bjhd->bhij", q, k)
        if feature == "taylor":      # Arora et al. 2024, section 4.1: exp(s) to second order, s = q.k / sqrt(d)
            s = similarity * q.shape[3] ** -0.5
            similarity = 1 + s + s * s / 2
        similarity = similarity * torch.ones(T, T).tril()
        o = torch.einsum("bhij,bjhd->bihd", similarity, v)
        if normalise == "sum":
            o = o / (similarity.sum(-1).transpose(1, 2)[..., None] + 1e-6)
        if normalise == "rms":
            o = rms_norm(o, w["norm"])
        return o.reshape(B, T, -1) @ w["W_o"].T
    return f


def linear_weights(conv, norm):
    def make(draw):
        w = projections(draw, D // H, D // H, conv)
        if norm:
            w["norm"] = draw.normal(D // H)
        return w
    return make


# Yang et al. 2024, sections 2.2 and 3.3.
def deltanet(beta_max, qk_norm=True, out_norm=True, act=True):
    def f(i, w):
        q, k, v = (branch(i["x"], w, which, act) for which in "qkv")
        if qk_norm:
            q, k = l2(q), l2(k)
        beta = beta_max * torch.sigmoid(linear(i, w, "W_beta"))
        o = delta_rule(q * q.shape[3] ** -0.5, k, v, beta)
        return (rms_norm(o, w["norm"]) if out_norm else o).reshape(B, T, -1) @ w["W_o"].T
    return f


def deltanet_weights(conv=4, norm=True, dk=D // H, dv=D // H):
    def make(draw):
        w = projections(draw, dk, dv, conv)
        w["W_beta"] = draw.normal(H, D, scale=0.5)
        if norm:
            w["norm"] = draw.normal(dv)
        return w
    return make


# Yang et al. 2025, section 3.4; the decay is that of Mamba-2: alpha = exp(-exp(A_log) softplus(W_a x + dt_bias)).
def gated_deltanet(beta_max=1, gate=True, erase=True, out_gate=True):
    def f(i, w):
        q, k, v = (branch(i["x"], w, which, True) for which in "qkv")
        q, k = l2(q) * q.shape[3] ** -0.5, l2(k)
        log_alpha = -torch.exp(w["A_log"]) * F.softplus(linear(i, w, "W_a") + w["dt_bias"]) if gate else None
        if erase:
            o = delta_rule(q, k, v, beta_max * torch.sigmoid(linear(i, w, "W_beta")), log_alpha)
        else:
            o = linear_rule(q, k, v, log_alpha)
        o = rms_norm(o, w["norm"])
        if out_gate:
            o = o * F.silu(heads(linear(i, w, "W_g")))
        return o.reshape(B, T, -1) @ w["W_o"].T
    return f


def gated_weights(conv=4, gate=True, erase=True, out_gate=True):
    def make(draw):
        dk, dv = D // H, D // H * 2
        w = projections(draw, dk, dv, conv)
        w["norm"] = draw.normal(dv)
        if gate:
            w.update(W_a=draw.normal(H, D, scale=0.5), A_log=draw.uniform(-2, 1, H), dt_bias=draw.uniform(-3, 0, H))
        if erase:
            w["W_beta"] = draw.normal(H, D, scale=0.5)
        if out_gate:
            w["W_g"] = draw.normal(H * dv, D, scale=0.5)
        return w
    return make


# Su et al. 2021, section 3.2: pairs are complex numbers turned by t base^(-2j/d). Ours pairs (j, j + d/2).
def turn(y, base):
    half = y.shape[3] // 2
    angle = torch.arange(T)[:, None] * base ** (-2 * torch.arange(half) / y.shape[3])
    z = torch.complex(y[..., :half], y[..., half:]) * torch.polar(torch.ones(T, half), angle)[None, :, None, :]
    return torch.cat([z.real, z.imag], -1)


# Yang et al. 2024, "Gated linear attention", eq. 3 and section 4.4: swish(W_r x + b_r) * layernorm(o), per head.
def gla(tau):
    def f(i, w):
        q, k, v = (heads(linear(i, w, "W_" + which)) for which in "qkv")
        log_a = F.logsigmoid(i["x"] @ w["W_1"].T @ w["W_2"].T + w["b_gate"]) / tau
        o = gated_linear_rule(q * q.shape[3] ** -0.5, k, v, heads(log_a))
        o = F.layer_norm(o, o.shape[-1:], w["gain"], w["bias"], 1e-5).reshape(B, T, -1)
        return (o * F.silu(linear(i, w, "W_r") + w["b_r"])) @ w["W_o"].T
    return f


def gla_weights(rank, dk, dv):
    def make(draw):
        return {"W_q": draw.normal(H * dk, D, scale=0.5), "W_k": draw.normal(H * dk, D, scale=0.5),
                "W_v": draw.normal(H * dv, D, scale=0.5), "W_1": draw.normal(rank, D, scale=0.5),
                "W_2": draw.normal(H * dk, rank, scale=0.5), "b_gate": draw.normal(H * dk),
                "W_r": draw.normal(H * dv, D, scale=0.5), "b_r": draw.normal(H * dv), "gain": draw.normal(dv),
                "bias": draw.normal(dv), "W_o": draw.normal(D, H * dv, scale=0.5)}
    return make


# Qin et al. 2024, HGRN2, section 3: S_t = diag(f_t) S_{t-1} + (1 - f_t) i_t^T, read out by o_t, f as the paper has it.
def hgrn2(bounded, n):
    def f(i, w):
        lower = torch.sigmoid(w["gamma"]) if bounded else torch.zeros(D)
        o, v = (z.reshape(B, T, n, -1) for z in (F.silu(linear(i, w, "W_o")), linear(i, w, "W_i")))
        forget = (lower + (1 - lower) * torch.sigmoid(linear(i, w, "W_f"))).reshape(B, T, n, -1)
        S, out = torch.zeros(B, n, D // n, D // n), []
        for t in range(T):
            S = forget[:, t, :, :, None] * S + (1 - forget[:, t])[..., None] * v[:, t, :, None, :]
            out.append((S.transpose(2, 3) @ o[:, t][..., None]).reshape(B, D))
        return rms_norm(torch.stack(out, 1), w["gain"]) @ w["W_y"].T
    return f


def hgrn2_weights(bounded):
    def make(draw):
        w = {"W_" + which: draw.normal(D, D, scale=0.5) for which in "iofy"}
        w["gain"] = draw.normal(D)
        if bounded:
            w["gamma"] = draw.normal(D)
        return w
    return make


# Sun et al. 2023, eq. 5: the parallel form (Q K^T o D) V with D_ij = gamma^(i - j); a group norm over each head.
def retention(gate):
    def f(i, w):
        q, k = turn(heads(linear(i, w, "W_q")), 10000.0), turn(heads(linear(i, w, "W_k")), 10000.0)
        gamma = 1 - 2.0 ** (-5 - torch.arange(H))
        apart = torch.arange(T)[:, None] - torch.arange(T)[None, :]
        decay = torch.where(apart >= 0, gamma[:, None, None] ** apart.clamp(min=0), torch.zeros(()))
        scores = torch.einsum("bihd,bjhd->bhij", q, k) * q.shape[3] ** -0.5 * decay
        o = torch.einsum("bhij,bjhd->bihd", scores, heads(linear(i, w, "W_v")))
        o = F.group_norm(o.reshape(B * T, -1), H, eps=1e-5).reshape(B, T, -1)
        return (o * F.silu(linear(i, w, "W_g")) if gate else o) @ w["W_o"].T
    return f


def retention_weights(gate, dv):
    def make(draw):
        w = projections(draw, D // H, dv, 0)
        if gate:
            w["W_g"] = draw.normal(H * dv, D, scale=0.5)
        return w
    return make


def softmax(positions, causal, base=10000.0):
    def f(i, w):
        y = i["x"] + w["positions"] if positions == "learned" else i["x"]
        q, k, v = (branch(y, w, which, "conv_q" in w) for which in "qkv")
        if positions == "rotary":
            q, k = turn(q, base), turn(k, base)
        return attention(q, k, v, causal).reshape(B, T, -1) @ w["W_o"].T
    return f


def softmax_weights(positions, conv=0):
    def make(draw):
        w = projections(draw, D // H, D // H, conv)
        if positions == "learned":
            w["positions"] = draw.normal(T, D)
        return w
    return make


of, two = "linear-attention/linear", "heads=%d" % H
KATHAROPOULOS = "Katharopoulos et al. 2020, sections 3.2-3.3, by autograd"
ARORA = "Arora et al. 2024, section 4.1, by autograd"
for feature, normalise, conv, source in (("elu", "sum", 0, KATHAROPOULOS), ("elu", "sum", 4, KATHAROPOULOS),
                                         ("identity", "rms", 4, KATHAROPOULOS), ("identity", "none", 0, KATHAROPOULOS),
                                         ("taylor", "sum", 0, ARORA), ("taylor", "none", 3, ARORA)):
    layer("linear-%s-%s%s" % (feature, normalise, "-conv" if conv else ""), of,
          "%s feature=%s normalise=%s conv=%d" % (two, feature, normalise, conv), source,
          linear_attention(feature, normalise), x, linear_weights(conv, normalise == "rms"))

of, source = "linear-attention/deltanet", "Yang et al. 2024, sections 2.2 and 3.3, by autograd"
layer("deltanet", of, two, source, deltanet(1), x, deltanet_weights())
layer("deltanet-negative", of, two + " beta_max=2", source + "; beta of Grazzi et al. 2025, section 4.2", deltanet(2),
      x, deltanet_weights())
layer("deltanet-bare", of, two + " conv=0 act=none qk_norm=none out_norm=none key_width=3 value_width=5", source,
      deltanet(1, False, False, False), x, deltanet_weights(0, False, 3, 5))
layer("deltanet-padded", of, two, source, deltanet(1), x, deltanet_weights(), length=[6, 3])

of, source = "linear-attention/gated-deltanet", "Yang et al. 2025, eq. 10 and section 3.4, by autograd"
layer("gated-deltanet", of, two, source, gated_deltanet(), x, gated_weights())
layer("gated-deltanet-negative", of, two + " beta_max=2 conv=2", source, gated_deltanet(2), x, gated_weights(2))
layer("gated-deltanet-ungated", of, two + " gate=off out_gate=off", source, gated_deltanet(gate=False, out_gate=False),
      x, gated_weights(gate=False, out_gate=False))
layer("gated-deltanet-additive", of, two + " erase=off", source, gated_deltanet(erase=False), x,
      gated_weights(erase=False))

of, source = "linear-attention/gla", "Yang et al. 2024, Gated linear attention, section 4.4, by autograd"
layer("gla", of, two, source, gla(16), x, gla_weights(16, D // H // 2, D // H))
layer("gla-wide", of, two + " rank=3 tau=2 key_share=1 expand=1.5", source, gla(2), x, gla_weights(3, D // H, 6))

of, source = "linear-attention/hgrn2", "Qin et al. 2024, HGRN2, section 3, by autograd"
layer("hgrn2", of, two, source, hgrn2(True, H), x, hgrn2_weights(True))
layer("hgrn2-vector", of, "heads=%d" % D, source, hgrn2(True, D), x, hgrn2_weights(True))
layer("hgrn2-unbounded", of, two + " lower=0", source, hgrn2(False, H), x, hgrn2_weights(False))

of, source = "linear-attention/retention", "Sun et al. 2023, eq. 5-8, by autograd; torch.nn.functional.group_norm"
layer("retention", of, two, source, retention(True), x, retention_weights(True, D // H))
layer("retention-ungated", of, two + " expand=1.5 gate=off", source, retention(False), x, retention_weights(False, 6))

source = "Vaswani et al. 2017, section 3.2; Su et al. 2021, section 3.2"
for positions in ("rotary", "learned", "none"):
    for name, causal in (("softmax", True), ("softmax-full", False)):
        layer("%s-%s" % (name, positions), "attention/" + name, "%s positions=%s" % (two, positions), source,
              softmax(positions, causal), x, softmax_weights(positions))
layer("softmax-rotary-conv", "attention/softmax", two + " conv=3 base=100", source, softmax("rotary", True, 100.0), x,
      softmax_weights("rotary", 3))
