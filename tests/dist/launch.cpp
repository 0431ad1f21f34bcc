// What each launcher's environment means, against the launchers' own documentation.
#include "vim/dist/launch.h"

#include <map>

#include "support/catch.h"
#include "vim/core/error.h"

using vim::dist::Launch;
using Variables = std::map<std::string, std::string>;

namespace {

Launch detect(const Variables& variables) {
  return vim::dist::detect_launch([&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

Variables without(Variables variables, const std::string& name) {
  variables.erase(name);
  return variables;
}

Variables with(Variables variables, const std::string& name, const std::string& value) {
  variables[name] = value;
  return variables;
}

const Variables kTorchrun = {{"RANK", "9"},
                             {"WORLD_SIZE", "16"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "8"},
                             {"MASTER_ADDR", "node1"},
                             {"MASTER_PORT", "29500"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_SIZE", "4"},
                            {"OMPI_COMM_WORLD_RANK", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                            {"PMIX_NAMESPACE", "1745682433"}};
const Variables kSlurm = {
    {"SLURM_JOB_ID", "77"},         {"SLURM_STEP_ID", "0"},
    {"SLURM_STEP_NUM_TASKS", "64"}, {"SLURM_STEP_NUM_NODES", "8"},
    {"SLURM_PROCID", "10"},         {"SLURM_LOCALID", "2"},
    {"SLURM_NTASKS", "64"},         {"SLURM_STEP_NODELIST", "gpu[07-09,12],login"}};

}  // namespace

TEST_CASE("Without a launcher there is a world of one") {
  const Launch launch = detect({{"HOME", "/root"}, {"MASTER_ADDR", "somewhere"}});
  CHECK(launch.launcher.empty());
  CHECK(launch.size == 1);
  CHECK(launch.rank == 0);
}

TEST_CASE("A batch script of Slurm is no launcher, its job steps are") {
  CHECK(detect({{"SLURM_JOB_ID", "77"}, {"SLURM_NTASKS", "64"}, {"SLURM_PROCID", "0"}}).size == 1);
  const Launch launch = detect(kSlurm);
  CHECK(launch.launcher == "Slurm");
  CHECK(launch.size == 64);
  CHECK(launch.rank == 10);
  CHECK(launch.local_rank == 2);
  CHECK_FALSE(launch.is_local);
  CHECK(launch.host == "gpu07");
  CHECK(launch.port == detect(with(kSlurm, "SLURM_PROCID", "63")).port);
  CHECK(launch.port != detect(with(kSlurm, "SLURM_STEP_ID", "1")).port);
}

TEST_CASE("The first host of a list of Slurm's") {
  const auto host = [](const char* list) {
    return detect(with(kSlurm, "SLURM_STEP_NODELIST", list)).host;
  };
  CHECK(host("gpu[07-09,12],login") == "gpu07");
  CHECK(host("gpu[7]") == "gpu7");
  CHECK(host("gpu[5,7-9]") == "gpu5");
  CHECK(host("a,b") == "a");
  CHECK(host("a.example") == "a.example");
  CHECK(detect(with(kSlurm, "MASTER_ADDR", "10.0.0.1")).host == "10.0.0.1");
}

TEST_CASE("torchrun holds the store itself and restarts under another name") {
  Launch launch = detect(kTorchrun);
  CHECK(launch.launcher == "torchrun");
  CHECK(launch.rank == 9);
  CHECK(launch.size == 16);
  CHECK(launch.local_rank == 1);
  CHECK_FALSE(launch.is_local);
  CHECK(launch.host == "node1");
  CHECK(launch.port == 29500);
  CHECK_FALSE(launch.launcher_listens);
  launch = detect(with(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE", "True"));
  CHECK(launch.launcher_listens);
  CHECK(launch.job != detect(with(kTorchrun, "TORCHELASTIC_RESTART_COUNT", "1")).job);
}

TEST_CASE("mpirun needs no address on one machine, and one on several") {
  const Launch launch = detect(kOpenMpi);
  CHECK(launch.launcher == "Open MPI");
  CHECK(launch.rank == 3);
  CHECK(launch.is_local);
  CHECK(launch.host == "127.0.0.1");
  CHECK(launch.port >= 20000);
  const Variables spread = with(kOpenMpi, "OMPI_COMM_WORLD_LOCAL_SIZE", "2");
  CHECK_THROWS_WITH(detect(spread), Catch::Contains("-x MASTER_ADDR=<host>"));
  CHECK(detect(with(spread, "MASTER_ADDR", "node1")).host == "node1");
}

TEST_CASE("The innermost launcher counts") {
  Variables both = kSlurm;
  both.insert(kOpenMpi.begin(), kOpenMpi.end());
  CHECK(detect(both).launcher == "Open MPI");
  both.insert(kTorchrun.begin(), kTorchrun.end());
  CHECK(detect(both).launcher == "torchrun");
}

TEST_CASE("Every missing or wrong variable is named") {
  for (const char* name : {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    CHECK_THROWS_WITH(detect(without(kTorchrun, name)),
                      Catch::Contains(std::string("lacks ") + name));
  }
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"}) {
    CHECK_THROWS_WITH(detect(without(kOpenMpi, name)),
                      Catch::Contains(std::string("lacks ") + name));
  }
  for (const char* name :
       {"SLURM_PROCID", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID"}) {
    CHECK_THROWS_WITH(detect(without(kSlurm, name)), Catch::Contains(std::string("lacks ") + name));
  }
  for (const char* value : {"16", "-1", "1x", "", " 1"}) {
    CAPTURE(value);
    CHECK_THROWS_AS(detect(with(kTorchrun, "RANK", value)), vim::UsageError);
  }
  CHECK_THROWS_WITH(detect(with(kTorchrun, "MASTER_PORT", "70000")),
                    Catch::Contains("MASTER_PORT"));
}
