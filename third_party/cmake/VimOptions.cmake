# Compiler options of our own targets, as one interface target.

add_library(vim_options INTERFACE)
target_include_directories(vim_options INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(vim_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual)
if(VIM_WARNINGS_AS_ERRORS)
  target_compile_options(vim_options INTERFACE -Werror)
endif()
if(VIM_SANITIZE)
  target_compile_options(vim_options INTERFACE -fsanitize=${VIM_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(vim_options INTERFACE -fsanitize=${VIM_SANITIZE})
endif()
