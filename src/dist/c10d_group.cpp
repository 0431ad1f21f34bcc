#include "dist/c10d_group.h"

#include <ATen/ops/full.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include "dist/nvlink.h"
#endif

#include "dist/address.h"
#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

using namespace std::chrono_literals;
using Gloo = c10d::ProcessGroupGloo;

constexpr auto kMeeting = 5min;  // until all ranks are there; nodes may start at different times

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  return name;
}

// Where this process runs: processes with the same text share their cores.
std::string cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  return concat(host_name(), " ", hex(hash64(&set, sizeof(set))));
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

// Where the others reach this process. A machine's own name will not do: it often means 127.0.1.1.
std::shared_ptr<::gloo::transport::Device> gloo_device(const Launch& launch,
                                                       const std::vector<std::string>& addresses) {
  if (const auto interface = process_environment("GLOO_SOCKET_IFNAME")) {
    return Gloo::createDeviceForInterface(*interface);
  }
  if (launch.is_local) return Gloo::createDeviceForHostname("127.0.0.1");
  std::string own = addresses[launch.rank];
  // Rank 0's machine sees none on the way to itself, but on the way to another.
  for (size_t member = 0; member < addresses.size() && own.empty(); ++member) {
    if (!addresses[member].empty()) own = address_towards(addresses[member]);
  }
  return own.empty() ? Gloo::createDefaultDevice() : Gloo::createDeviceForHostname(own);
}

#ifdef USE_C10D_NCCL
// NCCL's watchdog would end this process with a stack trace and no name where another rank is gone,
// mostly before the watch has found out which; and it knows nothing of a recorded step.
void leave_faults_to_watch() {
  setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", /*overwrite=*/0);
  setenv("TORCH_NCCL_ENABLE_MONITORING", "0", /*overwrite=*/0);
}
#endif

// "NVLink" where it joins this rank's GPU to those of all the others.
std::string link_of([[maybe_unused]] const Launch& launch, [[maybe_unused]] c10::Device device) {
#ifdef USE_C10D_NCCL
  if (device.is_cuda() && launch.is_local && is_linked_to_others(device.index(), launch.size)) {
    return "NVLink";
  }
#endif
  return "";
}

}  // namespace

C10dGroup::C10dGroup(const Launch& launch, c10::Device device, const DistConfig& config)
    : launch_(launch), device_(device), store_(open_store()) {
  const Members members = meet();
  watch_ = std::make_unique<Watch>(
      store_->clone(), Watch::Place{.rank = rank(),
                                    .names = members.names,
                                    .holds_store = is_main() && !launch.launcher_listens,
                                    .timeout = config.timeout});
  try {
    connect(members.addresses);
  } catch (const c10::Error& problem) {
    const std::string cause =
        concat("it cannot connect to the others (", first_line(problem.what_without_backtrace()),
               "); where machines have several networks, GLOO_SOCKET_IFNAME and "
               "NCCL_SOCKET_IFNAME name the interface to take");
    watch_->report(cause);
    throw Error(cause);
  }
}

// A failed world cannot be taken down in order: c10d's threads wait for ranks that are gone.
C10dGroup::~C10dGroup() {
  if (!failed_) return;
  watch_->stop();
  (void)watch_.release();
  (void)voting_.release();
  (void)group_.release();
  (void)store_.release();
}

c10::intrusive_ptr<c10d::Store> C10dGroup::open_store() const {
  c10d::TCPStoreOptions options;
  options.port = launch_.port;
  options.isServer = is_main() && !launch_.launcher_listens;
  options.waitWorkers = false;
  options.timeout = kMeeting;
  options.masterListenFd = launch_.listener;
  try {
    return c10::make_intrusive<c10d::PrefixStore>(
        "vim/" + launch_.job, c10::make_intrusive<c10d::TCPStore>(launch_.host, options));
  } catch (const c10::Error& problem) {
    const std::string address = concat(launch_.host, ":", launch_.port);
    if (options.isServer) {
      throw Error(concat("rank 0 cannot listen at ", address, " (",
                         first_line(problem.what_without_backtrace()),
                         "); set MASTER_PORT to a free port"));
    }
    throw Error(concat("rank ", rank(), " cannot reach rank 0 at ", address, " (",
                       first_line(problem.what_without_backtrace()),
                       "); see whether rank 0 runs there and the port is open"));
  }
}

// Waits until every rank is there. Sets core_sharers_ and is_linked_.
C10dGroup::Members C10dGroup::meet() {
  const auto key = [](int rank) { return "member/" + std::to_string(rank); };
  const std::string name = concat("rank ", rank(), " (host ", host_name(), ", pid ", getpid(), ")");
  store_->set(key(rank()), concat(cores(), "\n", link_of(launch_, device_), "\n",
                                  address_towards(launch_.host), "\n", name));
  const auto start = std::chrono::steady_clock::now();
  Members members;
  core_sharers_ = 0;
  is_linked_ = true;
  for (int member = 0; member < size(); ++member) {
    while (!store_->check({key(member)})) {
      if (std::chrono::steady_clock::now() - start > kMeeting) {
        throw Error(concat("rank ", member, " of ", size(), " has not come within ",
                           std::chrono::minutes(kMeeting).count(), " minutes to ", launch_.host,
                           ":", launch_.port, "; see its output, or that of ", launch_.launcher));
      }
      std::this_thread::sleep_for(50ms);
    }
    std::istringstream text(store_->get_to_str(key(member)));
    std::string cores_there, link_there;
    std::getline(text, cores_there);
    std::getline(text, link_there);
    std::getline(text, members.addresses.emplace_back());
    std::getline(text, members.names.emplace_back());
    core_sharers_ += cores_there == cores() ? 1 : 0;
    is_linked_ = is_linked_ && !link_there.empty();
  }
  return members;
}

void C10dGroup::connect(const std::vector<std::string>& addresses) {
  group_ = c10::make_intrusive<c10d::ProcessGroup>(store_, rank(), size());
  const auto options = Gloo::Options::create();
  options->devices.push_back(gloo_device(launch_, addresses));
  group_->setBackend(
      c10::kCPU, c10d::ProcessGroup::BackendType::GLOO,
      c10::make_intrusive<Gloo>(c10::make_intrusive<c10d::PrefixStore>("gloo", store_), rank(),
                                size(), options));
  group_->setDefaultBackend(c10d::ProcessGroup::BackendType::GLOO);
  if (!device_.is_cuda()) return;
#ifdef USE_C10D_NCCL
  c10::impl::VirtualGuardImpl(device_.type()).setDevice(device_);
  leave_faults_to_watch();
  group_->setBackend(c10::kCUDA, c10d::ProcessGroup::BackendType::NCCL,
                     c10::make_intrusive<c10d::ProcessGroupNCCL>(
                         c10::make_intrusive<c10d::PrefixStore>("nccl", store_), rank(), size()));
  group_->setDefaultBackend(c10d::ProcessGroup::BackendType::NCCL);
#else
  throw UsageError("device: this build has no NCCL to connect GPUs with; use device: cpu");
#endif
}

void C10dGroup::all_reduce_sum(at::Tensor& tensor) {
  std::vector<at::Tensor> tensors = {tensor};
  group_->allreduce(tensors)->wait();
}

void C10dGroup::broadcast(at::Tensor& tensor, int root) {
  std::vector<at::Tensor> tensors = {tensor};
  c10d::BroadcastOptions options;
  options.rootRank = root;
  group_->broadcast(tensors, options)->wait();
}

// Over Gloo, so that it says something about the hosts also where GPUs run behind.
void C10dGroup::barrier() {
  group_->getBackend(c10::kCPU)->barrier()->wait();
}

std::vector<std::string> C10dGroup::all_gather(const std::string& text) {
  const std::string prefix = concat("text/", exchanges_++, "/");
  store_->set(prefix + std::to_string(rank()), text);
  std::vector<std::string> texts;
  for (int member = 0; member < size(); ++member) {
    texts.push_back(store_->get_to_str(prefix + std::to_string(member)));
  }
  return texts;
}

std::string C10dGroup::broadcast(const std::string& text, int root) {
  const std::string key = concat("text/", exchanges_++);
  if (rank() == root) store_->set(key, text);
  return store_->get_to_str(key);
}

// The sum runs beside the next step.
int C10dGroup::agreed_stop() {
  int signal = 0;
  if (voting_) {
    voting_->wait();
    signal = vote_.item<int>();
  }
  vote_ = at::full({}, stop_requested(), at::kInt);
  std::vector<at::Tensor> tensors = {vote_};
  c10d::AllreduceOptions options;
  options.reduceOp = c10d::ReduceOp::MAX;
  voting_ = group_->getBackend(c10::kCPU)->allreduce(tensors, options);
  return signal;
}

void C10dGroup::run(const std::function<void()>& body) {
  try {
    body();
    leave();
  } catch (const Stopped&) {
    leave();
    throw;
  } catch (const Error& problem) {
    failed_ = true;
    watch_->report(problem.what());
    throw;
  } catch (const std::exception& problem) {
    // A rank that dies shows here as a failed operation; its name and cause come from the watch.
    failed_ = true;
    watch_->suspect();
    watch_->report(first_line(problem.what()));
    throw;
  }
}

void C10dGroup::leave() {
  watch_->mark({"ending"});
  watch_->leave();
  if (voting_) voting_->wait();
  barrier();
#ifdef USE_C10D_NCCL
  if (device_.is_cuda()) group_->getBackend(c10::kCUDA)->shutdown();
#endif
  watch_->finish();
}

}  // namespace vim::dist
