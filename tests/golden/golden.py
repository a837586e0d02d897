"""What all generators share: drawing numbers, differentiating, writing one HDF5 file a case.

A case is a function from inputs and weights (dictionaries of double tensors) to an output, written with PyTorch's own
layers or as the paper has its equations. Numbers are drawn in single precision and widened, so that a build in float
starts from the very same ones. Gradients are those of sum(output * cotangent).
"""
import os
import sys
import zlib

import h5py
import numpy
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
COMPUTED_BY = "PyTorch 1.13.1, double"


class Draw:
    """Random tensors of a case: the seed is the checksum of its name."""

    def __init__(self, name):
        self.generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))

    def normal(self, *shape, scale=1.0):
        x = torch.randn(*shape, generator=self.generator, dtype=torch.float32) * scale
        return x.double()

    def uniform(self, low, high, *shape):
        x = torch.rand(*shape, generator=self.generator, dtype=torch.float32) * (high - low) + low
        return x.double()

    def below(self, n, *shape):
        return torch.randint(n, shape, generator=self.generator, dtype=torch.int32)


def _create(path):
    """A file without time stamps, so that the same numbers give the same bytes."""
    creation, access = h5py.h5p.create(h5py.h5p.FILE_CREATE), h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    creation.set_obj_track_times(False)
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    return h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC, creation, access))


def _group(file, path):
    creation = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    creation.set_obj_track_times(False)
    for end in range(1, len(path) + 1):
        name = path[:end]
        if (end == len(path) or path[end] == "/") and name not in file:
            h5py.h5g.create(file.id, name.encode(), gcpl=creation)
    return file[path]


def _put(file, path, tensor):
    array = tensor.detach().cpu().numpy()
    if array.dtype != numpy.int32:
        array = array.astype("<f8")
    group, _, name = path.rpartition("/")
    parent = _group(file, group) if group else file
    made = parent.create_dataset(name, data=numpy.ascontiguousarray(array), track_times=False)
    if array.dtype == numpy.int32:
        made.attrs["integer"] = 1.0


def write(name, kind, of, source, arrays, numbers=None, options=""):
    """arrays: path in the file -> tensor. of: "recurrent/rnn", the plug-in or operator that is judged."""
    if not torch.__version__.startswith("1.13"):
        sys.exit("these files say that PyTorch 1.13.1 computed them; this is " + torch.__version__)
    path = os.path.join(HERE, name + ".h5")
    with _create(path) as file:
        words = {"kind": kind, "of": of, "options": options, "source": source, "computed by": COMPUTED_BY,
                 "script": os.path.basename(sys.argv[0])}
        for key, text in words.items():
            file.attrs[key] = numpy.bytes_(text or " ")
        for key, number in (numbers or {}).items():
            file.attrs[key] = float(number)
        for key, tensor in arrays.items():
            _put(file, key, tensor)
    size = os.path.getsize(path)
    if size > 100 * 1024:
        sys.exit("%s has %d bytes, too many to ship" % (path, size))
    print("%-36s %6d bytes" % (name, size))


def differentiate(f, inputs, weights, draw, mask=None):
    """Output, cotangent and gradients. mask (batch, time): 0 in the padding, where an output at every step counts for
    nothing."""
    def leaf(x):
        return x.clone() if x.dtype == torch.int32 else x.clone().requires_grad_(True)
    inputs = {key: leaf(x) for key, x in inputs.items()}
    weights = {key: leaf(x) for key, x in weights.items()}
    output = f(inputs, weights)
    cotangent = draw.normal(*output.shape)
    if mask is not None and output.dim() > 2:
        mask = mask.reshape(mask.shape + (1,) * (output.dim() - 2))
        cotangent = cotangent * mask
        output = output * mask
    (output * cotangent).sum().backward()
    arrays = {"output": output, "cotangent": cotangent}
    for group, part in (("input", inputs), ("weight", weights)):
        for key, x in part.items():
            arrays[group + "/" + key] = x
            if x.dtype != torch.int32:
                arrays["gradient/" + group + "/" + key] = x.grad if x.grad is not None else torch.zeros_like(x)
    return arrays


def layer(name, of, options, source, f, inputs, weights=None, length=None, numbers=None):
    """inputs, weights: functions from Draw to dictionaries. Weights have the names and layouts of Assay."""
    draw = Draw(name)
    drawn = inputs(draw)
    first = next(iter(drawn.values()))
    mask = None
    if length is not None:
        length = torch.tensor(length, dtype=torch.int32)
        mask = (torch.arange(first.shape[1])[None, :] < length[:, None]).double()
    arrays = differentiate(f, drawn, weights(draw) if weights else {}, draw, mask)
    if length is not None:
        arrays["length"] = length
    write(name, "layer", of, source, arrays, numbers, options)


def conv_causal(x, w):
    """Short causal convolution, depthwise: x (batch, time, width), w (width, kernel); torch.conv1d in groups."""
    width, kernel = w.shape
    # Ours (width, kernel) is PyTorch's (out, in / groups, kernel) with one input channel a group; channels go second.
    padded = torch.nn.functional.pad(x.transpose(1, 2), (kernel - 1, 0))
    return torch.nn.functional.conv1d(padded, w[:, None, :], groups=width).transpose(1, 2)


def rms_norm(x, gain=None, eps=1e-5):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y if gain is None else y * gain
