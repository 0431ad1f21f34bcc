#include <iostream>

#include "data/tools/findings.h"
#include "data/tools/parallel.h"
#include "data/tools/probe.h"
#include "data/tools/tree.h"
#include "vim/core/file.h"
#include "vim/data/commands.h"

namespace vim::data {

bool check(const CheckCommand& c) {
  const Tree tree = list_tree(c.root);
  std::vector<FileFacts> facts(tree.files.size());
  for_each_in_parallel(static_cast<int64_t>(facts.size()), c.workers, "check",
                       [&](int64_t i) { facts[i] = probe(c.root / tree.files[i].path); });
  const Report report = find_problems(c.root, tree, facts, c.min_per_class);
  std::cout << as_text(report);
  if (c.json) write_atomically(*c.json, as_json(report));
  if (c.html) write_atomically(*c.html, as_html(report));
  return report.findings.empty();
}

}  // namespace vim::data
