// An archive being read, from whoever made it: every entry judged before its bytes are given out.
// Says what it finds wrong instead of stopping where it can go on. Writes nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backup_cipher.hpp"
#include "backup_manifest.hpp"

namespace larder::backup {

struct Fault {
    std::string path;  // in the archive; of the archive itself its backup's id, or empty
    std::string kind;  // "file-hash" "hostile-path"… as kFaultKinds of the route texts tells
};

// What a reader does with the files; all calls on its thread.
class FileTaker {
public:
    // False: its bytes are hashed alone. [worker]
    virtual bool begin(const std::string& path, std::uint64_t size) = 0;
    virtual void take(std::string_view bytes) = 0;
    // All of it came, with this hash. May report a fault's kind; empty for none.
    virtual std::string end(const std::string& path) = 0;

protected:
    ~FileTaker() = default;
};

struct Reading {
    bool has_manifest = false;
    Manifest manifest;           // as the archive has it
    FileMap found;               // what really stood in it
    std::string archive_sha256;  // of the file's bytes
    std::uint64_t archive_size = 0;
    bool is_encrypted = false;
    std::vector<Fault> faults;
};

struct ReadOptions {
    std::string key_file;                         // empty: none
    std::function<void(std::uint64_t)> progress;  // bytes of the archive read so far; may throw
};

// Reads all of the archive at `path`, and compares with its manifest. Throws Error{not_found,
// "archive-missing"}, std::system_error, and what the taker and `progress` throw. [worker]
Reading read_archive(const std::string& path, const ReadOptions& options, FileTaker* taker);

}  // namespace larder::backup
