// Where things stand in an archive, and where in the data directory: the same, but for databases.
// Touches no file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace larder::backup {

inline constexpr std::string_view kManifestName = "backup_manifest.json";
inline constexpr std::string_view kDatabases = "programs/db/";  // in the data directory
inline constexpr std::string_view kArchivedDatabases = "db/";

// Whether a path can only lie below the folder it is relative to: names of 1 to 255 bytes that are
// neither "." nor "..", without control characters, 4096 bytes in all. [any]
bool is_inner_path(std::string_view path);

std::string archived_path(std::string_view data_path);
std::string data_path(std::string_view archived);

// The top-level name that a path belongs to: "storage.json" for "storage.json.meta" too. [any]
std::string component_of(std::string_view archived);

// JSON of ours, which must parse; what others stored under such a name need not. [any]
bool is_own_json(std::string_view archived);
bool is_database(std::string_view archived);

// "backup_2026-11-22_152628" with an optional "-1". [any]
bool is_backup_id(std::string_view text);
std::string backup_id_at(std::int64_t unix_ms);

}  // namespace larder::backup
