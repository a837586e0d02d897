# layers.py: the layers of bench/table.tsv as a good user of PyTorch would write them, several ways each; the faster one
# counts. A form takes (B, T, D) and returns a function that does one training step of the layer: forward, and backward
# from a given gradient to all inputs and weights. Layouts are those in which PyTorch is fastest: nothing is transposed
# inside what is timed. Runs in PyTorch 1.13 and 2.x.
import math
import torch
import torch.nn.functional as F
from torch import nn

HEADS = 4
FORMS = {}                       # name -> {form: maker}


def form(name, way):
    def keep(make):
        FORMS.setdefault(name, {})[way] = make
        return make
    return keep


def leaf(*size, scale=1.0):
    return (torch.randn(*size) * scale).requires_grad_()


def stepper(run, leaves):
    """Forward and backward; gradients are not added up from step to step."""
    dy = torch.randn_like(run().detach())

    def step():
        for x in leaves:
            x.grad = None
        run().backward(dy)
    return step


# ---- recurrent nets ----------------------------------------------------------------------------------------------------

def recurrent(kind, batch_first):
    def make(B, T, D):
        net = kind(D, D, batch_first=batch_first)
        x = leaf(B, T, D) if batch_first else leaf(T, B, D)
        return stepper(lambda: net(x)[0], [x] + list(net.parameters()))
    return make


for _name, _kind in (("lstm", nn.LSTM), ("gru-after", nn.GRU), ("rnn", nn.RNN)):
    form(_name, "batch first")(recurrent(_kind, True))
    form(_name, "time first")(recurrent(_kind, False))


# ---- attention and its linear relatives: (batch, heads, time, width of a head) ---------------------------------------

def qkv(B, T, D):
    d = D // HEADS
    return d, leaf(B, HEADS, T, d), leaf(B, HEADS, T, d), leaf(B, HEADS, T, d)


@form("softmax-attention", "matmul")
def attention_matmul(B, T, D):
    d, q, k, v = qkv(B, T, D)
    mask = torch.full((T, T), -math.inf).triu(1)
    return stepper(lambda: torch.softmax(q @ k.mT * d ** -0.5 + mask, -1) @ v, [q, k, v])


if hasattr(F, "scaled_dot_product_attention"):
    @form("softmax-attention", "fused")
    def attention_fused(B, T, D):
        _, q, k, v = qkv(B, T, D)
        return stepper(lambda: F.scaled_dot_product_attention(q, k, v, is_causal=True), [q, k, v])


@form("linear-attention", "parallel")
def linear_parallel(B, T, D):
    _, q, k, v = qkv(B, T, D)
    return stepper(lambda: (q @ k.mT).tril() @ v, [q, k, v])


def chunks(x, C):
    return x.unflatten(2, (-1, C))               # (batch, heads, chunks, C, width)


def linear_chunk(C):
    def make(B, T, D):
        _, q, k, v = qkv(B, T, D)

        def run():
            a, b, c = chunks(q, C), chunks(k, C), chunks(v, C)
            s = (b.mT @ c).cumsum(2)
            s = torch.cat([torch.zeros_like(s[:, :, :1]), s[:, :, :-1]], 2)
            return (a @ s + (a @ b.mT).tril() @ c).flatten(2, 3)
        return stepper(run, [q, k, v])
    return make


def gated_chunk(C):
    """The chunked form of Yang et al. 2024 (GLA), decays per key channel; gates as theirs, logsigmoid / 16."""
    def make(B, T, D):
        _, q, k, v = qkv(B, T, D)
        gate = F.logsigmoid(torch.randn(B, HEADS, T, D // HEADS)).div(16).requires_grad_()

        def run():
            a, b, c, g = chunks(q, C), chunks(k, C), chunks(v, C), chunks(gate, C).cumsum(3)
            last = g[:, :, :, -1:]
            a, inside, to_end = a * g.exp(), b * (-g).exp(), b * (last - g).exp()
            local, decay, add = (a @ inside.mT).tril() @ c, last.mT.exp(), to_end.mT @ c
            s, out = torch.zeros_like(add[:, :, 0]), []
            for i in range(a.shape[2]):
                out.append(a[:, :, i] @ s)
                s = decay[:, :, i] * s + add[:, :, i]
            return (torch.stack(out, 2) + local).flatten(2, 3)
        return stepper(run, [q, k, v, gate])
    return make


def inverse_solve(lower):
    eye = torch.eye(lower.shape[-1])
    return torch.linalg.solve_triangular(eye + lower, eye.expand_as(lower), upper=False, unitriangular=True)


def inverse_doubling(lower):
    """(I + L)^-1 for strictly lower L: (I - L)(I + L^2)(I + L^4)..."""
    eye = torch.eye(lower.shape[-1])
    out, power, n = eye - lower, lower @ lower, 2
    while n < lower.shape[-1]:
        out, power, n = out + out @ power, power @ power, 2 * n
    return out


def delta_chunk(C, inverse):
    """The WY form of Yang et al. 2024 (DeltaNet), section 3.2."""
    def make(B, T, D):
        d, q, k, v = qkv(B, T, D)
        k = F.normalize(k.detach(), dim=-1).requires_grad_()
        beta = torch.rand(B, HEADS, T, 1).requires_grad_()

        def run():
            a, b, c, w = chunks(q, C), chunks(k, C), chunks(v, C), chunks(beta, C)
            kb = b * w
            t = inverse((kb @ b.mT).tril(-1))
            W, U, local = t @ kb, t @ (c * w), (a @ b.mT).tril()
            s, out = torch.zeros(B, HEADS, d, d), []
            for i in range(a.shape[2]):
                u = U[:, :, i] - W[:, :, i] @ s
                out.append(a[:, :, i] @ s + local[:, :, i] @ u)
                s = s + b[:, :, i].mT @ u
            return torch.cat(out, 2)
        return stepper(run, [q, k, v, beta])
    return make


for _c in (32, 64, 128):
    form("linear-attention", f"chunk {_c}")(linear_chunk(_c))
    form("gated-linear-attention", f"chunk {_c}")(gated_chunk(_c))
    form("deltanet", f"WY chunk {_c}, triangular solve")(delta_chunk(_c, inverse_solve))
    form("deltanet", f"WY chunk {_c}, doubling")(delta_chunk(_c, inverse_doubling))


# ---- scans and convolutions --------------------------------------------------------------------------------------------

def scan_inputs(B, T, D):
    return torch.rand(B, T, D).mul_(1.8).sub_(0.9).requires_grad_(), leaf(B, T, D)


@form("diagonal-scan", "doubling")
def scan_doubling(B, T, D):
    a0, x0 = scan_inputs(B, T, D)

    def run():
        a, x, n = a0, x0, 1
        while n < T:
            x = torch.cat([x[:, :n], x[:, n:] + a[:, n:] * x[:, :-n]], 1)
            a = torch.cat([a[:, :n], a[:, n:] * a[:, :-n]], 1)
            n *= 2
        return x
    return stepper(run, [a0, x0])


@form("diagonal-scan", "step by step")
def scan_steps(B, T, D):
    a0, x0 = scan_inputs(B, T, D)

    def run():
        h, out = torch.zeros(B, D), []
        for a, x in zip(a0.unbind(1), x0.unbind(1)):
            h = torch.addcmul(x, a, h)
            out.append(h)
        return torch.stack(out, 1)
    return stepper(run, [a0, x0])


@form("diagonal-scan", "two levels")
def scan_levels(B, T, D):
    """All chunks step by step side by side, then the chunks' ends, then what came in from the left is added."""
    C = 1 << (int(math.log2(T)) // 2)
    a0, x0 = scan_inputs(B, T, D)

    def run():
        a, x = a0.unflatten(1, (-1, C)), x0.unflatten(1, (-1, C))
        h, p, hs, ps = None, None, [], []
        for s in range(C):
            at, xt = a[:, :, s], x[:, :, s]
            h, p = (xt, at) if h is None else (torch.addcmul(xt, at, h), at * p)
            hs.append(h)
            ps.append(p)
        carry, before = torch.zeros(B, D), []
        for n in range(a.shape[1]):
            before.append(carry)
            carry = torch.addcmul(h[:, n], p[:, n], carry)
        return torch.addcmul(torch.stack(hs, 2), torch.stack(ps, 2), torch.stack(before, 1).unsqueeze(2)).flatten(1, 2)
    return stepper(run, [a0, x0])


@form("long-convolution", "FFT, channels first")
def long_first(B, T, D):
    x, w = leaf(B, D, T), leaf(D, T, scale=T ** -0.5)
    return stepper(lambda: torch.fft.irfft(torch.fft.rfft(x, 2 * T) * torch.fft.rfft(w, 2 * T), 2 * T)[..., :T], [x, w])


@form("long-convolution", "FFT, channels last")
def long_last(B, T, D):
    x, w = leaf(B, T, D), leaf(T, D, scale=T ** -0.5)
    return stepper(lambda: torch.fft.irfft(torch.fft.rfft(x, 2 * T, dim=1) * torch.fft.rfft(w, 2 * T, dim=0), 2 * T,
                                           dim=1)[:, :T], [x, w])


@form("depthwise-convolution", "conv1d")
def depthwise_conv1d(B, T, D):
    x, w, b = leaf(B, D, T), leaf(D, 1, 4, scale=0.5), leaf(D)
    return stepper(lambda: F.conv1d(F.pad(x, (3, 0)), w, b, groups=D), [x, w, b])


@form("depthwise-convolution", "shifted sums")
def depthwise_shifts(B, T, D):
    x, w, b = leaf(B, T, D), leaf(4, D, scale=0.5), leaf(D)

    def run():
        p = F.pad(x, (0, 0, 3, 0))
        y = torch.addcmul(b, p[:, :T], w[0])
        for j in range(1, 4):
            y = torch.addcmul(y, p[:, j:j + T], w[j])
        return y
    return stepper(run, [x, w, b])


# ---- pointwise layers --------------------------------------------------------------------------------------------------

@form("mlp", "linear, GELU, linear")
def mlp(B, T, D):
    net, x = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D)), leaf(B, T, D)
    return stepper(lambda: net(x), [x] + list(net.parameters()))


@form("layernorm", "layer_norm")
def layernorm(B, T, D):
    x, gain, bias = leaf(B, T, D), leaf(D), leaf(D)
    return stepper(lambda: F.layer_norm(x, (D,), gain, bias), [x, gain, bias])


@form("gelu", "gelu")
def gelu(B, T, D):
    x = leaf(B, T, D)
    return stepper(lambda: F.gelu(x), [x])
