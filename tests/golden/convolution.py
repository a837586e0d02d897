"""Operators and layers: convolutions with strides, dilations, pads and groups. Channels come last with us, second with PyTorch."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import Draw, conv_causal, differentiate, layer, write


def operator(name, of, source, f, inputs, numbers=None):
    draw = Draw(name)
    write(name, "operator", of, source, differentiate(f, inputs(draw), {}, draw), numbers)


def numbers(stride, dilation, before, after, groups):
    n = {"groups": groups}
    for axis in range(len(stride)):
        n.update({"stride%d" % axis: stride[axis], "dilation%d" % axis: dilation[axis],
                  "pad_before%d" % axis: before[axis], "pad_after%d" % axis: after[axis]})
    return n


# Weights are (out, in / groups, kernel...) in both.
def conv1d(name, stride=1, dilation=1, before=0, after=0, groups=1, bias=True):
    def f(i, w):
        x = F.pad(i["x"].transpose(1, 2), (before, after))
        return F.conv1d(x, i["w"], i.get("bias"), stride, 0, dilation, groups).transpose(1, 2)

    def inputs(draw):
        i = {"x": draw.normal(2, 9, 4), "w": draw.normal(6, 4 // groups, 3)}
        return dict(i, bias=draw.normal(6)) if bias else i
    operator(name, "conv1d", "torch.nn.functional.conv1d", f, inputs,
             numbers([stride], [dilation], [before], [after], groups))


def conv2d(name, stride=(1, 1), dilation=(1, 1), before=(0, 0), after=(0, 0), groups=1, bias=True):
    def f(i, w):
        x = F.pad(i["x"].permute(0, 3, 1, 2), (before[1], after[1], before[0], after[0]))
        return F.conv2d(x, i["w"], i.get("bias"), stride, 0, dilation, groups).permute(0, 2, 3, 1)

    def inputs(draw):
        i = {"x": draw.normal(2, 7, 6, 4), "w": draw.normal(6, 4 // groups, 3, 2)}
        return dict(i, bias=draw.normal(6)) if bias else i
    operator(name, "conv2d", "torch.nn.functional.conv2d", f, inputs, numbers(stride, dilation, before, after, groups))


conv1d("conv1d")
conv1d("conv1d-stride-pad", stride=2, before=2, after=1, bias=False)
conv1d("conv1d-dilation-groups", dilation=2, before=3, groups=2)
conv1d("conv1d-all", stride=3, dilation=2, before=1, after=4, groups=2)
conv2d("conv2d")
conv2d("conv2d-stride-pad", stride=(2, 1), before=(1, 0), after=(2, 1), bias=False)
conv2d("conv2d-dilation-groups", dilation=(2, 3), before=(1, 2), groups=2)
conv2d("conv2d-all", stride=(2, 3), dilation=(1, 2), before=(0, 3), after=(1, 2), groups=2)
operator("conv-causal", "conv_causal", "torch.nn.functional.conv1d in groups",
         lambda i, w: conv_causal(i["x"], i["w"]) + i["bias"],
         lambda draw: {"x": draw.normal(2, 6, 5), "w": draw.normal(5, 4), "bias": draw.normal(5)})


def long_conv(i, w):
    taps = w["h"].shape[0]
    x = F.pad(i["x"].transpose(1, 2), (taps - 1, 0))
    return F.conv1d(x, w["h"].T.flip(1)[:, None, :], groups=x.shape[1]).transpose(1, 2)


for name, kernel, bias in (("depthwise", 4, True), ("depthwise-bare", 3, False)):
    layer(name, "convolution/depthwise", "kernel=%d bias=%s" % (kernel, "on" if bias else "off"),
          "torch.nn.functional.conv1d in groups",
          lambda i, w: conv_causal(i["x"], w["w"]) + (w["b"] if "b" in w else 0), lambda draw: {"x": draw.normal(2, 7, 5)},
          lambda draw: dict({"w": draw.normal(5, kernel)}, **({"b": draw.normal(5)} if bias else {})))
for taps in (9, 4):
    layer("long-conv-%d" % taps, "convolution/long-conv", "length=%d" % taps, "torch.nn.functional.conv1d in groups",
          long_conv, lambda draw: {"x": draw.normal(2, 9, 5)}, lambda draw: {"h": draw.normal(taps, 5)})
