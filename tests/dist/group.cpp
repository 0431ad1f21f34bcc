// Collectives of forked ranks over Gloo.
#include <ATen/ATen.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "dist/address.h"
#include "dist/ranks.h"
#include "support/catch.h"
#include "vim/core/error.h"
#include "vim/core/stop.h"

namespace {

using namespace std::chrono_literals;
using vim::dist::ProcessGroup;

}  // namespace

TEST_CASE(
    "An address towards this machine is none, and one towards another is not the loopback's") {
  CHECK(vim::dist::address_towards("127.0.0.1").empty());
  CHECK(vim::dist::address_towards("localhost").empty());
  CHECK(vim::dist::address_towards("no.such.host.invalid").empty());
  const std::string own = vim::dist::address_towards("192.0.2.1");  // empty without a network
  CHECK_FALSE(own.starts_with("127."));
}

TEST_CASE("Sums, broadcasts and texts reach every rank") {
  for (const int size : {1, 2, 5}) {
    CAPTURE(size);
    CHECK(vim::test::failed_ranks(size, [](ProcessGroup& group) {
            const int n = group.size();
            at::Tensor count = at::full({}, group.rank() + (int64_t{1} << 40), at::kLong);
            group.all_reduce_sum(count);
            at::Tensor values = at::full({3}, group.rank(), at::kDouble);
            group.broadcast(values, n - 1);
            const auto texts = group.all_gather("I am " + std::to_string(group.rank()));
            return count.item<int64_t>() == n * (n - 1) / 2 + n * (int64_t{1} << 40) &&
                   values.eq(n - 1).all().item<bool>() && texts.size() == static_cast<size_t>(n) &&
                   texts.back() == "I am " + std::to_string(n - 1) &&
                   group.broadcast("from " + texts[group.rank()], 0) == "from I am 0" &&
                   group.core_sharers() == n;
          }) == 0);
  }
}

TEST_CASE("A wish of one rank stops all at the same call") {
  CHECK(vim::test::failed_ranks(3, [](ProcessGroup& group) {
          vim::watch_stop_signals();
          int stopped_at = -1;
          for (int step = 0; step < 20 && stopped_at < 0; ++step) {
            if (step == 5 && group.rank() == 1) raise(SIGTERM);
            if (group.agreed_stop() == SIGTERM) stopped_at = step;
          }
          const auto all = group.all_gather(std::to_string(stopped_at));
          return stopped_at > 4 && all[0] == all[1] && all[1] == all[2];
        }) == 0);
}

// With a process that is killed or stopped: tests/cli/faults.sh.
TEST_CASE("A rank that throws, or comes no further, ends those that wait for it") {
  const auto start = std::chrono::steady_clock::now();
  vim::dist::DistConfig impatient;
  impatient.timeout = 3;
  CHECK(vim::test::failed_ranks(3, [](ProcessGroup& group) {
          if (group.rank() == 2) throw vim::Error("a test's own failure");
          group.barrier();
          return true;
        }) == 3);
  CHECK(vim::test::failed_ranks(
            3,
            [](ProcessGroup& group) {
              for (int step = 0; step < 5; ++step) {
                group.mark({"sleeping"});
                if (step == 3 && group.rank() == 1) std::this_thread::sleep_for(60s);
                group.mark({"waiting"});
                group.barrier();
              }
              return true;
            },
            impatient) == 3);
  CHECK(std::chrono::steady_clock::now() - start < 30s);
}
