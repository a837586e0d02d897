"""Convolution with batch normalisation in all modes but training with its batch, a network of such blocks, and the
normalisation of zero-mean vectors without their last number."""
import sys
sys.dont_write_bytecode = True
import torch
import torch.nn.functional as F
from golden import layer, rms_norm

B, H, V, C, OUT = 2, 5, 6, 3, 4           # images, height, width, channels in and out


# Ours: images (batch, height, width, channels), filters (out, kernel, kernel, in); PyTorch has channels second in both.
def conv(x, w, bias=None):
    y = F.conv2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), bias, padding=w.shape[1] // 2)
    return y.permute(0, 2, 3, 1)


def block(x, w, prefix="", eps=1e-5):
    z = conv(x, w[prefix + "W"]).permute(0, 3, 1, 2)
    y = F.batch_norm(z, w[prefix + "mean"].detach(), w[prefix + "variance"].detach(), w[prefix + "gamma"],
                     w[prefix + "beta"], False, 0.0, eps)
    return y.permute(0, 2, 3, 1)


def block_weights(draw, prefix, out, kernel, channels):
    return {prefix + "W": draw.normal(out, kernel, kernel, channels, scale=0.3), prefix + "gamma": draw.normal(out),
            prefix + "beta": draw.normal(out), prefix + "mean": draw.normal(out),
            prefix + "variance": draw.uniform(0.25, 4.0, out)}


def image(draw):
    return {"x": draw.normal(B, H, V, C)}


for mode, kernel in (("train", 3), ("eval", 3), ("tune", 3), ("eval", 1), ("tune", 5)):
    layer("conv-bn-%s-%d" % (mode, kernel), "convolution/conv-bn",
          "mode=%s channels=%d kernel=%d eps=0.125" % (mode, OUT, kernel), "torch.nn.functional.conv2d and batch_norm",
          lambda i, w: block(i["x"], w, "", 0.125), image,
          lambda draw, kernel=kernel: block_weights(draw, "", OUT, kernel, C))
layer("conv-bn-deploy", "convolution/conv-bn", "mode=deploy", "torch.nn.functional.conv2d",
      lambda i, w: conv(i["x"], w["W"], w["b"]), image,
      lambda draw: {"W": draw.normal(C, 3, 3, C, scale=0.3), "b": draw.normal(C)})


# Two blocks, the sides halved between them, a path past the second one.
def convnet(i, w):
    h = F.relu(block(i["x"], w, "block0."))
    h = F.avg_pool2d(h.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    h = F.relu(h + block(h, w, "block1."))
    return F.linear(h.mean((1, 2)), w["W_head"], w["b_head"])


def convnet_weights(draw):
    w = block_weights(draw, "block0.", OUT, 3, C)
    w.update(block_weights(draw, "block1.", OUT, 3, OUT))
    w.update({"W_head": draw.normal(5, OUT), "b_head": draw.normal(5)})
    return w


layer("convnet", "model/convnet", "depth=2 halve=1 residual=on block.channels=%d" % OUT,
      "torch.nn.functional.conv2d, batch_norm, avg_pool2d, linear", convnet, image, convnet_weights,
      numbers={"classes": 5})


# The whole vector by RMSNorm, the last number left out afterwards.
def crmsnorm(i, w, eps=1e-5):
    whole = torch.cat([i["x"], -i["x"].sum(-1, keepdim=True)], -1)
    y = rms_norm(whole, eps=eps)[..., :-1]
    return y * w["gain"] if "gain" in w else y


def x(draw):
    return {"x": draw.normal(3, 5, 6, scale=2.0)}


CRMS = "RMSNorm (Zhang and Sennrich 2019, eq. 4) of the whole zero-mean vector, by autograd"
layer("crmsnorm", "normalisation/crmsnorm", "", CRMS, crmsnorm, x)
layer("crmsnorm-gain", "normalisation/crmsnorm", "gain=on eps=0.125", CRMS, lambda i, w: crmsnorm(i, w, 0.125), x,
      lambda draw: {"gain": draw.normal(6)})
