from collections.abc import Sequence
from typing import Literal, TypedDict

class BuildInfo(TypedDict):
    version: str
    tensorflow_version: str
    cxx11_abi: bool
    compiler: str
    cuda: bool
    isas: list[str]

Isa = Literal["baseline", "avx2", "avx512"]

def build_info() -> BuildInfo: ...
def detected_isa() -> Isa: ...
def active_isa() -> Isa: ...
def max_isa_error() -> str: ...
def output_size(
    size: int,
    window: int,
    stride: int = 1,
    dilation: int = 1,
    padding: Literal["valid", "same"] = "valid",
) -> int: ...
def explain_conv2d(
    x_shape: Sequence[int],
    filter_shape: Sequence[int],
    *,
    dtype: Literal["float32", "bfloat16", "float16", "float64"] = "float32",
    bias: bool = True,
    batch_statistics: bool = False,
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    padding: Literal["VALID", "SAME", "EXPLICIT"] = "VALID",
    explicit_paddings: Sequence[int] = (),
    activation: Literal["linear", "relu", "leaky_relu"] = "linear",
    negative_slope: float = 0.0,
    dropout: Literal["none", "elements", "channels"] = "none",
    pool_size: Sequence[int] = (),
    pool_strides: Sequence[int] = (),
    pool_padding: Literal["VALID", "SAME"] = "VALID",
    code_type: Literal["uint8", "int32"] = "uint8",
    device: Literal["cpu", "gpu"] = "cpu",
    tf32: bool = True,
) -> list[tuple[str, str, str]]: ...
