"""What is read from machine code, against counts and limits worked out by hand."""

import subprocess

import pytest
from helpers import REPOSITORY

# As cuobjdump prints them. A line of machine code: address, name, operands, encoding.
USAGE = """
 Function _ZN8fastconv4cuda5EntryINS0_7Conv3x3ILi32EEEEEvNT_4ArgsE:
  REG:96 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:592 TEXTURE:0 SURFACE:0 SAMPLER:0
 Function _ZN8fastconv4cuda5EntryINS0_7Conv3x3ILi64EEEEEvNT_4ArgsE:
  REG:168 STACK:8 SHARED:0 LOCAL:0 CONSTANT[0]:592 TEXTURE:0 SURFACE:0 SAMPLER:0
 Function _ZN8fastconv4cuda5EntryINS0_4CopyILi1EEEEEvNT_4ArgsE:
  REG:20 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:592 TEXTURE:0 SURFACE:0 SAMPLER:0
"""
CODE = """
    Function : _ZN8fastconv4cuda5EntryINS0_7Conv3x3ILi32EEEEEvNT_4ArgsE
        /*0000*/                   LDGSTS.E.BYPASS.128 [R1], desc[UR4][R2.64] ;  /* 0x01 */
        /*0010*/                   LDS.128 R4, [R2] ;                            /* 0x02 */
        /*0020*/                   LDSM.16.M88.4 R8, [R2] ;                      /* 0x03 */
        /*0030*/                   HMMA.16816.F32.BF16 R8, R9.reuse, R10, R8 ;   /* 0x04 */
        /*0040*/                   HMMA.16816.F32 R8, R9.reuse, R10, R8 ;        /* 0x05 */
        /*0050*/              @!P1 BRA 0x20 ;                                    /* 0x06 */
        /*0060*/               @P0 BRA 0x10 ;                                    /* 0x07 */
        /*0070*/               @P0 BRA 0x90 ;                                    /* 0x08 */
    Function : _ZN8fastconv4cuda5EntryINS0_7Conv3x3ILi64EEEEEvNT_4ArgsE
        /*0000*/                   STL [R1], R2 ;                                /* 0x01 */
        /*0010*/                   LDS R4, [R2] ;                                /* 0x02 */
        /*0020*/                   HMMA.1688.F32.TF32 R8, R9, R10, R8 ;          /* 0x03 */
        /*0030*/                   HMMA.1688.F32.TF32 R8, R9, R10, R8 ;          /* 0x04 */
    Function : _ZN8fastconv4cuda5EntryINS0_4CopyILi1EEEEEvNT_4ArgsE
        /*0000*/                   LDG.E R2, desc[UR4][R2.64] ;                  /* 0x01 */
"""


@pytest.fixture(autouse=True)
def kernel_resources(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY))
    from benchmarks import kernel_resources

    return kernel_resources


@pytest.fixture
def cuobjdump(kernel_resources, monkeypatch):
    """Stands in for the tool."""

    def run(command, **options):
        assert command[2:] == ["-arch", "sm_90a", "library.a"]
        # Two object files may have the same kernels.
        printed = 2 * {"-res-usage": USAGE, "-sass": CODE}[command[1]]
        return subprocess.CompletedProcess(command, returncode=0, stdout=printed)

    monkeypatch.setattr(kernel_resources.shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", run)


def test_a_row_for_each_kernel(kernel_resources, cuobjdump, capsys):
    kernel_resources.main(["library.a"])
    _, _, convolution, copy = capsys.readouterr().out.splitlines()
    # Of 32: 4 clocks of matrices in the inner loop, for products of 2. Of 64: 1 clock for 2.
    assert (
        convolution == "| `Conv3x3` | 2 | 96 to 168 | 0 to 1 | 2 | 1 to 2 | 0 to 1 | 0.50 to 2.00 |"
    )
    assert copy == "| `Copy` | 1 | 20 | 0 | 0 | 0 | 1 |  |"


@pytest.mark.parametrize(
    ("name", "operands", "tensor", "shared"),
    [
        ("HMMA.16816.F32", "R0, R4, R8, R0", 1, 0),
        ("HMMA.1688.F32.TF32", "R0, R4, R8, R0", 1, 0),
        ("HMMA.1688.F32", "R0, R4, R8, R0", 0.5, 0),
        # A quarter of 64x192x16 products; of (64 + 192) x 16 numbers of 2 bytes.
        ("HGMMA.64x192x16.F32.BF16", "R24, gdesc[UR16], R24", 24, 16),
        ("HGMMA.64x192x16.F32", "R24, R8, gdesc[UR16], R24", 24, 12),
        ("HGMMA.64x96x8.F32.TF32", "R24, gdesc[UR16], R24", 12, 10),
        ("LDS", "R0, [R2]", 0, 1),
        ("LDS.U16", "R0, [R2]", 0, 1),
        ("LDS.64", "R0, [R2]", 0, 2),
        ("LDS.128", "R0, [R2]", 0, 4),
        ("LDSM.16.M88", "R0, [R2]", 0, 1),
        ("LDSM.16.MT88.2", "R0, [R2]", 0, 2),
        ("LDG.E.128", "R0, [R2]", 0, 0),
    ],
)
def test_least_clocks_of_a_warp(name, operands, tensor, shared, kernel_resources):
    instruction = kernel_resources.Instruction(0, name, operands)
    assert kernel_resources.tensor_clocks(instruction) == tensor
    assert kernel_resources.shared_clocks(instruction) == shared


@pytest.mark.parametrize(("found", "word"), [(None, "cuobjdump"), ("/bin/cuobjdump", "sm_80")])
def test_what_is_missing_is_said(found, word, kernel_resources, monkeypatch, capsys):
    nothing = subprocess.CompletedProcess([], returncode=1, stdout="")
    monkeypatch.setattr(kernel_resources.shutil, "which", lambda name: found)
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: nothing)
    with pytest.raises(SystemExit) as error:
        kernel_resources.main(["library.a", "--architecture", "sm_80"])
    assert error.value.code == 2
    assert word in capsys.readouterr().err
