// What is said where a GPU is not one of those that the kernels were compiled for.
#include "vim/ops/gpu.h"

#include <ATen/Context.h>

#include "support/catch.h"
#include "support/support.h"

using vim::ops::missing_architecture;

TEST_CASE("A missing architecture is named, with those that are there and the way out") {
  CHECK(missing_architecture("NVIDIA A100", 8, 0, "90a-real") ==
        "this build has kernels for sm_90a, none of which runs on NVIDIA A100, which is sm_80; "
        "configure it with -DCMAKE_CUDA_ARCHITECTURES=80");
  CHECK_THAT(missing_architecture("Tesla V100", 7, 0, "80-real 86-real 120"),
             Catch::Contains("sm_80, sm_86, sm_120 + PTX, none of which"));
  CHECK_THAT(missing_architecture("some", 13, 0, "native 75-virtual"),
             Catch::Contains("native, PTX of 75, none") && Catch::Contains("is sm_130;"));
}

TEST_CASE("The GPU of this machine can run this build") {
  if (!at::hasCUDA()) VIM_SKIP("no GPU");
  CHECK(vim::ops::gpu_problem(0) == "");
}
