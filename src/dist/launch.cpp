#include "vim/dist/launch.h"

#include <charconv>
#include <cstdlib>
#include <limits>

#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/text.h"

namespace vim::dist {
namespace {

// The variables of one launcher. A missing or malformed one is the environment's fault, told with
// the launcher's name.
class Variables {
 public:
  Variables(const Environment& environment, std::string launcher)
      : environment_(environment), launcher_(std::move(launcher)) {}

  std::optional<std::string> text(const std::string& name) const { return environment_(name); }

  std::string required(const std::string& name) const {
    if (const auto value = text(name)) return *value;
    throw UsageError(concat("the environment is that of ", launcher_, " but lacks ", name,
                            "; start every process with the launcher, or unset its variables"));
  }

  int number(const std::string& name, int minimum, int maximum) const {
    const std::string value = required(name);
    int parsed = 0;
    const auto [end, problem] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (problem != std::errc{} || end != value.data() + value.size() || parsed < minimum ||
        parsed > maximum) {
      throw UsageError(concat("the environment of ", launcher_, " says ", name, "='", value,
                              "', and a whole number from ", minimum, " to ", maximum,
                              " is expected"));
    }
    return parsed;
  }

  int number_or(const std::string& name, int minimum, int maximum, int otherwise) const {
    return text(name) ? number(name, minimum, maximum) : otherwise;
  }

 private:
  const Environment& environment_;
  std::string launcher_;
};

constexpr int kMany = 1 << 20;
constexpr int kMaxPort = std::numeric_limits<uint16_t>::max();

// Below the ports that the system hands out itself, and the same on all ranks.
uint16_t port_of_job(const std::string& job) {
  constexpr uint64_t kFirst = 20000, kCount = 10000;
  return static_cast<uint16_t>(kFirst + hash64(job) % kCount);
}

// "node[03-05,7],other" -> "node03"
std::string first_host(const std::string& list) {
  const size_t end = list.find_first_of("[,");
  const std::string prefix = list.substr(0, end);
  if (end == std::string::npos || list[end] == ',') return prefix;
  return prefix + list.substr(end + 1, list.find_first_of("-,]", end) - end - 1);
}

// torchrun, and whoever sets the same variables; vim-train --nproc does.
Launch from_torchrun(const Environment& environment) {
  const bool is_own = environment("VIM_LISTENER").has_value();
  const Variables variables(environment, is_own ? "--nproc" : "torchrun");
  Launch launch;
  launch.launcher = is_own ? "--nproc" : "torchrun";
  launch.size = variables.number("WORLD_SIZE", 1, kMany);
  launch.rank = variables.number("RANK", 0, launch.size - 1);
  if (launch.size == 1) return launch;
  launch.local_rank = variables.number("LOCAL_RANK", 0, launch.size - 1);
  launch.is_local = variables.number_or("LOCAL_WORLD_SIZE", 1, launch.size, 1) == launch.size;
  launch.host = variables.required("MASTER_ADDR");
  launch.port = static_cast<uint16_t>(variables.number("MASTER_PORT", 1, kMaxPort));
  launch.launcher_listens = environment("TORCHELASTIC_USE_AGENT_STORE") == "True";
  launch.job = concat(environment("TORCHELASTIC_RUN_ID").value_or("job"), "/",
                      environment("TORCHELASTIC_RESTART_COUNT").value_or("0"));
  if (is_own && launch.rank == 0) {
    launch.listener = variables.number("VIM_LISTENER", 0, kMany);
  }
  return launch;
}

Launch from_open_mpi(const Environment& environment) {
  const Variables variables(environment, "Open MPI");
  Launch launch;
  launch.launcher = "Open MPI";
  launch.size = variables.number("OMPI_COMM_WORLD_SIZE", 1, kMany);
  launch.rank = variables.number("OMPI_COMM_WORLD_RANK", 0, launch.size - 1);
  launch.local_rank = variables.number("OMPI_COMM_WORLD_LOCAL_RANK", 0, launch.size - 1);
  launch.is_local = variables.number("OMPI_COMM_WORLD_LOCAL_SIZE", 1, launch.size) == launch.size;
  const auto host = variables.text("MASTER_ADDR");
  if (!host && !launch.is_local) {
    throw UsageError(
        "mpirun started processes on several machines, and MASTER_ADDR does not say where rank 0 "
        "is; give it the first machine of the host file: mpirun -x MASTER_ADDR=<host> ...");
  }
  launch.host = host.value_or("127.0.0.1");
  launch.job = variables.text("PMIX_NAMESPACE").value_or("openmpi");
  launch.port = static_cast<uint16_t>(
      variables.number_or("MASTER_PORT", 1, kMaxPort, port_of_job(launch.job)));
  return launch;
}

// A job step of srun; the batch script itself has no step.
Launch from_slurm(const Environment& environment) {
  const Variables variables(environment, "Slurm (srun)");
  Launch launch;
  launch.launcher = "Slurm";
  launch.size = variables.number("SLURM_STEP_NUM_TASKS", 1, kMany);
  launch.rank = variables.number("SLURM_PROCID", 0, launch.size - 1);
  launch.local_rank = variables.number("SLURM_LOCALID", 0, launch.size - 1);
  launch.is_local = variables.number("SLURM_STEP_NUM_NODES", 1, launch.size) == 1;
  launch.job = concat(variables.required("SLURM_JOB_ID"), ".", variables.required("SLURM_STEP_ID"));
  launch.host =
      variables.text("MASTER_ADDR").value_or(first_host(variables.required("SLURM_STEP_NODELIST")));
  launch.port = static_cast<uint16_t>(
      variables.number_or("MASTER_PORT", 1, kMaxPort, port_of_job(launch.job)));
  return launch;
}

}  // namespace

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

// The innermost launcher wins: torchrun may run under srun, and mpirun starts its own helpers by
// srun.
Launch detect_launch(const Environment& environment) {
  if (environment("RANK") || environment("WORLD_SIZE")) return from_torchrun(environment);
  if (environment("OMPI_COMM_WORLD_SIZE")) return from_open_mpi(environment);
  if (environment("SLURM_STEP_NUM_TASKS")) return from_slurm(environment);
  return {};
}

}  // namespace vim::dist
