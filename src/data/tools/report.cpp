// The findings as text, JSON and a page to look at.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <span>

#include "data/encode.h"
#include "data/resize.h"
#include "data/tools/findings.h"
#include "vim/core/error.h"
#include "vim/core/text.h"
#include "vim/data/image.h"

namespace vim::data {
namespace {

constexpr int kThumbnail = 128, kThumbnailQuality = 80;
constexpr size_t kShownAGroup = 8, kShownAKind = 50;

std::string_view name_of(Problem problem) {
  for (const auto& [value, name] : config::enum_names<Problem>) {
    if (value == problem) return name;
  }
  return {};
}

struct Words {
  std::string_view title, explanation;
};

Words words(Problem problem) {
  switch (problem) {
    case Problem::kBroken:
      return {"Broken",
              "cannot be decoded; data.on_error decides whether training stops or skips them"};
    case Problem::kLeak:
      return {"In several splits", "are trained on and evaluated"};
    case Problem::kTwoClasses:
      return {"In two classes", "have two labels"};
    case Problem::kWrongName:
      return {"Wrong name", "have the ending of another format; they are read all the same"};
    case Problem::kDuplicate:
      return {"Duplicates", "are equal byte for byte"};
    case Problem::kLookAlike:
      return {"Look-alikes", "show nearly the same"};
    case Problem::kMirrored:
      return {"Mirrored", "show nearly the same, left and right exchanged"};
    case Problem::kEmptyClass:
      return {"Empty classes", "classes without an image"};
    case Problem::kMissingClass:
      return {"Missing classes", "classes that another split lacks"};
    case Problem::kTinyClass:
      return {"Tiny classes", "classes with very few images"};
    case Problem::kNotRead:
      return {"Other files", "are no images that training reads"};
    case Problem::kRotated:
      return {"Turned camera", "were taken with a turned camera"};
    case Problem::kCmyk:
      return {"CMYK", "have printing colours, which few programs convert alike"};
    case Problem::kGrey:
      return {"Grey", "have no colours"};
    case Problem::kExtremeSize:
      return {"Extreme sizes", "are very small, very large or very long"};
  }
  return {};
}

std::map<Problem, std::vector<const Finding*>> by_problem(const Report& report) {
  std::map<Problem, std::vector<const Finding*>> result;
  for (const Finding& finding : report.findings) result[finding.problem].push_back(&finding);
  return result;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out += i + k > bytes.size() ? '=' : kDigits[group >> (18 - 6 * k) & 63];
    }
  }
  return out;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::span<const size_t> shown_of(const Finding& finding) {
  return std::span(finding.items).first(std::min(finding.items.size(), kShownAGroup));
}

// An <img> of the item, or nothing where it cannot be read.
std::string thumbnail(const Inventory& inventory, size_t item) {
  try {
    const cv::Mat image = pixels_of(inventory.read(item));
    const double scale =
        std::min(1.0, static_cast<double>(kThumbnail) / std::max(image.cols, image.rows));
    const auto side = [&](int length) { return std::max(1, static_cast<int>(length * scale)); };
    const cv::Mat small = resize(image, {side(image.cols), side(image.rows)}, Filter::kBox);
    return concat("<div><img src=\"data:image/jpeg;base64,",
                  base64(encode_jpeg(small, kThumbnailQuality)), "\"></div>");
  } catch (const Error&) {
    return "";
  }
}

std::vector<std::string> paths_of(const Inventory& inventory, std::span<const size_t> items) {
  std::vector<std::string> paths;
  for (const size_t item : items) paths.push_back(inventory.items[item].path);
  return paths;
}

// With pictures, or in a line where there are none to show.
std::string block(const Inventory& inventory, const Finding& finding) {
  if (finding.problem == Problem::kBroken || finding.items.empty()) {
    return concat("<p class=\"line\">", escaped(finding.message), finding.items.empty() ? "" : ": ",
                  escaped(join(paths_of(inventory, finding.items), ", ")), "</p>\n");
  }
  std::string html = concat("<div class=\"finding\"><p>", escaped(finding.message), "</p>");
  for (const size_t item : shown_of(finding)) {
    html += concat("<figure>", thumbnail(inventory, item), "<figcaption>",
                   escaped(inventory.items[item].path), "</figcaption></figure>");
  }
  if (finding.items.size() > kShownAGroup) {
    html += concat("<p>and ", finding.items.size() - kShownAGroup, " more</p>");
  }
  return html + "</div>\n";
}

std::string named(const Inventory& inventory, const Finding& finding) {
  const std::string shown = join(paths_of(inventory, shown_of(finding)), ", ");
  if (finding.items.size() <= kShownAGroup) return shown;
  return concat(shown, " and ", finding.items.size() - kShownAGroup, " more");
}

constexpr std::string_view kStyle =
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em auto;max-width:75em;padding:0 1em;"
    "color:#222}h1{font-size:1.4em}h2{font-size:1.15em;margin:2em 0 0}"
    "table{border-collapse:collapse}td{padding:2px 1em 2px 0}td:nth-child(2){text-align:right}"
    ".findings{display:flex;flex-wrap:wrap;gap:8px;margin-top:8px}"
    ".finding{border:1px solid #ddd;border-radius:4px;padding:6px 8px;max-width:100%}"
    ".finding p{margin:0 0 4px;font-size:12px;max-width:30em}"
    "figure{display:inline-block;margin:0 6px 0 0;width:128px;vertical-align:top}"
    "figure div{height:128px;display:flex;align-items:center;justify-content:center;"
    "background:#f2f2f2}.line{flex-basis:100%;margin:0}"
    "figcaption{font-size:11px;line-height:1.2;margin-top:2px;overflow-wrap:anywhere}";

std::string summary(const std::map<Problem, std::vector<const Finding*>>& findings) {
  std::string html = "<table>\n";
  for (const auto& [problem, list] : findings) {
    html += concat("<tr><td><a href=\"#", name_of(problem), "\">", words(problem).title,
                   "</a></td><td>", with_separators(static_cast<long long>(list.size())),
                   "</td><td>", words(problem).explanation, "</td></tr>\n");
  }
  return html + "</table>\n";
}

std::string files_of(const Report& report) {
  return with_separators(static_cast<long long>(report.inventory.items.size()));
}

}  // namespace

std::string as_text(const Report& report) {
  std::string text;
  for (const auto& [problem, findings] : by_problem(report)) {
    text += concat(name_of(problem), ": ", with_separators(static_cast<long long>(findings.size())),
                   " (", words(problem).explanation, ")\n");
    for (const Finding* finding : findings) {
      text += concat("  ", finding->message, finding->items.empty() ? "" : ": ",
                     named(report.inventory, *finding), "\n");
    }
  }
  return text + concat(report.inventory.root.string(), ": ", files_of(report), " files, ",
                       with_separators(static_cast<long long>(report.findings.size())),
                       " findings\n");
}

std::string as_json(const Report& report) {
  nlohmann::ordered_json json = {{"root", report.inventory.root.string()},
                                 {"files", report.inventory.items.size()},
                                 {"counts", nlohmann::ordered_json::object()},
                                 {"findings", nlohmann::ordered_json::array()}};
  for (const auto& [problem, findings] : by_problem(report)) {
    json["counts"][std::string(name_of(problem))] = findings.size();
  }
  for (const Finding& finding : report.findings) {
    json["findings"].push_back({{"problem", name_of(finding.problem)},
                                {"message", finding.message},
                                {"files", paths_of(report.inventory, finding.items)}});
  }
  // File names may be any bytes.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_html(const Report& report) {
  const auto findings = by_problem(report);
  std::string html = concat(
      "<!doctype html><meta charset=\"utf-8\"><title>vim-data check</title><style>", kStyle,
      "</style>\n<h1>", escaped(report.inventory.root.string()), "</h1><p>", files_of(report),
      " files, ", with_separators(static_cast<long long>(report.findings.size())),
      " findings</p>\n", summary(findings));
  for (const auto& [problem, list] : findings) {
    html += concat("<h2 id=\"", name_of(problem), "\">", words(problem).title, " (",
                   with_separators(static_cast<long long>(list.size())),
                   ")</h2><div class=\"findings\">\n");
    for (size_t i = 0; i < std::min(list.size(), kShownAKind); ++i) {
      html += block(report.inventory, *list[i]);
    }
    html += "</div>\n";
    if (list.size() > kShownAKind) {
      html += concat("<p>and ", with_separators(static_cast<long long>(list.size() - kShownAKind)),
                     " more, in the text or JSON</p>\n");
    }
  }
  return html;
}

}  // namespace vim::data
