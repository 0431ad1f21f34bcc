#include <sstream>

#include "vim/config/config.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

std::string comment(std::string_view text, const std::string& indent, size_t width) {
  std::istringstream words{std::string(text)};
  std::string out, line;
  for (std::string word; words >> word;) {
    if (!line.empty() && indent.size() + 2 + line.size() + 1 + word.size() > width) {
      out += concat(indent, "# ", line, "\n");
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  return line.empty() ? out : out + concat(indent, "# ", line, "\n");
}

std::string indented(const std::string& text, const std::string& prefix) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) out += concat(prefix, line, "\n");
  return out;
}

class ReferenceWriter final : public Visitor {
 public:
  ReferenceWriter(std::string indent, size_t width) : indent_(std::move(indent)), width_(width) {}
  std::string out;

 protected:
  void visit(std::string_view key, Field& field, std::string_view doc, const Rule& rule) override {
    if (const Describe fields = field.fields()) return section(key, fields, doc);
    const std::vector<Alternative> alternatives = field.alternatives();
    const std::string kind = alternatives.empty() ? field.kind(rule) : "a list of the following";
    out += comment(concat(doc, " (", kind, ")"), indent_, width_);
    for (const Alternative& alternative : alternatives) choice(alternative);
    Node line;
    line.kind = Node::Kind::kMap;
    line.entries.push_back({std::string(key), field.write(), {}});
    out += indented(to_yaml(line), indent_);
  }

 private:
  void section(std::string_view key, const Describe& fields, std::string_view doc) {
    if (!out.empty()) out += "\n";
    ReferenceWriter below(indent_ + "  ", width_);
    fields(below);
    out += comment(doc, indent_, width_) + concat(indent_, key, ":\n", below.out);
  }

  // Commented out, so that it can be uncommented below the key.
  void choice(const Alternative& alternative) {
    const std::string prefix = indent_ + "#   ";
    ReferenceWriter below("    ", width_ - prefix.size());
    alternative.describe(below);
    out += indented(comment(alternative.doc, "", width_ - prefix.size()), prefix);
    out += concat(prefix, "- ", alternative.name, below.out.empty() ? "" : ":", "\n");
    out += indented(below.out, prefix);
  }

  std::string indent_;
  size_t width_;
};

}  // namespace

std::string reference(const Describe& describe, size_t width) {
  ReferenceWriter writer("", width);
  describe(writer);
  return std::move(writer.out);
}

}  // namespace vim::config
