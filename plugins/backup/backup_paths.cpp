#include "backup_paths.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "larder/time.hpp"

namespace larder::backup {
namespace {

constexpr std::size_t kMostName = 255, kMostPath = 4096;

bool is_one_of(std::string_view folder, std::string_view path) {
    return path.starts_with(folder) && path.find('/', folder.size()) == std::string_view::npos;
}

}  // namespace

bool is_inner_path(std::string_view path) {
    if (path.empty() || path.size() > kMostPath) return false;
    for (std::size_t from = 0; from <= path.size();) {
        const std::size_t to = std::min(path.find('/', from), path.size());
        const std::string_view name = path.substr(from, to - from);
        const bool is_plain =
            !name.empty() && name.size() <= kMostName && name != "." && name != ".." &&
            std::none_of(name.begin(), name.end(), [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7F || c == '\\';
            });
        if (!is_plain) return false;
        from = to + 1;
    }
    return true;
}

std::string archived_path(std::string_view data_path) {
    if (!data_path.starts_with(kDatabases)) return std::string(data_path);
    return std::string(kArchivedDatabases).append(data_path.substr(kDatabases.size()));
}

std::string data_path(std::string_view archived) {
    if (!archived.starts_with(kArchivedDatabases)) return std::string(archived);
    return std::string(kDatabases).append(archived.substr(kArchivedDatabases.size()));
}

std::string component_of(std::string_view archived) {
    std::string_view top = archived.substr(0, archived.find('/'));
    if (top.size() == archived.size() && top.ends_with(".json.meta")) top.remove_suffix(5);
    return std::string(top);
}

bool is_own_json(std::string_view archived) {
    if (!archived.ends_with(".json")) return false;
    return is_one_of("", archived) || is_one_of("config/", archived) ||
           is_one_of("kv/", archived) || archived == "files/files_metadata.json" ||
           archived == "programs/programs.json";
}

bool is_database(std::string_view archived) {
    return is_one_of(kArchivedDatabases, archived) && archived.ends_with(".db");
}

bool is_backup_id(std::string_view text) {
    constexpr std::string_view kForm = "backup_0000-00-00_000000";
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() < kForm.size()) return false;
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        if (kForm[i] == '0' ? !is_digit(text[i]) : text[i] != kForm[i]) return false;
    }
    text.remove_prefix(kForm.size());
    if (text.empty()) return true;
    return text[0] == '-' && text.size() > 1 && text.size() < 10 &&
           std::all_of(text.begin() + 1, text.end(), is_digit);
}

std::string backup_id_at(std::int64_t unix_ms) {
    const std::string time = rfc3339(unix_ms);
    return fmt::format("backup_{}_{}{}{}", time.substr(0, 10), time.substr(11, 2),
                       time.substr(14, 2), time.substr(17, 2));
}

}  // namespace larder::backup
