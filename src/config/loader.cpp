#include <algorithm>
#include <optional>

#include "journal.h"
#include "vim/config/config.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "yaml_reader.h"

namespace fs = std::filesystem;

namespace vim::config {
namespace {

constexpr std::string_view kBase = "base";

// The content of the file that `asked` asks for. Without the first of all there is nothing else to
// tell.
Node read_layer(const fs::path& path, const Place& asked, bool is_base, int order,
                Problems problems) {
  std::string text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    if (!is_base) throw UsageError(error.what());
    problems.add(asked, error.what());
    return {};
  }
  return read_yaml(text, {path.string(), 1, 1, order}, problems.root());
}

// The same for all spellings of a path.
fs::path identity(const fs::path& path) {
  std::error_code error;
  const fs::path canonical = fs::weakly_canonical(path, error);
  return error ? path : canonical;
}

// Takes `base: file` out of the map.
std::optional<Node> take_base(Node& map) {
  const auto base = std::ranges::find(map.entries, kBase, &Entry::key);
  if (base == map.entries.end()) return std::nullopt;
  Node value = std::move(base->value);
  map.entries.erase(base);
  return value;
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> keys;
  for (;;) {
    const size_t dot = path.find('.');
    keys.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return keys;
    path.remove_prefix(dot + 1);
  }
}

}  // namespace

Loader::Loader(Read read, Check check)
    : read_(std::move(read)), check_(std::move(check)), journal_(std::make_unique<Journal>()) {}

Loader::~Loader() = default;

void Loader::file(const fs::path& path) {
  std::vector<Node> layers;
  std::vector<fs::path> seen;
  Place asked{path.string(), 0, 0, journal_->sources};
  for (fs::path next = path; !next.empty();) {
    Problems problems(*journal_, seen.empty() ? "" : std::string(kBase));
    if (std::ranges::find(seen, identity(next)) != seen.end()) {
      problems.add(asked, concat(next.string(), " is in turn based on this file"));
      break;
    }
    Node layer = read_layer(next, asked, !seen.empty(), journal_->sources++, problems);
    seen.push_back(identity(next));
    const std::optional<Node> base = take_base(layer);
    layers.push_back(std::move(layer));
    std::string name;
    if (base && (!Leaf<std::string>::read(*base, name) || name.empty())) {
      Problems(*journal_, std::string(kBase)).expected("a file name", *base);
    }
    asked = base ? base->place : asked;
    next = name.empty() ? fs::path() : next.parent_path() / name;
  }
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    read_(*layer, Problems(*journal_));
  }
}

void Loader::text(std::string_view text, const std::string& source) {
  Problems problems(*journal_);
  read_(read_yaml(text, {source, 1, 1, journal_->sources++}, problems), problems);
}

void Loader::set(std::string_view assignment, const std::string& source) {
  const Place place{source.empty() ? concat("--set ", assignment) : source, 0, 0,
                    journal_->sources++};
  const size_t equals = assignment.find('=');
  const std::string path(assignment.substr(0, equals));
  const std::vector<std::string> keys = split(path);
  if (equals == std::string_view::npos || std::ranges::count(keys, "") > 0) {
    return Problems(*journal_).add(place, "expected KEY=VALUE, as in optim.lr=1e-3");
  }
  const size_t problems_before = journal_->problems.size();
  Node node = read_yaml(assignment.substr(equals + 1), place, Problems(*journal_, path));
  if (journal_->problems.size() > problems_before) return;
  node.place = place;
  for (auto key = keys.rbegin(); key != keys.rend(); ++key) {
    Node parent;
    parent.kind = Node::Kind::kMap;
    parent.patch = true;
    parent.place = place;
    parent.entries.push_back({*key, std::move(node), place});
    node = std::move(parent);
  }
  read_(node, Problems(*journal_));
}

void Loader::finish() {
  check_(Problems(*journal_));
  if (!journal_->problems.empty()) throw UsageError(report(journal_->problems));
}

}  // namespace vim::config
