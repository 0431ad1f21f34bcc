#include "vim/dist/process_group.h"

#include "dist/c10d_group.h"
#include "vim/core/log.h"
#include "vim/core/stop.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

class WorldOfOne : public ProcessGroup {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int core_sharers() const override { return 1; }
  void all_reduce_sum(at::Tensor&) override {}
  void broadcast(at::Tensor&, int) override {}
  void barrier() override {}
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  std::string broadcast(const std::string& text, int) override { return text; }
  int agreed_stop() override { return stop_requested(); }
  void mark(Activity) override {}
  void run(const std::function<void()>& body) override { body(); }
};

}  // namespace

std::unique_ptr<ProcessGroup> make_process_group(const Launch& launch, c10::Device device,
                                                 const DistConfig& config) {
  if (!launch.launcher.empty() && launch.rank == 0) {
    log::info(
        concat("started by ", launch.launcher, ": ", launch.size,
               launch.size == 1 ? " process" : " processes",
               launch.size == 1 ? "" : concat(", meeting at ", launch.host, ":", launch.port)));
  }
  if (launch.size == 1) return std::make_unique<WorldOfOne>();
  return std::make_unique<C10dGroup>(launch, device, config);
}

}  // namespace vim::dist
