"""Linear recurrences in their sequential form, by autograd."""
import sys
sys.dont_write_bytecode = True
import torch
from golden import layer

B, T, D, H = 2, 7, 4, 5


def x(draw):
    return {"x": draw.normal(B, T, D)}


# Orvieto et al. 2023, eq. 5-7: x_k = Lambda x_{k-1} + gamma * (B u_k), y_k = Re(C x_k) + D u_k, in complex numbers.
# Lambda = exp(-exp(nu) + i exp(theta)). Rows of our `lambda`: nu, theta, log gamma; B and C are kept as two reals.
def lru(i, w):
    nu, theta, log_gamma = w["lambda"]
    eigenvalues = torch.exp(torch.complex(-torch.exp(nu), torch.exp(theta)))
    Bc, Cc = torch.complex(w["B_re"], w["B_im"]), torch.complex(w["C_re"], w["C_im"])
    state, y = torch.zeros(B, H, dtype=torch.complex128), []
    for t in range(T):
        u = i["x"][:, t]
        state = eigenvalues * state + torch.exp(log_gamma) * (u.to(torch.complex128) @ Bc.T)
        y.append((state @ Cc.T).real + w["D"] * u)
    return torch.stack(y, 1)


def lru_weights(draw):
    rows = [draw.uniform(-3, 0.5, H), draw.uniform(-2, 1, H), draw.uniform(-2, 0, H)]
    return {"lambda": torch.stack(rows), "B_re": draw.normal(H, D), "B_im": draw.normal(H, D),
            "C_re": draw.normal(D, H), "C_im": draw.normal(D, H), "D": draw.normal(D)}


# Feng et al. 2024, appendix B.3: positive, continuous at 0.
def g(v):
    return torch.where(v >= 0, v + 0.5, torch.sigmoid(v))


# Section 3.1. Rows of our W, b: z, candidate.
def mingru(form):
    def f(i, w):
        Wz, Wh = w["W"].split(H)
        bz, bh = w["b"].split(H) if "b" in w else (0, 0)
        h, out = torch.zeros(B, H), []
        for t in range(T):
            u = i["x"][:, t]
            z = torch.sigmoid(u @ Wz.T + bz)
            candidate = u @ Wh.T + bh
            h = (1 - z) * h + z * (g(candidate) if form == "log" else candidate)
            out.append(h)
        return torch.stack(out, 1)
    return f


# Section 3.2, with the gates normalised to sum to one. Rows of our W, b: f, i, candidate.
def minlstm(form):
    def f(i, w):
        Wf, Wi, Wh = w["W"].split(H)
        bf, bi, bh = w["b"].split(H) if "b" in w else (0, 0, 0)
        h, out = torch.zeros(B, H), []
        for t in range(T):
            u = i["x"][:, t]
            forget, write = torch.sigmoid(u @ Wf.T + bf), torch.sigmoid(u @ Wi.T + bi)
            total = forget + write
            candidate = u @ Wh.T + bh
            h = forget / total * h + write / total * (g(candidate) if form == "log" else candidate)
            out.append(h)
        return torch.stack(out, 1)
    return f


def weights(gates, bias=True):
    def make(draw):
        w = {"W": draw.normal(gates * H, D)}
        if bias:
            w["b"] = draw.normal(gates * H)
        return w
    return make


size = "hidden=%d" % H
ORVIETO = "Orvieto et al. 2023, eq. 5-7, by autograd in complex128"
layer("lru", "linear-recurrence/lru", size, ORVIETO, lru, x, lru_weights)
layer("lru-padded", "linear-recurrence/lru", size, ORVIETO, lru, x, lru_weights, length=[4, 7])
for form in ("log", "plain"):
    options = size + " form=" + form
    layer("mingru-" + form, "linear-recurrence/mingru", options, "Feng et al. 2024, section 3.1, by autograd",
          mingru(form), x, weights(2))
    layer("minlstm-" + form, "linear-recurrence/minlstm", options, "Feng et al. 2024, section 3.2, by autograd",
          minlstm(form), x, weights(3))
layer("mingru-nobias", "linear-recurrence/mingru", size + " bias=off", "Feng et al. 2024, section 3.1, by autograd",
      mingru("log"), x, weights(2, False))
layer("minlstm-nobias", "linear-recurrence/minlstm", size + " bias=off", "Feng et al. 2024, section 3.2, by autograd",
      minlstm("log"), x, weights(3, False))
