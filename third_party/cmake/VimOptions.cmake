# Compiler options of our own targets, as one interface target.

add_library(vim_options INTERFACE)
target_include_directories(vim_options INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
  $<INSTALL_INTERFACE:include>)
# Warnings are for our own code, not for that of a project that uses the installed library.
foreach(warning -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
  target_compile_options(vim_options INTERFACE $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:${warning}>>)
endforeach()
if(VIM_WARNINGS_AS_ERRORS)
  target_compile_options(vim_options INTERFACE
    $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CXX>:-Werror>>
    $<BUILD_INTERFACE:$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>>)
endif()
if(VIM_SANITIZE)
  target_compile_options(vim_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${VIM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer>)
  target_link_options(vim_options INTERFACE -fsanitize=${VIM_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)  # which takes the instrumented code for uses of the uninitialised
    target_compile_options(vim_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

# A file that includes torch takes up to 1.3 GB to compile, so memory bounds the number of jobs too.
cmake_host_system_information(RESULT VIM_MEMORY QUERY TOTAL_PHYSICAL_MEMORY)  # MB
math(EXPR jobs "${VIM_MEMORY} / 1500 + 1")
set_property(GLOBAL PROPERTY JOB_POOLS compile=${jobs})
set(CMAKE_JOB_POOL_COMPILE compile)
