// What is known of a program: the origin's record, as it is kept in programs.json and in the
// program's .metadata.json, and as it is answered. Not its files, and no history of its runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage-kit/document_store.hpp"

namespace larder::programs {

// Times are Unix milliseconds, 0 is none; sizes bytes; paths relative to the program's folder.
struct Record {
    std::string id;        // "program_1640995200" or "project_…", its folder's name and its key
    std::string filename;  // the script's, or the project's name
    std::string original_name;  // as it was uploaded
    std::string main_file;      // empty: none was found
    std::string main_file_reason;
    std::vector<std::string> main_file_candidates;
    std::vector<std::string> files;  // of a project, the topmost ones; folders end in '/'
    std::uint64_t size = 0, file_count = 1;
    std::int64_t uploaded_ms = 0, last_executed_ms = 0;
    std::uint64_t execution_count = 0, success_count = 0, error_count = 0;
    double total_execution_time = 0;  // seconds
    bool network = false;
    std::string schedule;  // JSON as it was put; empty: none

    bool is_project() const { return id.starts_with("project_"); }
    // "python", "bash", "javascript", or empty where nothing could be run.
    std::string_view language() const;
};

inline constexpr std::size_t kMostListedFiles = 200;  // in Record::files

// By the file's extension: .py, .sh, .js; empty for any other.
std::string_view language_of(std::string_view file);

std::string record_json(const Record& record);
// Nothing where the document is no record. The origin's own are taken, too.
std::optional<Record> record_of(std::string_view id, std::string_view json);

}  // namespace larder::programs
