// vim-convert inspect: the tree of a file's tensors.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <iomanip>
#include <string_view>
#include <utility>

#include "train/tensor_source.h"
#include "vim/core/text.h"
#include "vim/train/convert.h"

namespace vim::train {
namespace {

constexpr size_t kShownText = 300;  // of a text in the metadata
constexpr size_t kMostLevels = 12;  // names come from anybody; what is deeper stays one name

// Names and texts may come from anybody, and go to a terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = '?';
  }
  return text;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Numbers first, and layer 2 before layer 10.
struct NaturalOrder {
  bool operator()(const std::string& a, const std::string& b) const {
    const auto rank = [](const std::string& text) {
      return std::pair(is_number(text) ? text.size() : SIZE_MAX, std::string_view(text));
    };
    return rank(a) < rank(b);
  }
};

struct Node {
  at::Tensor tensor;  // of a leaf
  std::map<std::string, Node, NaturalOrder> children;
  int64_t values = 0, tensors = 0;  // of the whole branch
};

// "model/layers.0.norm.weight": a slash and a dot end a level, and stay with it.
Node tree_of(const io::TensorFile& file) {
  Node root;
  for (const auto& [name, tensor] : file.tensors) {
    std::vector<Node*> branch = {&root};
    size_t begin = 0;
    while (branch.size() < kMostLevels) {
      const size_t end = name.find_first_of("/.", begin);
      if (end == std::string::npos) break;
      const size_t next = name[end] == '/' ? end + 1 : end;
      branch.push_back(&branch.back()->children[name.substr(begin, next - begin)]);
      begin = end + 1;
    }
    // A leaf does not share the key of a branch, which "a" and "a.b" would.
    branch.push_back(&branch.back()->children[name.substr(begin) + '\0']);
    branch.back()->tensor = tensor;
    for (Node* node : branch) {
      node->values += tensor.numel();
      node->tensors += 1;
    }
  }
  return root;
}

struct Row {
  std::string name, content;
};

void add_rows(const Node& node, int64_t level, const InspectOptions& options,
              std::vector<Row>& rows) {
  for (const auto& [key, child] : node.children) {
    std::string name = key;
    const Node* shown = &child;
    // A branch with nothing beside it joins the next: patch_embed.proj.
    while (!shown->tensor.defined() && shown->children.size() == 1 &&
           !shown->children.begin()->second.tensor.defined()) {
      const auto& [next, only] = *shown->children.begin();
      name += (name.ends_with('/') ? "" : ".") + next;
      shown = &only;
    }
    std::string content = concat(with_separators(shown->values), " values");
    if (shown->tensor.defined()) {
      name.pop_back();
      content = described(shown->tensor);
      if (options.statistics) content += "  " + statistics_of(shown->tensor);
    }
    rows.push_back({std::string(2 * static_cast<size_t>(level), ' ') + printable(name), content});
    if (level + 1 < options.depth) add_rows(*shown, level + 1, options, rows);
  }
}

}  // namespace

void inspect_file(const std::filesystem::path& path, const InspectOptions& options,
                  std::ostream& out) {
  const TensorSource source(path);
  const Node root = tree_of(source.file);
  std::vector<Row> rows;
  add_rows(root, 0, options, rows);
  size_t width = 0;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  for (const auto& [name, content] : rows) {
    out << std::left << std::setw(static_cast<int>(width) + 2) << name << content << "\n";
  }
  out << root.tensors << " tensors, " << with_separators(root.values) << " values\n";
  for (const auto& [key, text] : source.file.metadata) {
    if (text.find('\n') != std::string::npos) {
      out << "\n" << printable(key) << ":\n" << printable(text) << "\n";
    } else {
      out << printable(key) << ": " << printable(text.substr(0, kShownText))
          << (text.size() > kShownText ? "..." : "") << "\n";
    }
  }
}

}  // namespace vim::train
