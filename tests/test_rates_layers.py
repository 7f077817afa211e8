"""Every algorithm for layers has measured rates for what it supports."""

import pytest

from fastconv.paths.channels import LAYER_PATHS
from fastconv.planner import calibrate_layers, rates


@pytest.mark.parametrize("name", LAYER_PATHS)
@pytest.mark.parametrize("dtype", calibrate_layers.DTYPES)
def test_every_layer_path_is_calibrated_for_what_it_supports(name, dtype):
    table, _ = rates.read(rates.shipped())
    supported = [x for x in calibrate_layers.layers(dtype) if not LAYER_PATHS[name].supports(x)]
    assert not supported or (name, dtype, "layer") in table


def test_a_cell_of_the_grid_takes_time():
    layer = next(calibrate_layers.layers("float32"))
    for path in LAYER_PATHS.values():
        if not path.supports(layer):
            assert 0 < calibrate_layers.measure(path, layer) < 10
