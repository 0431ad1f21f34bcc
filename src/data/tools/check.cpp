#include <iostream>

#include "data/tools/findings.h"
#include "data/tools/inventory.h"
#include "data/tools/parallel.h"
#include "data/tools/probe.h"
#include "vim/core/error.h"
#include "vim/core/file.h"
#include "vim/core/text.h"
#include "vim/data/commands.h"

namespace vim::data {

bool check(const CheckCommand& c) {
  const Inventory inventory = take_inventory(c.data);
  std::vector<FileFacts> facts(inventory.items.size());
  for_each_in_parallel(static_cast<int64_t>(facts.size()), c.workers, "check", [&](int64_t i) {
    facts[i] = probe([&] { return inventory.read(static_cast<size_t>(i)); });
  });
  const Report report = find_problems(inventory, facts, c.min_per_class);
  if (facts.empty() && report.findings.empty()) {  // the wrong folder, most likely
    throw Error(concat(c.data.root, ": holds no files; name the folder with the images"));
  }
  std::cout << as_text(report);
  if (c.json) write_atomically(*c.json, as_json(report));
  if (c.html) write_atomically(*c.html, as_html(report));
  return report.findings.empty();
}

}  // namespace vim::data
