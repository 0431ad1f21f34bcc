#include "train/checkpoint_writer.h"

#include <ATen/core/Tensor.h>

#include <utility>

#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/log.h"
#include "vim/core/text.h"

namespace fs = std::filesystem;

namespace vim::train {
namespace {

constexpr const char* kLast = "last";
constexpr const char* kNext = "next";  // what becomes "last" once it is whole
constexpr uint64_t kRoomForMetadata = 1 << 20;

void to_host(std::map<std::string, at::Tensor>& tensors) {
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.detach().to(tensor.options().device(at::kCPU), /*non_blocking=*/false,
                                /*copy=*/true);
  }
}

uint64_t bytes_of(const Checkpoint& checkpoint) {
  uint64_t bytes = kRoomForMetadata;
  for (const auto* tensors : {&checkpoint.model, &checkpoint.ema, &checkpoint.optimizer}) {
    for (const auto& [name, tensor] : *tensors) bytes += tensor.nbytes();
  }
  return bytes;
}

void require_room(const fs::path& folder, uint64_t bytes) {
  std::error_code problem;
  const fs::space_info space = fs::space(folder, problem);
  if (problem) throw Error(concat(folder.string(), ": cannot write: ", problem.message()));
  if (space.available < bytes) {
    throw Error(concat(folder.string(), ": cannot write a checkpoint of ",
                       as_bytes(static_cast<double>(bytes)), ": only ",
                       as_bytes(static_cast<double>(space.available)),
                       " are free; make room, and go on with --resume"));
  }
}

std::string previous(int64_t age) {
  return age == 1 ? "previous" : concat("previous_", age);
}

}  // namespace

CheckpointWriter::CheckpointWriter(RunFolder folder, const CheckpointConfig& config)
    : folder_(std::move(folder)),
      config_(config),
      thread_([this](const std::stop_token& stop) { work(stop); }) {}

CheckpointWriter::~CheckpointWriter() {
  thread_.request_stop();
  thread_.join();
  if (failure_ == nullptr || config_.on_error == OnSaveError::kContinue) return;
  try {
    std::rethrow_exception(failure_);
  } catch (const std::exception& problem) {
    log::error(problem.what());
  }
}

void CheckpointWriter::write(std::vector<std::string> names, const Checkpoint& checkpoint) {
  Job job{std::move(names), checkpoint};
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });  // so that there is one copy at a time
  lock.unlock();
  rethrow();
  to_host(job.checkpoint.model);
  to_host(job.checkpoint.ema);
  to_host(job.checkpoint.optimizer);
  lock.lock();
  failure_ = nullptr;
  job_ = std::move(job);
  changed_.notify_all();
}

void CheckpointWriter::rethrow() {
  const std::lock_guard lock(mutex_);
  if (failure_ == nullptr || config_.on_error == OnSaveError::kContinue) return;
  std::rethrow_exception(std::exchange(failure_, nullptr));
}

void CheckpointWriter::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });
  if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void CheckpointWriter::work(const std::stop_token& stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait(lock, stop, [&] { return job_.has_value(); })) return;
    lock.unlock();
    std::exception_ptr failure;
    try {
      save(*job_);
    } catch (const std::exception& problem) {
      failure = std::current_exception();
      if (config_.on_error == OnSaveError::kContinue) {
        log::warning(concat(problem.what(), "; training goes on without this checkpoint"));
      }
    }
    lock.lock();
    failure_ = failure;
    job_.reset();
    changed_.notify_all();
  }
}

void CheckpointWriter::save(const Job& job) const {
  for (const std::string& name : job.names) {
    require_room(folder_.checkpoints(), bytes_of(job.checkpoint));
    if (name == kLast) {
      replace_last(job.checkpoint);
    } else {
      save_checkpoint(folder_.checkpoint(name), job.checkpoint);
    }
  }
}

// Whoever looks finds the old "last" or the new one, the latter perhaps still under the name
// "next".
void CheckpointWriter::replace_last(const Checkpoint& checkpoint) const {
  save_checkpoint(folder_.checkpoint(kNext), checkpoint);
  for (int64_t age = config_.keep_last - 1; age > 0; --age) {
    const fs::path younger = folder_.checkpoint(age == 1 ? kLast : previous(age - 1));
    if (fs::exists(younger)) rename_durably(younger, folder_.checkpoint(previous(age)));
  }
  rename_durably(folder_.checkpoint(kNext), folder_.checkpoint(kLast));
}

}  // namespace vim::train
