// What the programs that check and time CUDA kernels without torch share: arrays on the device and
// numbers in them, timing, the command line.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "numbers.h"

namespace vim::bench {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(error));
  std::exit(1);
}

inline float to_float(float x) {
  return x;
}
inline float to_float(__half x) {
  return __half2float(x);
}
inline float to_float(__nv_bfloat16 x) {
  return __bfloat162float(x);
}

template <class T>
class DeviceArray {
 public:
  // Every byte is 0xff, a NaN in all types, so that what is not written shows.
  explicit DeviceArray(size_t size) : size_(size) {
    check(cudaMalloc(reinterpret_cast<void**>(&data_), size * sizeof(T) + 256), "cudaMalloc");
    check(cudaMemset(data_, 0xff, size * sizeof(T) + 256), "cudaMemset");
  }
  DeviceArray(DeviceArray&& other) noexcept : data_(other.data_), size_(other.size_) {
    other.data_ = nullptr;
  }
  ~DeviceArray() { cudaFree(data_); }
  T* data() const { return data_; }

  void write(const std::vector<T>& from) {
    check(cudaMemcpy(data_, from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice), "copy");
  }
  std::vector<T> read() const {
    std::vector<T> to(size_);
    check(cudaMemcpy(to.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copy");
    return to;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

// Writes number(0), number(1), ... to an array. Where long ones may `repeat`, they do so after a
// million numbers, as drawing so many takes long.
template <class T, class Number>
void put(T* to, size_t count, bool repeat, const Number& number) {
  constexpr size_t kPeriod = 1000003;
  std::vector<T> values(count);
  for (size_t i = 0; i < count; ++i) {
    values[i] = repeat && i >= kPeriod ? values[i - kPeriod] : T(float(number(i)));
  }
  check(cudaMemcpy(to, values.data(), count * sizeof(T), cudaMemcpyHostToDevice), "copy");
}

// The part of an array that a view shows, as numbers.
template <class T>
Numbers numbers_of(const DeviceArray<T>& array, size_t begin, size_t rows, size_t stride,
                   size_t columns) {
  const std::vector<T> all = array.read();
  Numbers numbers;
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) numbers.push_back(to_float(all[begin + r * stride + c]));
  }
  return numbers;
}

// Works for time_calls, filled by the program's fill(work, seed): so many of so many bytes that
// caches have lost one when its turn comes again.
template <class Work, class Shape>
std::vector<Work> works_to_time(const Shape& shape, double bytes, int most) {
  constexpr double kSeveralCaches = 400 << 20;
  const int count = std::clamp(static_cast<int>(kSeveralCaches / bytes), 2, most);
  std::vector<Work> works;
  works.reserve(count);
  for (int i = 0; i < count; ++i) fill(works.emplace_back(shape), 1 + i);
  return works;
}

// Microseconds a call: the median over replays of a graph of calls that take turns on the works.
template <class Work, class Call>
double time_calls(const std::vector<Work>& works, const Call& call) {
  constexpr int kReplays = 15;
  const size_t calls = std::max<size_t>(works.size(), 8);
  cudaStream_t stream;
  check(cudaStreamCreate(&stream), "cudaStreamCreate");
  call(works[0], stream);
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (size_t i = 0; i < calls; ++i) call(works[i % works.size()], stream);
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&replay, graph, 0), "graph");
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> times;
  for (int i = 0; i < kReplays + 2; ++i) {
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    check(cudaGraphLaunch(replay, stream), "cudaGraphLaunch");
    check(cudaEventRecord(end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end), "graph");
    float milliseconds;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    if (i >= 2) times.push_back(milliseconds * 1000 / calls);
  }
  cudaGraphExecDestroy(replay), cudaGraphDestroy(graph), cudaStreamDestroy(stream);
  cudaEventDestroy(begin), cudaEventDestroy(end);
  std::nth_element(times.begin(), times.begin() + kReplays / 2, times.end());
  return times[kReplays / 2];
}

// The command line of these programs: `check`, `time` (both without a word), or `profile` and the
// numbers of a shape, once, for a profiler. Returns 77, which ctest takes for skipped, where there
// is no GPU.
template <class Check, class Time, class Profile>
int run_program(int argc, char** argv, const std::vector<const char*>& shape,
                const Check& check_all, const Time& time_all, const Profile& profile) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string mode = argc > 1 ? argv[1] : "";
  const bool profiles = mode == "profile" && argc == 2 + static_cast<int>(shape.size());
  if (!profiles && (argc > 2 || (mode != "" && mode != "check" && mode != "time"))) {
    std::fprintf(stderr, "usage: %s [check | time | profile", argv[0]);
    for (const char* number : shape) std::fprintf(stderr, " %s", number);
    std::fprintf(stderr, "]\n");
    return 2;
  }
  int gpus = 0;
  if (cudaGetDeviceCount(&gpus) != cudaSuccess || gpus == 0) {
    std::printf("skipped: there is no GPU\n");
    return 77;
  }
  if (profiles) {
    std::vector<int> numbers;
    for (int i = 2; i < argc; ++i) numbers.push_back(std::atoi(argv[i]));
    profile(numbers.data());
    return 0;
  }
  const bool good = mode == "time" || check_all();
  if (good && mode != "check") time_all();
  return good ? 0 : 1;
}

}  // namespace vim::bench
