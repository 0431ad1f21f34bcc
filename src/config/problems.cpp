#include "vim/config/problems.h"

#include <algorithm>
#include <tuple>

#include "journal.h"
#include "vim/core/text.h"

namespace vim::config {
namespace {

bool is_within(std::string_view path, std::string_view parent) {
  return parent.empty() || path == parent ||
         (path.starts_with(parent) && path[parent.size()] == '.');
}

// Of the value at `path` or of the list entry that holds it.
Place origin(const Journal& journal, std::string path) {
  for (;;) {
    const auto found = journal.origins.find(path);
    if (found != journal.origins.end()) return found->second;
    const size_t dot = path.rfind('.');
    if (dot == std::string::npos) return {};
    path.resize(dot);
  }
}

auto rank(const Problem& problem) {
  const Place& place = problem.place;
  return std::tuple(place.source.empty(), place.order, place.line, place.column);
}

}  // namespace

std::string join_path(std::string_view parent, std::string_view key) {
  return parent.empty() || key.empty() ? concat(parent, key) : concat(parent, ".", key);
}

std::string to_string(const Place& place) {
  if (place.source.empty()) return "(default)";
  if (place.line == 0) return place.source;
  return concat(place.source, ":", place.line, ":", place.column);
}

std::string report(std::vector<Problem> problems) {
  std::ranges::stable_sort(problems, {}, rank);
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    const std::string path = problem.path.empty() ? "" : problem.path + ": ";
    lines.push_back(concat(to_string(problem.place), ": ", path, problem.sentence));
  }
  return join(lines, "\n");
}

Problems Problems::at(std::string_view key) const {
  return Problems(*journal_, join_path(path_, key));
}

void Problems::add(std::string_view key, std::string_view sentence) {
  const std::string path = join_path(path_, key);
  journal_->problems.push_back({origin(*journal_, path), path, std::string(sentence)});
}

void Problems::add(const Place& place, std::string_view sentence) {
  journal_->problems.push_back({place, path_, std::string(sentence)});
}

void Problems::expected(std::string_view what, const Node& node) {
  // A value that could not be had in the first place has its problem already.
  const bool known = std::ranges::any_of(journal_->problems, [&](const Problem& problem) {
    return problem.path == path_ && rank(problem) == rank({node.place, {}, {}});
  });
  if (!known) add(node.place, concat("expected ", what, ", got ", shown(node)));
}

void Problems::value_set(const Place& place) {
  journal_->origins[path_] = place;
}

void Problems::list_replaced(const Place& place) {
  std::erase_if(journal_->origins, [&](const auto& item) { return is_within(item.first, path_); });
  value_set(place);
}

bool Problems::clean() const {
  return std::ranges::none_of(
      journal_->problems, [&](const Problem& problem) { return is_within(problem.path, path_); });
}

}  // namespace vim::config
