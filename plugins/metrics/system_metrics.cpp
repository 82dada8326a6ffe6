#include "system_metrics.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "storage-kit/timestamps.hpp"

namespace larder::metrics {
namespace {

using storage::sqlite::Connection;
using storage::sqlite::Row;

constexpr double kMiB = 1024.0 * 1024;
constexpr std::uint64_t kSector = 512;  // as /proc/diskstats counts, whatever the disk

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

std::string rounded(double value) { return fmt::format("{}", std::round(value * 100) / 100); }

}  // namespace

SystemSampler::SystemSampler(std::string data_directory, std::string proc, std::string sys_block)
    : data_directory_(std::move(data_directory)),
      proc_(std::move(proc)),
      sys_block_(std::move(sys_block)) {}

SystemSample SystemSampler::take() {
    SystemSample sample;
    add_cpu(sample);
    add_memory(sample);
    add_disk(sample);
    add_traffic(sample);
    seen_ = true;
    return sample;
}

// "cpu  user nice system idle iowait …" (proc(5)); the first sample is of all time since boot.
void SystemSampler::add_cpu(SystemSample& sample) {
    std::ifstream file(proc_ + "/stat");
    std::string word;
    file >> word;
    std::uint64_t all = 0, idle = 0, value = 0;
    for (int column = 0; column < 8 && file >> value; ++column) {
        all += value;
        if (column == 3 || column == 4) idle += value;
    }
    const std::uint64_t busy = all - idle;
    sample.cpu_percent = all > all_ && busy >= busy_ ? percent(static_cast<double>(busy - busy_),
                                                               static_cast<double>(all - all_))
                                                     : 0;
    busy_ = busy;
    all_ = all;
}

void SystemSampler::add_memory(SystemSample& sample) const {
    std::ifstream file(proc_ + "/meminfo");
    double total = 0, available = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name;
        double kib = 0;
        words >> name >> kib;
        if (name == "MemTotal:") total = kib;
        if (name == "MemAvailable:") available = kib;
    }
    sample.memory_percent = percent(total - available, total);
    sample.memory_mb = (total - available) / 1024;
}

void SystemSampler::add_disk(SystemSample& sample) const {
    struct statvfs facts {};
    if (statvfs(data_directory_.c_str(), &facts) != 0) return;  // the daemon raises the alert
    const auto used = static_cast<double>(facts.f_blocks - facts.f_bfree);
    sample.disk_percent = percent(used, used + static_cast<double>(facts.f_bavail));
    sample.disk_mb = used * static_cast<double>(facts.f_frsize) / kMiB;
}

// Whole disks alone: partitions, loops and mappings would count the same bytes again.
void SystemSampler::add_traffic(SystemSample& sample) {
    std::ifstream file(proc_ + "/diskstats");
    std::uint64_t read = 0, written = 0;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint64_t major = 0, minor = 0, skip = 0, sectors_read = 0, sectors_written = 0;
        std::string name;
        words >> major >> minor >> name >> skip >> skip >> sectors_read >> skip >> skip >> skip >>
            sectors_written;
        std::error_code absent;
        if (!words || !std::filesystem::exists(sys_block_ + "/" + name + "/device", absent)) {
            continue;
        }
        read += sectors_read * kSector;
        written += sectors_written * kSector;
    }
    if (seen_ && read >= read_) sample.disk_read_bytes = static_cast<double>(read - read_);
    if (seen_ && written >= written_) {
        sample.disk_write_bytes = static_cast<double>(written - written_);
    }
    read_ = read;
    written_ = written;
}

void write_system_sample(storage::sqlite::Database& database, const SystemSample& sample,
                         std::int64_t now_ms) {
    const std::string time = storage::sql_time(now_ms);
    database.write([&](Connection& connection) {
        connection.run(
            "INSERT INTO system_metrics(timestamp, cpu_percent, memory_percent, memory_mb, "
            "disk_percent, disk_mb, active_connections, disk_read_bytes, disk_write_bytes) "
            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
            {time, sample.cpu_percent, sample.memory_percent, sample.memory_mb, sample.disk_percent,
             sample.disk_mb, static_cast<std::int64_t>(sample.active_connections),
             static_cast<std::int64_t>(sample.disk_read_bytes),
             static_cast<std::int64_t>(sample.disk_write_bytes)});
    });
}

std::map<std::int64_t, SystemSample> system_points(storage::sqlite::Database& database,
                                                   std::int64_t from_ms, std::int64_t step) {
    std::map<std::int64_t, SystemSample> points;
    std::map<std::int64_t, double> counts;
    const std::string from = storage::sql_time(from_ms);
    database.read([&](Connection& connection) {
        connection.query(
            "SELECT timestamp, cpu_percent, memory_percent, memory_mb, disk_percent, disk_mb, "
            "active_connections, disk_read_bytes, disk_write_bytes FROM system_metrics "
            "WHERE timestamp >= ?",
            {from}, [&](const Row& row) {
                const auto ms = storage::parse_sql_time(row.text(0));
                if (!ms) return;
                const std::int64_t start = *ms / 1000 - *ms / 1000 % step;
                SystemSample& to = points[start];
                ++counts[start];
                const auto value = [&](int column) {
                    return row.is_null(column) ? 0.0 : row.real(column);
                };
                to.cpu_percent += value(1);
                to.memory_percent += value(2);
                to.memory_mb += value(3);
                to.disk_percent += value(4);
                to.disk_mb += value(5);
                to.active_connections += value(6);
                to.disk_read_bytes += value(7);
                to.disk_write_bytes += value(8);
            });
    });
    for (auto& [start, point] : points) {
        for (double* sum : {&point.cpu_percent, &point.memory_percent, &point.memory_mb,
                            &point.disk_percent, &point.disk_mb, &point.active_connections}) {
            *sum /= counts[start];
        }
    }
    return points;
}

void append_members(std::string& out, const SystemSample& sample) {
    out += fmt::format(
        R"("cpu_percent":{},"memory_percent":{},"memory_mb":{},"disk_percent":{},"disk_mb":{},)",
        rounded(sample.cpu_percent), rounded(sample.memory_percent), rounded(sample.memory_mb),
        rounded(sample.disk_percent), rounded(sample.disk_mb));
    out += fmt::format(R"("disk_read_bytes":{:.0f},"disk_write_bytes":{:.0f},)",
                       sample.disk_read_bytes, sample.disk_write_bytes);
    out += fmt::format(R"("active_connections":{})", rounded(sample.active_connections));
}

}  // namespace larder::metrics
