#include "yaml_reader.h"

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>

#include "environment.h"
#include "utf8.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

constexpr std::string_view kNoTags = "tags (!) are not supported";

// YAML that a config has no use for.
struct Refusal {
  Place place;
  std::string sentence;
};

// What yaml-cpp says, and what a person can do about it.
std::string explain(const std::string& message) {
  using namespace YAML::ErrorMsg;
  static const std::pair<std::string_view, std::string_view> kPlainer[] = {
      {EOF_IN_SCALAR, "a quote is never closed"},
      {END_OF_MAP, "this belongs to no key; check indentation and quotes"},
      {END_OF_SEQ, "this belongs to no list entry; check indentation and quotes"},
      {END_OF_MAP_FLOW, "a '{' is never closed"},
      {END_OF_SEQ_FLOW, "a '[' is never closed"},
      {MAP_VALUE, "no ':' can stand here; check indentation (no tabs) and quotes"},
  };
  const auto found =
      std::ranges::find(kPlainer, message, [](const auto& item) { return item.first; });
  return concat("is not valid YAML: ", found == std::end(kPlainer) ? message : found->second);
}

// Whether the scalar at the start of `text` ends.
bool is_closed(std::string_view text) {
  const char quote = text.empty() ? '\0' : text[0];
  if (quote != '\'' && quote != '"') return true;  // a block scalar (| or >)
  for (size_t i = 1; i < text.size(); ++i) {
    const bool escapes = quote == '"' ? text[i] == '\\' : text.substr(i).starts_with("''");
    if (escapes) {
      ++i;
    } else if (text[i] == quote) {
      return true;
    }
  }
  return false;
}

// Turns the parser's events into nodes: yaml-cpp's own tree hides duplicate keys.
class Builder final : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const Place& start) : text_(text), start_(start) {}

  Node root;
  // The first, noted rather than thrown: where the parser stumbles over the same text, it knows
  // better.
  std::optional<Refusal> refusal;

  // Where a syntax error is. What is never closed is noticed at the end and sought at the
  // beginning.
  Place place_of(const YAML::Exception& error) const {
    using namespace YAML::ErrorMsg;
    if (!open_.empty()) {
      const Open& last = open_.back();
      if (error.msg == END_OF_MAP_FLOW || error.msg == END_OF_SEQ_FLOW) return last.node.place;
      if (error.msg == EOF_IN_SCALAR && last.waiting) return last.waiting->place;
    }
    return place(error.mark);
  }

  Place place(const YAML::Mark& mark) const {
    Place place = start_;
    if (place.line == 0 || mark.is_null()) return place;
    place.line = mark.line + 1;
    place.column = mark.column + 1;
    return place;
  }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(mark, "", anchor, Node{});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse_anchor(mark);
    put(Node{});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = Node::scalar(value);
    node.quoted = tag == "!";  // so says yaml-cpp, of block scalars too
    if (node.quoted && text_.substr(static_cast<size_t>(mark.pos)).starts_with('!')) {
      refuse(place(mark), kNoTags);
    }
    // It also takes the end of the file for the end of a quote.
    if (node.quoted && !is_closed(text_.substr(static_cast<size_t>(mark.pos)))) {
      refuse(place(mark), "is not valid YAML: a quote is never closed");
    }
    const bool null = !node.quoted && (value == "null" || value == "~" || value.empty());
    add(mark, node.quoted ? "" : tag, anchor, null ? Node{} : std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kSequence);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  // A collection that is being read, and the key that waits for its value.
  struct Open {
    Node node;
    std::optional<Entry> waiting;
  };

  void refuse(const Place& where, std::string_view sentence) {
    if (!refusal) refusal = Refusal{where, std::string(sentence)};
  }

  void refuse_anchor(const YAML::Mark& mark) {
    refuse(place(mark), "anchors and aliases (& and *) are not supported; write the value again");
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            Node::Kind kind) {
    Node node;
    node.kind = kind;
    prepare(mark, tag, anchor, node);
    open_.push_back({std::move(node), {}});
  }

  void close() {
    Node node = std::move(open_.back().node);
    open_.pop_back();
    put(std::move(node));
  }

  void add(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node node) {
    prepare(mark, tag, anchor, node);
    put(std::move(node));
  }

  void prepare(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node& node) {
    node.place = place(mark);
    if (anchor != 0) refuse_anchor(mark);
    if (!tag.empty() && tag != "?") refuse(node.place, kNoTags);
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().node.is_map() && !open_.back().waiting;
  }

  void put(Node node) {
    if (open_.empty()) {
      root = std::move(node);
    } else if (expects_key()) {
      if (node.kind != Node::Kind::kScalar) refuse(node.place, "a key has to be a word");
      open_.back().waiting = Entry{node.text, {}, node.place};
    } else if (Open& parent = open_.back(); parent.node.is_map()) {
      // The parser places an absent value after whatever follows it.
      if (node.kind == Node::Kind::kNull) node.place = parent.waiting->place;
      parent.waiting->value = std::move(node);
      parent.node.entries.push_back(std::move(*parent.waiting));
      parent.waiting.reset();
    } else {
      parent.node.items.push_back(std::move(node));
    }
  }

  std::string_view text_;
  const Place& start_;
  std::vector<Open> open_;
};

void tidy(Node& node, Problems problems) {
  if (node.kind == Node::Kind::kScalar) {
    const std::string wrong = expand_environment(node.text);
    if (!wrong.empty()) problems.add(node.place, wrong);
  }
  for (size_t i = 0; i < node.items.size(); ++i) tidy(node.items[i], problems.at(i));
  std::vector<Entry> unique;
  for (Entry& entry : node.entries) {
    Problems here = problems.at(entry.key);
    const auto first = std::ranges::find(unique, entry.key, &Entry::key);
    if (first != unique.end()) {
      const int line = first->place.line;
      here.add(entry.place,
               line > 0 ? concat("is set twice, first in line ", line) : "is set twice");
    } else if (entry.key == "<<") {
      here.add(entry.place, "merge keys are not supported; write the keys, or use `base:`");
    } else {
      tidy(entry.value, here);
      unique.push_back(std::move(entry));
    }
  }
  node.entries = std::move(unique);
}

Place place_at(std::string_view text, size_t position, const Place& start) {
  Place place = start;
  if (place.line == 0) return place;
  const std::string_view before = text.substr(0, position);
  place.line = static_cast<int>(1 + std::ranges::count(before, '\n'));
  place.column = static_cast<int>(before.size() - (before.rfind('\n') + 1) + 1);
  return place;
}

}  // namespace

Node read_yaml(std::string_view text, const Place& start, Problems problems) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  if (const size_t bad = find_non_text(text); bad != std::string_view::npos) {
    problems.add(place_at(text, bad, start), "is not plain UTF-8 text");
    return {};
  }
  // yaml-cpp drops a line that it takes for a directive.
  if (const size_t line = text.starts_with('%') ? 0 : text.find("\n%") + 1;
      text.substr(line).starts_with('%')) {
    problems.add(place_at(text, line, start), "a line cannot start with %");
    return {};
  }
  Builder builder(text, start);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return {};
    Builder second(text, start);
    if (parser.HandleNextDocument(second)) {
      problems.add(second.root.place, "a second document; a config is one");
      return {};
    }
  } catch (const YAML::DeepRecursion&) {
    problems.add(start, "is nested too deeply");
    return {};
  } catch (const YAML::Exception& error) {
    problems.add(builder.place_of(error), explain(error.msg));
    return {};
  }
  if (builder.refusal) {
    problems.add(builder.refusal->place, builder.refusal->sentence);
    return {};
  }
  tidy(builder.root, problems);
  return std::move(builder.root);
}

}  // namespace vim::config
