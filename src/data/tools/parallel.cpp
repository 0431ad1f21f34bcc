#include "data/tools/parallel.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "vim/core/error.h"
#include "vim/core/log.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"

namespace vim::data {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kRedraw = std::chrono::milliseconds(200);

std::string progress(const std::string& what, int64_t done, int64_t count,
                     Clock::time_point start) {
  constexpr int kWidth = 30;
  const double share = static_cast<double>(done) / static_cast<double>(count);
  const auto filled = static_cast<size_t>(share * kWidth);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const std::string left =
      done == 0 ? "" : concat(", ", as_duration(seconds / share - seconds), " left");
  return concat(what, " [", std::string(filled, '#'), std::string(kWidth - filled, '.'), "] ",
                with_separators(done), "/", with_separators(count), left);
}

}  // namespace

void for_each_in_parallel(int64_t count, int64_t workers, const std::string& what,
                          const std::function<void(int64_t)>& work) {
  std::atomic<int64_t> next = 0, done = 0;
  std::exception_ptr error;
  std::mutex mutex;
  std::condition_variable finished;
  int64_t running = workers;
  const auto run = [&] {
    try {
      for (int64_t i = next++; i < count && stop_requested() == 0; i = next++) {
        work(i);
        ++done;
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
    const std::lock_guard lock(mutex);
    --running;
    finished.notify_all();
  };
  const Clock::time_point start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int64_t i = 0; i < workers; ++i) threads.emplace_back(run);
    std::unique_lock lock(mutex);
    while (!finished.wait_for(lock, kRedraw, [&] { return running == 0; })) {
      log::status(progress(what, done, count, start));
    }
  }
  log::clear_status();
  if (error) std::rethrow_exception(error);
  if (const int signal = stop_requested()) {
    throw Stopped(concat("stopped by signal ", signal, " after ", done, " of ", count, " files"),
                  signal);
  }
}

}  // namespace vim::data
