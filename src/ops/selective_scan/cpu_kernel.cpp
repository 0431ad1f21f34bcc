// Selective scan, channels as lanes. A group of channels goes through the tokens in chunks, and
// through each chunk block by block (a block is a vector of channels), so that rows are read in the
// order of memory. Within a chunk a few states at a time stay in registers and pass over its
// tokens: a token costs, for each state, one vector exponential and two multiply-adds. Every sum
// has a fixed order, whatever the threads.
#include "ops/selective_scan/cpu_kernel.h"

#include "ops/selective_scan/cpu_backward.h"
#include "ops/selective_scan/cpu_forward.h"

namespace vim::ops::VIM_ISA {

template <class T>
constexpr scan::Kernels<T> kernels{kLanes<T>, forward<T>, backward<T>, forward_scratch<T>,
                                   backward_scratch<T>};

extern const scan::Kernels<float> scan_f32 = kernels<float>;
extern const scan::Kernels<double> scan_f64 = kernels<double>;

}  // namespace vim::ops::VIM_ISA
