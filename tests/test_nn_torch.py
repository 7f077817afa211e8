"""fastconv.nn's layers equal torch.nn.functional's, and refuse what torch refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_layers import agrees, conv
from test_nn_layers import LAST, calls, face

from fastconv import nn

torch = pytest.importorskip("torch", reason="torch is in the extra `peers`")
functional = torch.nn.functional
# torch warns of its own copies, and its test module of its own past.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("UserWarning", "DeprecationWarning", "FutureWarning")
]

OPERATORS = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "nn.functional.unfold",
]


def tensor(array):
    """The same numbers as a tensor."""
    return None if array is None else torch.from_numpy(np.ascontiguousarray(array))


@given(call=calls("fd"), layout=st.booleans())
def test_a_layer_is_torchs(call, layout):
    keywords = call.keywords
    bias = keywords.pop("bias")
    name = f"conv{call.ndim}d"
    theirs = getattr(functional, name)(tensor(call.x), tensor(call.w), tensor(bias), **keywords)
    x = np.moveaxis(call.x, 1, -1).copy() if layout else call.x
    if layout:
        keywords["layout"] = LAST[call.ndim]
    ours = getattr(nn, name)(x, call.w, bias, **keywords)
    ours = np.moveaxis(ours, -1, 1) if layout else ours
    assert ours.shape == tuple(theirs.shape)
    tolerance = 1e-4 if call.x.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance * 100)


@given(call=calls("fd", transposed=True))
def test_a_transposed_layer_is_torchs(call):
    keywords = call.keywords | {"output_padding": call.extra}
    bias = keywords.pop("bias")
    name = f"conv_transpose{call.ndim}d"
    if len(call.x) == 0:
        return
    try:
        theirs = getattr(functional, name)(tensor(call.x), tensor(call.w), tensor(bias), **keywords)
    except RuntimeError:
        return  # Some empty results cannot be had from torch; the definition is ours.
    ours = getattr(nn, name)(call.x, call.w, bias, **keywords)
    assert ours.shape == tuple(theirs.shape)
    tolerance = 1e-4 if call.x.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=tolerance, atol=tolerance * 100)


@given(call=calls("d"))
def test_gradients_are_torchs(call):
    if len(call.x) == 0:
        return
    keywords = {k: v for k, v in call.keywords.items() if k != "bias"}
    x, w = tensor(call.x).requires_grad_(), tensor(call.w).requires_grad_()
    y = getattr(functional, f"conv{call.ndim}d")(x, w, **keywords)
    g = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(tensor(g))
    by_x = face("conv#d_input", call.ndim)(call.x.shape, call.w, g, **keywords)
    by_w = face("conv#d_weight", call.ndim)(call.x, call.w.shape, g, **keywords)
    np.testing.assert_allclose(by_x, x.grad.numpy(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(by_w, w.grad.numpy(), rtol=1e-10, atol=1e-9)
    if not isinstance(keywords["padding"], str):
        name = f"conv{call.ndim}d_input"
        theirs = getattr(torch.nn.grad, name)(call.x.shape, tensor(call.w), tensor(g), **keywords)
        np.testing.assert_allclose(by_x, theirs.numpy(), rtol=1e-10, atol=1e-10)


# ---------------------------------------------------------------- torch's own samples


def infos(name):
    """torch's description of one operator: its samples and what it must refuse."""
    methods = pytest.importorskip("torch.testing._internal.common_methods_invocations")
    names = (name, f"nn.functional.{name}")
    return next(op for op in methods.op_db if op.name in names)


def as_arrays(value):
    """Arrays for tensors, wherever they stand."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, (list, tuple)):
        return tuple(as_arrays(v) for v in value)
    return value


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex64], ids=str)
@pytest.mark.parametrize("name", OPERATORS)
def test_torchs_samples_give_torchs_answers(name, dtype):
    op = infos(name)
    ours = getattr(nn, name.rpartition(".")[2])
    count = 0
    for sample in op.sample_inputs("cpu", dtype):
        expected = op.op(sample.input, *sample.args, **sample.kwargs)
        arguments = [as_arrays(v) for v in (sample.input, *sample.args)]
        keywords = {k: as_arrays(v) for k, v in sample.kwargs.items()}
        result = ours(*arguments, **keywords)
        assert result.shape == tuple(expected.shape), (sample.args, sample.kwargs)
        tolerance = 1e-12 if dtype == torch.float64 else 1e-4
        limit = tolerance * max(1, np.max(np.abs(expected.detach().numpy()), initial=0))
        np.testing.assert_allclose(result, expected.detach().numpy(), rtol=tolerance, atol=limit)
        count += 1
    assert count


# torch describes no errors of the other operators.
@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
def test_what_torch_refuses_is_refused(name):
    op = infos(name)
    ours = getattr(nn, name.rpartition(".")[2])
    for wrong in op.error_inputs("cpu"):
        sample = wrong.sample_input
        arguments = [as_arrays(v) for v in (sample.input, *sample.args)]
        keywords = {k: as_arrays(v) for k, v in sample.kwargs.items()}
        with pytest.raises((ValueError, TypeError)):
            ours(*arguments, **keywords)


def test_the_definition_is_torchs():
    # The oracle of the other tests, held to torch once.
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 9, 9)), rng.standard_normal((6, 2, 3, 3))
    theirs = functional.conv2d(tensor(x), tensor(w), padding=1, groups=2).numpy()

    agrees(theirs, lambda a, b, c: conv(a, b, c, pads=((1, 1), (1, 1)), groups=2), x, w, None, 18)


@pytest.mark.parametrize("stride", [1, (2, 3)])
@pytest.mark.parametrize("padding", [0, (1, 2)])
@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_folding_is_torchs(stride, padding, dilation):
    x = np.random.default_rng(0).standard_normal((2, 3, 9, 11))
    window = {"kernel_size": (3, 2), "stride": stride, "padding": padding, "dilation": dilation}
    columns = nn.unfold(x, **window)
    np.testing.assert_array_equal(columns, functional.unfold(tensor(x), **window).numpy())
    theirs = functional.fold(tensor(columns), (9, 11), **window).numpy()
    np.testing.assert_allclose(nn.fold(columns, (9, 11), **window), theirs, rtol=1e-12)
