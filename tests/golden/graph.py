"""Graph layers: equations with tensor operations, edge by edge; PyTorch's own LSTM cell."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import layer

B, V, E, N, C, S = 2, 5, 9, 4, 3, 6        # graphs, nodes, edges, width, classes, symbols
# Among them one edge twice, a loop and a number that is no node, which both count for nothing.
EDGES = torch.tensor([[[0, 1], [1, 0], [1, 2], [1, 2], [4, 2], [3, 3], [2, 5], [2, 4], [0, 4]],
                      [[3, 0], [0, 3], [0, 1], [0, 2], [1, 4], [4, 1], [2, 0], [1, 1], [5, 0]]], dtype=torch.int32)


def pairs(graph):
    return [(a, b) for a, b in EDGES[graph].tolist() if a != b and a < V and b < V]


def mlp(w, prefix, layers, y):
    for l in range(layers):
        y = F.relu(F.linear(y, w["%s%d" % (prefix % "W", l)], w["%s%d" % (prefix % "b", l)]))
    return F.linear(y, w["%s%d" % (prefix % "W", layers)], w["%s%d" % (prefix % "b", layers)])


# Palm et al. 2018, eq. 1-3, on one graph: x (nodes, width) -> (nodes, steps, width). Pairs are laid side by side.
def rrn(w, x, edges, steps, layers, update, head=""):
    order = [0, 1, 3, 2]                   # our rows are i, f, o, g; PyTorch's i, f, g, o
    h, state, out = x, (torch.zeros_like(x), torch.zeros_like(x)), []
    for _ in range(steps):
        m = [torch.zeros(N) for _ in range(V)]
        for a, b in edges:
            m[b] = m[b] + mlp(w, head + "%s_f", layers, torch.cat([h[a], h[b]]))
        m = torch.stack(m)
        if update == "mlp":
            h = mlp(w, head + "%s_g", layers, torch.cat([m, x, h], 1))
        else:
            z = mlp(w, head + "%s_g", layers, torch.cat([m, x], 1))
            W, U, b = [w[head + key] for key in ("W", "U", "b")]
            W, U, b = [p.reshape(4, N, -1)[order].reshape(p.shape) for p in (W, U, b)]
            state = torch.lstm_cell(z, state, W, U, b, torch.zeros_like(b))
            h = state[0]
        out.append(h)
    return torch.stack(out, 1)


def mlp_weights(draw, prefix, layers, wide):
    w = {}
    for l in range(layers + 1):
        w["%s%d" % (prefix % "W", l)] = draw.normal(N, N if l else wide, scale=0.5)
        w["%s%d" % (prefix % "b", l)] = draw.normal(N, scale=0.5)
    return w


def rrn_weights(layers, update, head=""):
    def make(draw):
        w = mlp_weights(draw, head + "%s_f", layers, 2 * N)
        w.update(mlp_weights(draw, head + "%s_g", layers, 2 * N + (N if update == "mlp" else 0)))
        if update == "lstm":
            w.update({head + "W": draw.normal(4 * N, N, scale=0.5), head + "U": draw.normal(4 * N, N, scale=0.5),
                      head + "b": draw.normal(4 * N, scale=0.5)})
        return w
    return make


def by_graph(steps, layers, update):
    return lambda i, w: torch.stack([rrn(w, i["x"][g], pairs(g), steps, layers, update) for g in range(B)])


def relational(i, w):
    y = mlp(w, "%s_", 1, F.embedding(i["x"].long(), w["embedding"]))
    h = torch.stack([rrn(w, y[g], pairs(g), 3, 1, "lstm", "graph0.") for g in range(B)])
    return F.linear(h[:, :, -1], w["W_head"], w["b_head"])


def relational_weights(draw):
    w = {"embedding": draw.normal(S, 3), "W_0": draw.normal(N, 3), "b_0": draw.normal(N), "W_1": draw.normal(N, N),
         "b_1": draw.normal(N), "W_head": draw.normal(C, N), "b_head": draw.normal(C)}
    w.update(rrn_weights(1, "lstm", "graph0.")(draw))
    return w


def real(draw):
    return {"x": draw.normal(B, V, N), "edges": EDGES}


source = "Palm et al. 2018, eq. 1-3, edge by edge, with torch.lstm_cell"
for name, steps, layers, update in (("rrn", 3, 1, "lstm"), ("rrn-deep", 2, 3, "lstm"), ("rrn-mlp", 3, 1, "mlp")):
    layer(name, "graph/rrn", "steps=%d layers=%d update=%s" % (steps, layers, update), source,
          by_graph(steps, layers, update), real, rrn_weights(layers, update))
layer("relational", "model/relational", "graph.steps=3 width=%d embedding=3 layers=1" % N, source, relational,
      lambda draw: {"x": draw.below(S, B, V), "edges": EDGES}, relational_weights, numbers={"classes": C, "vocab": S})
