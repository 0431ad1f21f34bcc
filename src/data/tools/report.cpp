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

constexpr int kThumbnail = 96, kThumbnailQuality = 80;
constexpr size_t kShownAGroup = 8, kShownAKind = 50;

std::string_view name_of(Problem problem) {
  for (const auto& [value, name] : config::enum_names<Problem>) {
    if (value == problem) return name;
  }
  return {};
}

std::string_view explanation(Problem problem) {
  switch (problem) {
    case Problem::kBroken:
      return "cannot be decoded; data.on_error decides whether training stops or skips them";
    case Problem::kLeak:
      return "are trained on and evaluated";
    case Problem::kTwoClasses:
      return "have two labels";
    case Problem::kWrongName:
      return "have the ending of another format; they are read all the same";
    case Problem::kDuplicate:
      return "are equal byte for byte";
    case Problem::kLookAlike:
      return "look alike";
    case Problem::kEmptyClass:
      return "classes without an image";
    case Problem::kMissingClass:
      return "classes that another split lacks";
    case Problem::kTinyClass:
      return "classes with very few images";
    case Problem::kNotRead:
      return "are no images that training reads";
    case Problem::kRotated:
      return "were taken with a turned camera";
    case Problem::kCmyk:
      return "have printing colours, which few programs convert alike";
    case Problem::kGrey:
      return "have no colours";
    case Problem::kExtremeSize:
      return "are very small, very large or very long";
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

// An <img> of the file, or nothing where it cannot be read.
std::string thumbnail(const std::filesystem::path& path) {
  try {
    const cv::Mat image = read_image(path);
    const double scale =
        std::min(1.0, static_cast<double>(kThumbnail) / std::max(image.cols, image.rows));
    const auto side = [&](int length) { return std::max(1, static_cast<int>(length * scale)); };
    const cv::Mat small = resize(image, {side(image.cols), side(image.rows)}, Filter::kBox);
    return concat("<img src=\"data:image/jpeg;base64,",
                  base64(encode_jpeg(small, kThumbnailQuality)), "\">");
  } catch (const Error&) {
    return "";
  }
}

std::string row(const std::filesystem::path& root, const Finding& finding) {
  std::string html = concat("<tr><td>", escaped(finding.message), "</td><td>");
  for (size_t i = 0; i < std::min(finding.files.size(), kShownAGroup); ++i) {
    html += concat("<figure>", thumbnail(root / finding.files[i]), "<figcaption>",
                   escaped(finding.files[i]), "</figcaption></figure>");
  }
  if (finding.files.size() > kShownAGroup) {
    html += concat("and ", finding.files.size() - kShownAGroup, " more");
  }
  return html + "</td></tr>\n";
}

std::string named(const Finding& finding) {
  const std::span files(finding.files);
  const std::string shown = join(files.first(std::min(files.size(), kShownAGroup)), ", ");
  if (files.size() <= kShownAGroup) return shown;
  return concat(shown, " and ", files.size() - kShownAGroup, " more");
}

constexpr std::string_view kStyle =
    "body{font:14px/1.4 sans-serif;margin:2em;max-width:80em}table{border-collapse:collapse}"
    "td{border-top:1px solid #ccc;padding:6px;vertical-align:top}"
    "figure{display:inline-block;margin:4px;vertical-align:top;max-width:14em}"
    "figcaption{font-size:11px;word-break:break-all}";

}  // namespace

std::string as_text(const Report& report) {
  std::string text;
  for (const auto& [problem, findings] : by_problem(report)) {
    text += concat(name_of(problem), ": ", with_separators(static_cast<long long>(findings.size())),
                   " (", explanation(problem), ")\n");
    for (const Finding* finding : findings) {
      text +=
          concat("  ", finding->message, finding->files.empty() ? "" : ": ", named(*finding), "\n");
    }
  }
  return text + concat(report.root.string(), ": ", with_separators(report.files), " files, ",
                       with_separators(static_cast<long long>(report.findings.size())),
                       " findings\n");
}

std::string as_json(const Report& report) {
  nlohmann::ordered_json json = {{"root", report.root.string()},
                                 {"files", report.files},
                                 {"counts", nlohmann::ordered_json::object()},
                                 {"findings", nlohmann::ordered_json::array()}};
  for (const auto& [problem, findings] : by_problem(report)) {
    json["counts"][std::string(name_of(problem))] = findings.size();
  }
  for (const Finding& finding : report.findings) {
    json["findings"].push_back({{"problem", name_of(finding.problem)},
                                {"message", finding.message},
                                {"files", finding.files}});
  }
  // File names may be any bytes.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_html(const Report& report) {
  std::string html =
      concat("<!doctype html><meta charset=\"utf-8\"><title>vim-data check</title><style>", kStyle,
             "</style>\n<h1>", escaped(report.root.string()), "</h1><p>",
             with_separators(report.files), " files, ", report.findings.size(), " findings</p>\n");
  for (const auto& [problem, findings] : by_problem(report)) {
    html += concat("<h2>", name_of(problem), ": ", findings.size(), "</h2><p>",
                   explanation(problem), "</p><table>\n");
    for (size_t i = 0; i < std::min(findings.size(), kShownAKind); ++i) {
      html += row(report.root, *findings[i]);
    }
    html += "</table>\n";
    if (findings.size() > kShownAKind) {
      html += concat("<p>and ", findings.size() - kShownAKind, " more, in the text or JSON</p>\n");
    }
  }
  return html;
}

}  // namespace vim::data
