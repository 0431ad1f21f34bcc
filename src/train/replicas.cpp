#include "train/replicas.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

#include "train/settings.h"
#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

constexpr size_t kShownDifferences = 5;

std::string differences(const std::string& here, const std::string& there) {
  const auto ours = settings_of(here), theirs = settings_of(there);
  auto all = ours;
  all.insert(theirs.begin(), theirs.end());
  std::vector<std::string> found;
  for (const auto& [path, ignored] : all) {
    const auto value = [&key = path](const auto& values) {
      const auto entry = values.find(key);
      return entry == values.end() ? "absent" : entry->second;
    };
    const std::string mine = value(ours), other = value(theirs);
    if (mine != other)
      found.push_back(concat(path, " is '", mine, "' here and '", other, "' there"));
  }
  if (found.size() > kShownDifferences) {
    const size_t more = found.size() - kShownDifferences;
    found.resize(kShownDifferences);
    found.push_back(concat("and ", more, " more"));
  }
  return join(found, ", ");
}

}  // namespace

void require_same(dist::ProcessGroup& group, const std::vector<Fact>& facts) {
  if (group.size() == 1) return;
  std::string hashes;
  for (const Fact& fact : facts) hashes += hex(hash64(fact.text));
  const std::vector<std::string> all = group.all_gather(hashes);
  if (std::ranges::count(all, all.front()) == group.size()) return;
  for (const Fact& fact : facts) {
    const std::string there = group.broadcast(fact.text, 0);
    if (there != fact.text) {
      throw Error(concat("its ", fact.name, " differs from that of rank 0: ",
                         differences(fact.text, there), "; start all processes alike"));
    }
  }
  group.barrier();  // which a rank that differs does not reach
}

void copy_from_main(dist::ProcessGroup& group, const std::map<std::string, at::Tensor>& tensors) {
  for (const auto& [name, tensor] : tensors) {
    at::Tensor dense = tensor.detach().contiguous();  // the tensor's own memory where it is dense
    group.broadcast(dense, 0);
    if (!tensor.is_contiguous()) tensor.detach().copy_(dense);
  }
}

std::string checksum(const std::map<std::string, at::Tensor>& tensors) {
  std::string hashes;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor host = tensor.detach().cpu().contiguous();
    std::ostringstream shape;
    shape << host.sizes();
    hashes += concat(name, ": ", shape.str(), " ",
                     hex(hash64(host.const_data_ptr(), host.nbytes())), "\n");
  }
  return hashes;
}

}  // namespace vim::train
