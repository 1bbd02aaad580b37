"""The batch for GPUs: bit for bit the processor's on Numba's CUDA simulator, and its PTX."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_marl.errors import ScenarioError
from edge_marl.gpu import CudaBatch
from edge_marl.gpu.programs import can_run, programs

CHECKS = Path(__file__).with_name("on_simulator.py")


def test_on_the_simulator_it_is_bit_for_bit_the_processors() -> None:
    """All of `on_simulator.py`; Numba has the simulator with and without `numba-cuda`."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CHECKS)],
        cwd=CHECKS.parents[3],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"},
        check=True,
    )


def test_without_a_gpu_it_says_so() -> None:
    if can_run():
        pytest.skip("there is a GPU")
    with pytest.raises(ScenarioError, match=r"needs a GPU.*edge-marl\[cuda\]"):
        CudaBatch("smoke", 2)


def test_a_game_in_slots_is_not_played_by_one_orchestrator() -> None:
    with pytest.raises(ScenarioError, match="'smoke-game@1' is a game in slots of 1800 s"):
        CudaBatch("smoke-game", 2)


@pytest.fixture(scope="module")
def ptx() -> str:
    pytest.importorskip("numba_cuda", reason="pip install 'edge-marl[cuda]' compiles PTX")
    from edge_marl.benchmarks.measure.ptx import step_ptx

    return step_ptx()


def test_floats_are_computed_as_on_the_processor(ptx: str) -> None:
    """Each instruction rounds once, to nearest: no fused multiply-add, no approximate division."""
    from edge_marl.benchmarks.measure.ptx import arithmetic, fused

    assert set(arithmetic(ptx)) == {f"{name}.rn.f64" for name in ("add", "sub", "mul", "div")}
    assert fused(ptx) == 0
    assert all(program.targetoptions["lto"] is False for program in programs())
    assert fused("\tfma.rn.f64 \t%a;\n\tadd.f64 \t%b;\n\tadd.rn.f64 \t%c;\n") == 2


def test_a_step_fits_into_registers(ptx: str) -> None:
    from edge_marl.benchmarks.measure.ptx import resources

    used = resources(ptx)
    assert used.stack == used.spills == 0
    assert used.arguments < 4096  # what every GPU takes


def test_rows_are_copied_without_local_memory() -> None:
    pytest.importorskip("numba_cuda", reason="pip install 'edge-marl[cuda]' compiles PTX")
    from edge_marl.benchmarks.measure.ptx import copy_ptx, resources
    from tests.worlds.every_part import world

    used = resources(copy_ptx(world()))
    assert used.stack == used.spills == 0
    assert used.arguments < 4096
