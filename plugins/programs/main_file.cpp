#include "main_file.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include "programs_record.hpp"
#include "storage-kit/json.hpp"
#include "zip_reader.hpp"

namespace larder::programs {
namespace {

constexpr std::array<std::string_view, 10> kNames = {"main.py",  "app.py",  "run.py",  "start.py",
                                                     "index.js", "app.js",  "main.js", "main.sh",
                                                     "run.sh",   "start.sh"};
constexpr std::size_t kMostCandidates = 50;

std::string_view name_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

MainFile find_main_file(std::vector<std::string> files, std::string_view declared) {
    const auto depth = [](std::string_view path) {
        return std::count(path.begin(), path.end(), '/');
    };
    const auto rank = [](std::string_view path) {
        return std::find(kNames.begin(), kNames.end(), name_of(path)) - kNames.begin();
    };
    // Known names before others, the topmost folder before deeper ones, and there the list's order.
    // Of unknown names the origin takes .py and .js alone.
    std::erase_if(files, [&](const std::string& path) {
        const bool is_known = rank(path) < static_cast<std::ptrdiff_t>(kNames.size());
        return language_of(path).empty() || (!is_known && path.ends_with(".sh"));
    });
    const auto key = [&](const std::string& path) {
        const auto at = rank(path);
        return std::tuple(at == static_cast<std::ptrdiff_t>(kNames.size()), depth(path), at, path);
    };
    std::sort(files.begin(), files.end(),
              [&](const std::string& a, const std::string& b) { return key(a) < key(b); });
    MainFile found;
    if (!declared.empty()) {
        found.file = declared;
        found.reason = "larder.json names it";
    } else if (files.empty()) {
        found.reason = "no .py, .js, or known .sh file is in it";
    } else {
        found.file = files.front();
        const bool is_known = rank(found.file) < static_cast<std::ptrdiff_t>(kNames.size());
        found.reason = !is_known               ? "the first .py or .js file"
                       : depth(found.file) > 0 ? "a known name in a folder"
                                               : "a known name at the top";
    }
    files.resize(std::min(files.size(), kMostCandidates));
    found.candidates = std::move(files);
    return found;
}

std::string declared_main_file(std::string_view larder_json) {
    try {
        storage::json::check(larder_json, 16);
    } catch (const storage::json::InvalidJson&) {
        throw invalid_archive("larder.json is no JSON");
    }
    for (storage::json::Walk member(larder_json); member.next();) {
        if (storage::json::unquoted(member.name()) != "main_file") continue;
        if (member.value().starts_with('"')) return storage::json::unquoted(member.value());
        throw invalid_archive("main_file in larder.json is no text");
    }
    return {};
}

}  // namespace larder::programs
