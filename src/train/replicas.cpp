#include "train/replicas.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <sstream>

#include "vim/core/error.h"
#include "vim/core/hash.h"
#include "vim/core/text.h"

namespace vim::train {
namespace {

constexpr size_t kShownDifferences = 5;

// The lines of block-style YAML by the path of their key: "optim.lr" -> "0.001". Lines of other
// texts stand under themselves.
std::map<std::string, std::string> values_by_path(const std::string& text) {
  std::map<std::string, std::string> values;
  std::vector<std::pair<size_t, std::string>> parents;  // indentation, path
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t indent = std::min(line.find_first_not_of(' '), line.size());
    while (!parents.empty() && parents.back().first >= indent) parents.pop_back();
    const size_t colon = line.find(':');
    std::string path = parents.empty() ? "" : parents.back().second + ".";
    path += line.substr(indent, colon - indent);
    values[path] = colon == std::string::npos ? "" : line.substr(std::min(colon + 2, line.size()));
    parents.emplace_back(indent, path);
  }
  return values;
}

std::string differences(const std::string& here, const std::string& there) {
  const auto ours = values_by_path(here), theirs = values_by_path(there);
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
