"""The memories and attentions that mixers put in their slot `core`, as functions of (batch, time, heads, width)."""
import torch


# Yang et al. 2024, eq. 2: S_t = S_{t-1} (I - beta k k^T) + beta v k^T; o_t = S_t q_t. S (dv, dk), as the paper has it.
# With a decay Yang et al. 2025, eq. 10: S_t = S_{t-1} (alpha (I - beta k k^T)) + beta v k^T.
def delta_rule(q, k, v, beta, log_alpha=None):
    batch, time, heads, dk = q.shape
    S, out = torch.zeros(batch, heads, v.shape[3], dk), []
    eye = torch.eye(dk)
    for t in range(time):
        b, kt, vt = beta[:, t, :, None, None], k[:, t], v[:, t]
        transition = eye - b * kt[..., :, None] * kt[..., None, :]
        if log_alpha is not None:
            transition = transition * torch.exp(log_alpha[:, t])[..., None, None]
        S = S @ transition + b * vt[..., :, None] * kt[..., None, :]
        out.append((S @ q[:, t][..., None])[..., 0])
    return torch.stack(out, 1)


# Katharopoulos et al. 2020, eq. 18-20 without the normaliser: S_t = a_t S_{t-1} + k v^T; a_t = 1 without decay.
def linear_rule(q, k, v, log_a=None):
    batch, time, heads, dk = q.shape
    S, out = torch.zeros(batch, heads, dk, v.shape[3]), []
    for t in range(time):
        if log_a is not None:
            S = S * torch.exp(log_a[:, t])[..., None, None]
        S = S + k[:, t][..., :, None] * v[:, t][..., None, :]
        out.append(torch.einsum("bhk,bhkv->bhv", q[:, t], S))
    return torch.stack(out, 1)


# Yang et al. 2024, "Gated linear attention", eq. 3: S_t = diag(a_t) S_{t-1} + k^T v; o_t = q_t S_t; log_a as wide as k.
def gated_linear_rule(q, k, v, log_a):
    batch, time, heads, dk = q.shape
    S, out = torch.zeros(batch, heads, dk, v.shape[3]), []
    for t in range(time):
        S = torch.exp(log_a[:, t])[..., :, None] * S + k[:, t][..., :, None] * v[:, t][..., None, :]
        out.append(torch.einsum("bhk,bhkv->bhv", q[:, t], S))
    return torch.stack(out, 1)


# h_t = a_t h_{t-1} + x_t, channel by channel; pairs in a last axis of two are complex numbers.
def diagonal_scan(x, a):
    pairs = x.dim() == 4
    if pairs:
        x, a = torch.view_as_complex(x.contiguous()), torch.view_as_complex(a.contiguous())
    h, out = torch.zeros_like(x[:, 0]), []
    for t in range(x.shape[1]):
        h = a[:, t % a.shape[1]] * h + x[:, t]
        out.append(h)
    out = torch.stack(out, 1)
    return torch.view_as_real(out) if pairs else out


# Vaswani et al. 2017, eq. 1. length (batch): keys beyond it are not seen.
def attention(q, k, v, causal, scale=None, length=None):
    time, dk = q.shape[1], q.shape[3]
    scores = torch.einsum("bihd,bjhd->bhij", q, k) * (scale or dk ** -0.5)
    if causal:
        scores = scores.masked_fill(~torch.ones(time, time, dtype=torch.bool).tril(), float("-inf"))
    if length is not None:
        unseen = torch.arange(time)[None, :] >= torch.tensor(length)[:, None]
        scores = scores.masked_fill(unseen[:, None, None, :], float("-inf"))
    return torch.einsum("bhij,bjhd->bihd", torch.softmax(scores, -1), v)
