// Which kernels a problem goes to: checks of the arguments, and how the work is divided.
#include <algorithm>
#include <climits>
#include <utility>

#include "ops/selective_scan/cuda_backward.cuh"

namespace vim::ops::scan::cuda {
namespace {

constexpr int64_t kMaxBlocks = INT_MAX;

template <class T>
bool small_enough(const Rows<T>& rows, int64_t length) {
  return rows.data == nullptr ||
         (rows.token_stride >= 0 &&
          length * rows.token_stride <= INT_MAX / static_cast<int64_t>(sizeof(T)));
}

template <class T>
bool valid(const Inputs<T>& in) {
  if (in.state < 1 || in.state > kMaxState || in.directions < 1 || in.directions > 2) return false;
  if (in.directions == 2 && in.direction[0].reverse == in.direction[1].reverse) return false;
  // Blocks of a grid; a block is at least 8 channels of a sample and direction, or 4 tokens.
  if (in.batch * (in.channels + in.length) > kMaxBlocks || in.channels > INT_MAX / 2) return false;
  bool small = small_enough(in.z, in.length);
  for (int d = 0; d < in.directions; ++d) {
    const Direction<T>& dir = in.direction[d];
    for (const Rows<const T>& rows : {dir.u, dir.delta, dir.B, dir.C}) {
      small = small && small_enough(rows, in.length);
    }
  }
  return small;
}

template <class T>
bool empty(const Inputs<T>& in) {
  return in.batch == 0 || in.length == 0 || in.channels == 0;
}

// Gradients of nothing: those of A, D and delta_bias are zeros.
template <class T>
cudaError_t clear(const Backward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  for (int d = 0; d < in.directions; ++d) {
    const Gradients<T>& grad = work.grad[d];
    for (const auto& [to, count] : {std::pair(grad.A, in.state), std::pair(grad.D, int64_t{1}),
                                    std::pair(grad.delta_bias, int64_t{1})}) {
      if (to == nullptr || in.channels == 0) continue;
      const cudaError_t error = cudaMemsetAsync(to, 0, in.channels * count * sizeof(float), stream);
      if (error != cudaSuccess) return error;
    }
  }
  return cudaSuccess;
}

struct Device {
  int processors = 0;
  int shared_of_block = 0, shared_of_processor = 0, shared_reserved = 0;  // bytes
};

cudaError_t current_device(Device& device) {
  int index = 0;
  cudaError_t error = cudaGetDevice(&index);
  const std::pair<int*, cudaDeviceAttr> attributes[] = {
      {&device.processors, cudaDevAttrMultiProcessorCount},
      {&device.shared_of_block, cudaDevAttrMaxSharedMemoryPerBlockOptin},
      {&device.shared_of_processor, cudaDevAttrMaxSharedMemoryPerMultiprocessor},
      {&device.shared_reserved, cudaDevAttrReservedSharedMemoryPerBlock}};
  for (const auto& [to, attribute] : attributes) {
    if (error == cudaSuccess) error = cudaDeviceGetAttribute(to, attribute, index);
  }
  return error;
}

// Segments of a walk of so many chunks, at most `most`, for which cost(segments, chunks of one) is
// least.
template <class Cost>
int best_segments(int64_t chunks, int64_t most, const Cost& cost) {
  int best = 1;
  double least = cost(1, chunks);
  for (int64_t segments = 2; segments <= std::min(chunks, most); ++segments) {
    const int64_t per_segment = (chunks + segments - 1) / segments;
    const double now = cost((chunks + per_segment - 1) / per_segment, per_segment);
    if (now < least) least = now, best = static_cast<int>(segments);
  }
  return best;
}

// Blocks of a few warps that walk the same tokens.
template <class T, class SharedBytes>
void plan_channels(int64_t channels, const Device& device, const SharedBytes& shared_bytes,
                   BackwardPlan& plan) {
  const auto units = static_cast<int>((channels + kBackwardUnit<T> - 1) / kBackwardUnit<T>);
  int most = kBackwardWarps<T>;
  while (most > 1 && shared_bytes(most) > device.shared_of_block) --most;
  plan.channel_blocks = (units + most - 1) / most;
  plan.warps = (units + plan.channel_blocks - 1) / plan.channel_blocks;
}
void plan_segments(int64_t chunks, int64_t segments, BackwardPlan& plan) {
  plan.chunks = static_cast<int>((chunks + segments - 1) / segments);
  plan.segments = static_cast<int>((chunks + plan.chunks - 1) / plan.chunks);
}

// The 16-bit kernel: blocks that take equal shares of all chunks. Costs are in the time that a
// chunk takes where the processors are full; a block that has a processor for itself takes two
// thirds of it. A segment costs about a chunk and a half at its ends, and where there is more than
// one, the first kernel costs three tenths of the second.
template <class T>
void plan_work(const Inputs<T>& in, const Device& device, BackwardPlan& plan) {
  plan_channels<T>(in.channels, device, backward_shared_bytes, plan);
  const int of_processor = std::clamp(
      device.shared_of_processor / (backward_shared_bytes(plan.warps) + device.shared_reserved), 1,
      kBackwardBlocks * kBackwardWarps<T> / plan.warps);
  const int64_t slots = device.processors * of_processor, chunks = chunks_of(in.length);
  const int64_t walks = in.batch * in.directions * plan.channel_blocks;
  const auto share = [&](int64_t segments, int64_t per_segment) {
    return std::max(per_segment, (walks * segments * per_segment + slots - 1) / slots);
  };
  const int segments =
      best_segments(chunks, 8 * slots / walks + 1, [&](int64_t of_walk, int64_t per_segment) {
        const int64_t mine = share(of_walk, per_segment);
        const int64_t blocks = (walks * of_walk * per_segment + mine - 1) / mine;
        const double turns = of_processor > 1 && blocks <= device.processors ? 0.65 : 1.0;
        const double ends = (1.5 + 0.05 * (of_walk - 1)) * mine / per_segment;
        return turns * (mine + ends) + 0.3 * (of_walk - 1) * walks * per_segment / slots;
      });
  plan_segments(chunks, segments, plan);
  plan.walks = walks * plan.segments;
  plan.share = share(plan.segments, plan.chunks);
  plan.slots = (plan.walks * plan.chunks + plan.share - 1) / plan.share;
}

// The kernel for float: a block takes a segment. Costs are as above.
void plan_work(const Inputs<float>& in, const Device& device, BackwardPlan& plan) {
  plan_channels<float>(in.channels, device, backward_float_shared_bytes, plan);
  constexpr int kOfProcessor = 2;
  const int64_t chunks = chunks_of(in.length), slots = kOfProcessor * device.processors;
  const int64_t blocks = in.batch * in.directions * plan.channel_blocks;
  const int segments =
      best_segments(chunks, 8 * slots / blocks + 1, [&](int64_t of_walk, int64_t per_segment) {
        const int64_t rounds = (blocks * of_walk + device.processors - 1) / device.processors;
        const double turns =
            static_cast<double>(rounds / kOfProcessor) + 0.6 * (rounds % kOfProcessor);
        const double main = turns * (per_segment + 1.5 + 0.05 * (of_walk - 1));
        return main + 0.35 * (of_walk - 1) / of_walk * blocks * chunks / slots;
      });
  plan_segments(chunks, segments, plan);
}

// Blocks of the first kernel are equal, so that a processor should have many of them: otherwise
// some have one more than others.
template <class T>
void plan_parts(const Inputs<T>& in, const Device& device, BackwardPlan& plan) {
  constexpr int64_t kOfProcessor = 4, kLeastChunks = 4;
  const int64_t units = (in.channels + 2 * kWarp - 1) / (2 * kWarp);
  const int64_t warps = in.batch * in.directions * units * std::max(plan.segments - 1, 1);
  const int64_t wanted = kOfProcessor * kEnteringWarps * device.processors / warps;
  const int64_t most = std::max<int64_t>(plan.chunks / kLeastChunks, 1);
  plan.parts = static_cast<int>(std::clamp<int64_t>(wanted, 1, most));
  plan.part_chunks = (plan.chunks + plan.parts - 1) / plan.parts;
  plan.parts = (plan.chunks + plan.part_chunks - 1) / plan.part_chunks;
}

template <class T>
BackwardPlan plan_backward(const Inputs<T>& in, const Device& device) {
  BackwardPlan plan{};
  plan_work(in, device, plan);
  plan_parts(in, device, plan);
  const auto take = [&](int64_t numbers) {
    const int64_t at = plan.bytes;
    plan.bytes += (numbers + 3) / 4 * 16;
    return at;
  };
  const int64_t tokens = in.directions * in.batch * in.length;
  const int64_t ends =
      plan.segments == 1 ? 0 : in.directions * in.batch * plan.segments * plan.parts;
  plan.parts_of_rows = take(plan.channel_blocks * tokens * kRows);
  plan.parts_of_channels = take(in.batch * plan.segments * in.directions * kParts * in.channels);
  plan.entering = take(ends * in.channels * kBlock);
  plan.decay = take(ends * in.channels);
  plan.unfinished = take(in.state <= kBlock ? 0 : tokens * in.channels * 2);
  plan.carried = take(plan.slots * kCarried * plan.warps * kWarp);
  plan.left = take(plan.slots);
  return plan;
}

// The rows of channels of the split kernel's blocks for which it takes the shortest time, or 0 for
// the wide kernel: rounds of blocks over the processors, each at its measured time a token and with
// some tokens more for its beginning.
template <class T>
int best_forward(const Inputs<T>& in, const Device& device) {
  if (in.state > kBlock) return 1;
  const auto cost = [&](double of_token, int begin, int64_t channels, int64_t blocks_of_processor) {
    const int64_t blocks = in.batch * ((in.channels + channels - 1) / channels);
    const int64_t at_once = device.processors * blocks_of_processor;
    return of_token * static_cast<double>((in.length + begin) * ((blocks + at_once - 1) / at_once));
  };
  constexpr bool kBf16 = std::is_same_v<T, __nv_bfloat16>;
  const double wide = kBf16 ? 0.565 : 0.58;  // us on an H100
  const double split[] = {kBf16 ? 0.0227 : 0.0295, kBf16 ? 0.0293 : 0.0425, kBf16 ? 0.0409 : 0.06};
  int best = 0;
  double least = cost(wide, 18, 64, 12 / in.directions);
  for (int rows = 1; rows <= 3; ++rows) {
    const int bytes = split_shared_bytes<T>(rows) + device.shared_reserved;
    const int room = device.shared_of_processor / bytes;
    if (room == 0) break;
    const double now = cost(split[rows - 1], 95, 8 * rows, std::min(room, 2 / in.directions));
    if (now < least) least = now, best = rows;
  }
  return best;
}

}  // namespace

template <class T>
int64_t saved_bytes(const Inputs<T>& in) {
  const int64_t sum = in.z.data == nullptr ? 0 : in.batch * in.length * in.channels;
  return (checkpoint_count(in) + 7) / 8 * 8 * sizeof(History<T>) + sum * sizeof(T);
}

template <class T>
bool takes_steps(const Forward<T>& work) {
  Device device;
  if (!valid(work.in) || empty(work.in) || current_device(device) != cudaSuccess) return false;
  return split_takes_steps(work, best_forward(work.in, device));
}

template <class T>
cudaError_t forward(const Forward<T>& work, cudaStream_t stream) {
  if (!valid(work.in) || !small_enough(work.out, work.in.length)) return cudaErrorInvalidValue;
  if (empty(work.in)) return cudaSuccess;
  Device device;
  const cudaError_t error = current_device(device);
  if (error != cudaSuccess) return error;
  const int rows = best_forward(work.in, device);
  if (work.has_steps() && !split_takes_steps(work, rows)) return cudaErrorInvalidValue;
  return rows == 0 ? forward_wide(work, stream) : forward_split(work, rows, stream);
}

template <class T>
int64_t workspace_bytes(const Inputs<T>& in) {
  Device device;
  if (empty(in) || current_device(device) != cudaSuccess) return 0;
  return plan_backward(in, device).bytes;
}

template <class T>
cudaError_t backward(const Backward<T>& work, cudaStream_t stream) {
  const Inputs<T>& in = work.in;
  bool small = valid(in) && small_enough(work.grad_out, in.length) &&
               small_enough(work.grad_z, in.length) && small_enough(work.out, in.length);
  for (int d = 0; small && d < in.directions; ++d) {
    for (const Rows<T>& rows :
         {work.grad[d].u, work.grad[d].delta, work.grad[d].B, work.grad[d].C}) {
      small = small && small_enough(rows, in.length);
    }
  }
  if (!small) return cudaErrorInvalidValue;
  if (empty(in)) return clear(work, stream);
  Device device;
  cudaError_t error = current_device(device);
  if (error != cudaSuccess) return error;

  const BackwardPlan plan = plan_backward(in, device);
  auto* const workspace = static_cast<char*>(work.workspace);
  const auto at = [&](int64_t offset) { return reinterpret_cast<float*>(workspace + offset); };
  BackwardArgs<T> args{
      work,
      plan,
      0,
      wide_B_C(in),
      plan.channel_blocks * plan.warps * kBackwardUnit<T> != in.channels,
      at(plan.parts_of_rows),
      at(plan.parts_of_channels),
      at(plan.entering),
      at(plan.decay),
      in.state <= kBlock ? nullptr : reinterpret_cast<float2*>(at(plan.unfinished)),
      at(plan.carried),
      reinterpret_cast<int*>(at(plan.left))};
  for (; args.state_begin < in.state && error == cudaSuccess; args.state_begin += kBlock) {
    if (plan.segments > 1) error = launch_entering(args, stream);
    if (error == cudaSuccess) error = launch_backward(args, stream);
    if (error == cudaSuccess) error = launch_totals(args, stream);
  }
  return error;
}

#define VIM_INSTANTIATE(T)                                       \
  template int64_t saved_bytes(const Inputs<T>&);                \
  template int64_t workspace_bytes(const Inputs<T>&);            \
  template bool takes_steps(const Forward<T>&);                  \
  template cudaError_t forward(const Forward<T>&, cudaStream_t); \
  template cudaError_t backward(const Backward<T>&, cudaStream_t);
VIM_INSTANTIATE(float)
VIM_INSTANTIATE(__half)
VIM_INSTANTIATE(__nv_bfloat16)
#undef VIM_INSTANTIATE

}  // namespace vim::ops::scan::cuda
