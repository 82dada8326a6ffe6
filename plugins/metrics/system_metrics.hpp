// The machine as it is doing: processor, memory, disk, from /proc and statvfs(3), sampled and kept
// in system_metrics. Not the process's own figures, which GET /metrics tells.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "storage-kit/sqlite.hpp"

namespace larder::metrics {

struct SystemSample {
    double cpu_percent = 0;     // since the sample before, of all processors together
    double memory_percent = 0;  // what is not available
    double memory_mb = 0;       // MiB
    double disk_percent = 0;    // of the file system with the data
    double disk_mb = 0;         // MiB used
    double disk_read_bytes = 0, disk_write_bytes = 0;  // of all disks, since the sample before
    double active_connections = 0;
};

// Reads the system; remembers the counters it saw, so that the next sample tells what came since.
// [one thread at a time]
class SystemSampler {
public:
    // `proc` is /proc, but for tests.
    explicit SystemSampler(std::string data_directory, std::string proc = "/proc",
                           std::string sys_block = "/sys/block");
    SystemSample take();

private:
    void add_cpu(SystemSample& sample);
    void add_memory(SystemSample& sample) const;
    void add_disk(SystemSample& sample) const;
    void add_traffic(SystemSample& sample);

    const std::string data_directory_, proc_, sys_block_;
    std::uint64_t busy_ = 0, all_ = 0;
    std::uint64_t read_ = 0, written_ = 0;
    bool seen_ = false;
};

void write_system_sample(storage::sqlite::Database& database, const SystemSample& sample,
                         std::int64_t now_ms);  // [lane]

// Averages of each step's samples by its start in Unix seconds; of bytes the sums. [worker]
std::map<std::int64_t, SystemSample> system_points(storage::sqlite::Database& database,
                                                   std::int64_t from_ms, std::int64_t step);

// `"cpu_percent":…` to `"active_connections":…`, as GET /api/metrics/system tells them.
void append_members(std::string& out, const SystemSample& sample);

}  // namespace larder::metrics
