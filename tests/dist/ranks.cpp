#include "dist/ranks.h"

#include <ATen/Parallel.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <stdexcept>
#include <vector>

namespace vim::test {
namespace {

int run_rank(const dist::Launch& launch, const std::function<bool(dist::ProcessGroup&)>& body,
             const dist::DistConfig& config) {
  int failed = 1;
  try {
    at::set_num_threads(1);
    const auto group = dist::make_process_group(launch, c10::kCPU, config);
    group->run([&] { failed = body(*group) ? 0 : 1; });
    if (failed != 0) std::cerr << "rank " << launch.rank << ": not as expected\n";
  } catch (const std::exception& problem) {
    std::cerr << "rank " << launch.rank << ": " << problem.what() << "\n";
    failed = 1;
  }
  return failed;
}

}  // namespace

int failed_ranks(int size, const std::function<bool(dist::ProcessGroup&)>& body,
                 const dist::DistConfig& config) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, generic, length) != 0 || listen(listener, 64) != 0 ||
      getsockname(listener, generic, &length) != 0) {
    throw std::runtime_error("cannot listen at 127.0.0.1");
  }
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < size; ++rank) {
    dist::Launch launch;
    launch.rank = launch.local_rank = rank;
    launch.size = size;
    launch.is_local = true;
    launch.host = "127.0.0.1";
    launch.port = ntohs(address.sin_port);
    if (rank == 0) launch.listener = listener;
    const pid_t pid = fork();
    if (pid == 0) _exit(run_rank(launch, body, config));
    ranks.push_back(pid);
  }
  close(listener);
  int failed = 0;
  for (const pid_t pid : ranks) {
    int status = 0;
    waitpid(pid, &status, 0);
    failed += status == 0 ? 0 : 1;
  }
  return failed;
}

}  // namespace vim::test
