# Decides from VIM_CUDA and what is installed whether this is a CUDA build, and sets VIM_WITH_CUDA to ON or OFF.
# In a CUDA build the language CUDA is enabled, and vim_torch brings the CUDA half of LibTorch and the macro
# VIM_WITH_CUDA. A module then adds its kernels so:
#
#   if(VIM_WITH_CUDA)
#     target_sources(vim_ops PRIVATE scan/cuda.cpp scan/forward.cu)
#   endif()

# Sets `reason` to why a CUDA build is not possible here, or to nothing, and `nvcc` to the compiler.
function(vim_find_cuda)
  if(NOT TARGET LibTorch::cuda)
    set(reason "LibTorch in ${LibTorch_ROOT} has no CUDA half" PARENT_SCOPE)
    return()
  endif()

  # Wheels keep cuDNN, cuBLAS and the others apart from libtorch_cuda.so, which is useless without them.
  try_compile(links SOURCES ${PROJECT_SOURCE_DIR}/third_party/cmake/cuda_check.cpp
    LINK_OPTIONS -Wl,--no-as-needed
    LINK_LIBRARIES ${LibTorch_torch_cuda_LIBRARY} ${LibTorch_torch_cpu_LIBRARY} ${LibTorch_c10_LIBRARY} NO_CACHE)
  if(NOT links)
    set(reason "the CUDA libraries of LibTorch in ${LibTorch_ROOT} (cuDNN, cuBLAS, NCCL...) are not installed"
      PARENT_SCOPE)
    return()
  endif()

  # CMAKE_CUDA_COMPILER and CUDACXX overrule the compiler beside LibTorch, which is the matching one.
  set(nvcc ${CMAKE_CUDA_COMPILER})
  if(NOT nvcc)
    set(nvcc $ENV{CUDACXX})
  endif()
  find_program(nvcc nvcc NO_CACHE
    HINTS ${LibTorch_ROOT}/../nvidia/cu${LibTorch_CUDA_MAJOR}/bin PATHS /usr/local/cuda/bin)
  if(NOT nvcc)
    set(reason "there is no nvcc in PATH, in /usr/local/cuda/bin or beside LibTorch" PARENT_SCOPE)
    return()
  endif()
  execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE version)
  string(REGEX REPLACE ".*release ([0-9]+)\\..*" "\\1" version "${version}")
  if(NOT version EQUAL LibTorch_CUDA_MAJOR)
    set(reason "${nvcc} is of CUDA ${version}, LibTorch of CUDA ${LibTorch_CUDA_MAJOR}" PARENT_SCOPE)
    return()
  endif()
  set(reason "" PARENT_SCOPE)
  set(nvcc ${nvcc} PARENT_SCOPE)
endfunction()

# What a build has kernels for when nobody says otherwise: A100, RTX 30 and A10, RTX 40 and L4, H100, B200, RTX 50.
# GPUs still to come translate the PTX of the last one. -DCMAKE_CUDA_ARCHITECTURES=native, for which tools/setup.sh and
# the preset dev ask, stands for the GPU of this machine, where it has one, and compiles in a sixth of the time.
set(VIM_RELEASE_ARCHITECTURES 80 86 89 90 100 120)
list(GET VIM_RELEASE_ARCHITECTURES -1 newest)

set(VIM_WITH_CUDA OFF)
if(NOT VIM_CUDA)
  return()
endif()
vim_find_cuda()
if(reason AND VIM_CUDA STREQUAL AUTO)
  message(STATUS "CUDA: not used, because ${reason}")
  return()
elseif(reason)
  message(FATAL_ERROR "VIM_CUDA=ON, but ${reason}. "
    "`VIM_CUDA=ON bash tools/setup.sh` fetches a complete set; VIM_CUDA=OFF builds for the CPU alone.")
endif()

if(NOT CMAKE_CUDA_ARCHITECTURES OR (CMAKE_CUDA_ARCHITECTURES STREQUAL native AND NOT EXISTS /dev/nvidiactl))
  list(TRANSFORM VIM_RELEASE_ARCHITECTURES APPEND -real OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
  list(APPEND CMAKE_CUDA_ARCHITECTURES ${newest}-virtual)
endif()
set(CMAKE_CUDA_COMPILER ${nvcc})
set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)  # the static one would be a second runtime beside LibTorch's
set(CMAKE_CUDA_STANDARD 17)             # CMake 3.25 does not know how to ask this nvcc for 20
enable_language(CUDA)
cmake_path(GET nvcc PARENT_PATH nvcc_folder)
list(APPEND CMAKE_BUILD_RPATH ${nvcc_folder}/../lib64)
target_compile_definitions(vim_torch INTERFACE VIM_WITH_CUDA)
target_link_libraries(vim_torch INTERFACE LibTorch::cuda)
set(VIM_WITH_CUDA ON)
message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES} by ${nvcc}")
