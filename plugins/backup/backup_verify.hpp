// A backup judged: every archive that it needs read to its end, JSON parsed, databases opened by
// SQLite. And the same while it is unpacked. Changes no store.
#pragma once

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backup_chain.hpp"
#include "backup_operations.hpp"
#include "backup_reader.hpp"
#include "backup_site.hpp"
#include "storage-kit/file_system.hpp"

namespace larder::backup {

// Checks files by what they are, and writes those that are wanted below a folder. Scratch files go
// with it.
class Unpacker final : public FileTaker {
public:
    // `wanted`: where a file goes, below `folder`; empty: it is only judged. [worker]
    using Where = std::function<std::string(const std::string& path)>;
    Unpacker(std::string folder, Where where, Operation& operation);
    ~Unpacker();
    Unpacker(const Unpacker&) = delete;
    Unpacker& operator=(const Unpacker&) = delete;

    bool begin(const std::string& path, std::uint64_t size) override;
    void take(std::string_view bytes) override;
    std::string end(const std::string& path) override;

private:
    const std::string folder_;
    const Where where_;
    Operation& operation_;
    std::unique_ptr<storage::File> file_;
    std::string file_path_, text_;
    std::uint64_t at_ = 0;
    bool is_json_ = false, is_scratch_ = false;
};

// One archive against its record.
std::vector<Fault> judge_archive(const Site& site, const Record& record, Operation& operation,
                                 FileTaker& taker);

// The backup with all that it is based on; what was found is in its record and, where it is bad,
// an alert. Throws Error, std::system_error. [the operations' thread]
std::vector<Fault> verify_backup(const Site& site, Operation& operation, const Record& record);

std::string faults_json(const std::vector<Fault>& faults);  // {"ok":…,"faults":[…]}
// Why what is asked cannot be had; with the faults.
Error not_whole(const std::vector<Fault>& faults);

}  // namespace larder::backup
