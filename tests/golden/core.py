"""The memories by themselves."""
import sys
sys.dont_write_bytecode = True
import torch
from golden import layer
from memory import attention, delta_rule, diagonal_scan, gated_linear_rule, linear_rule

B, T, H, DK, DV = 2, 7, 2, 4, 3


def ports(*names):
    def make(draw):
        all_ports = {"q": draw.normal(B, T, H, DK), "k": draw.normal(B, T, H, DK, scale=0.5),
                     "v": draw.normal(B, T, H, DV), "beta": draw.uniform(0, 2, B, T, H),
                     "g": draw.uniform(-1, 0, B, T, H)}
        if "log_a" in names:
            all_ports["log_a"] = draw.uniform(-1, 0, B, T, H, DK)
        return {name: all_ports[name] for name in names}
    return make


DELTA, GATED = "Yang et al. 2024, eq. 2, by autograd", "Yang et al. 2025, eq. 10, by autograd"
LINEAR, DECAY = "Katharopoulos et al. 2020, eq. 18-20", "the same with the decay of Sun et al. 2023, eq. 6"
SOFTMAX = "Vaswani et al. 2017, eq. 1, with torch.softmax"


def run(f, **more):
    return lambda i, w: f(*i.values(), **more)


layer("delta-rule", "core/delta-rule", "", DELTA, run(delta_rule), ports("q", "k", "v", "beta"))
layer("delta-rule-gated", "core/delta-rule", "", GATED, run(delta_rule), ports("q", "k", "v", "beta", "g"))
layer("delta-rule-padded", "core/delta-rule", "", GATED, run(delta_rule), ports("q", "k", "v", "beta", "g"),
      length=[7, 3])
layer("linear-rule", "core/linear-rule", "", LINEAR, run(linear_rule), ports("q", "k", "v"))
layer("linear-rule-decay", "core/linear-rule", "", LINEAR + "; " + DECAY, run(linear_rule), ports("q", "k", "v", "g"))
layer("linear-rule-padded", "core/linear-rule", "", LINEAR, run(linear_rule), ports("q", "k", "v"), length=[2, 7])
for name, causal in (("softmax-attention", True), ("full-attention", False)):
    layer(name, "core/" + name, "", SOFTMAX, run(attention, causal=causal), ports("q", "k", "v"))
    layer(name + "-scale", "core/" + name, "scale=0.75", SOFTMAX, run(attention, causal=causal, scale=0.75),
          ports("q", "k", "v"))
    layer(name + "-padded", "core/" + name, "", SOFTMAX, run(attention, causal=causal, length=[7, 4]),
          ports("q", "k", "v"), length=[7, 4])
GLA = "Yang et al. 2024, Gated linear attention, eq. 3, by autograd"
layer("gated-linear-rule", "core/gated-linear-rule", "", GLA, run(gated_linear_rule), ports("q", "k", "v", "log_a"))
layer("gated-linear-rule-padded", "core/gated-linear-rule", "", GLA, run(gated_linear_rule),
      ports("q", "k", "v", "log_a"), length=[3, 7])


def scan(a_sizes, *tail):
    def make(draw):
        return {"x": draw.normal(B, T, 5, *tail), "a": draw.uniform(-0.7, 0.7, *a_sizes, 5, *tail)}
    return make


for name, inputs in (("", scan((B, T))), ("-constant", scan((1, 1))), ("-complex", scan((B, T), 2)),
                     ("-complex-constant", scan((1, 1), 2))):
    layer("diagonal-scan" + name, "core/diagonal-scan", "", "the recurrence as it stands, by autograd",
          run(diagonal_scan), inputs)
